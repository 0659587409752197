"""A PDF as Chromium writes it: where its places are, and how it becomes smaller."""

import re
import struct
import zlib
from itertools import pairwise

BATCH = 500  # objects that are compressed together


def objects(pdf):
    """Return the objects of a PDF by number, and the numbers of its root and its information."""
    table = int(re.search(rb"startxref\n(\d+)\n%%EOF\s*$", pdf)[1])
    starts = sorted(int(at) for at in re.findall(rb"^(\d{10}) 00000 n", pdf[table:], re.M))
    found = {}
    for start, end in pairwise([*starts, table]):
        number, body = re.fullmatch(rb"(\d+) 0 obj\n(.*)\nendobj\s*", pdf[start:end], re.S).groups()
        found[int(number)] = body
    return found, *(
        int(re.search(rb"/%s (\d+) 0 R" % key, pdf[table:])[1]) for key in (b"Root", b"Info")
    )


def places(pdf):
    """Return on which page each named place of a PDF lies."""
    found, root, _ = objects(pdf)

    def pages(number):
        kids = re.search(rb"/Type /Pages.*?/Kids \[(.*?)\]", found[number], re.S)
        if not kids:
            return [number]
        return [page for kid in re.findall(rb"(\d+) 0 R", kids[1]) for page in pages(int(kid))]

    tree, names = (
        int(re.search(rb"/%s (\d+) 0 R" % k, found[root])[1]) for k in (b"Pages", b"Dests")
    )
    order = {page: i for i, page in enumerate(pages(tree), start=1)}
    return {
        plain(name): order[int(page)]
        for name, page in re.findall(rb"/(\S+) \[(\d+) 0 R /XYZ", found[names])
    }


def plain(name):
    """Return what a name says, in which a slash, say, is written as #2f."""
    return re.sub(
        rb"#([0-9a-fA-F]{2})", lambda code: bytes.fromhex(code[1].decode()), name
    ).decode()


def compact(pdf, **about):
    """Return the PDF with its many small objects compressed, and something said about it.

    Chromium leaves them as plain text. Most are the tags that tell a screen reader what is a
    heading or a list: three quarters of the book before, a tenth of it after.
    """
    found, root, info = objects(pdf)
    said = b"".join(b"/%s (%s)\n" % (k.encode(), v.encode("ascii")) for k, v in about.items())
    found[info] = found[info].replace(b"<<", b"<<" + said, 1)
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")  # the second line says: not a text
    where = {0: (0, 0, 65535)}  # kind, then place in the file, or stream and place in it

    def write(number, body):
        where[number] = (1, len(out), 0)
        out.extend(b"%d 0 obj\n%s\nendobj\n" % (number, body))

    def write_stream(number, entries, data):
        data = zlib.compress(data, 9)
        entries += b" /Filter /FlateDecode /Length %d" % len(data)
        write(number, b"<<%s>> stream\n%s\nendstream" % (entries, data))

    small = []
    for number, body in found.items():
        if body.endswith(b"endstream"):
            write(number, body)
        else:
            small.append((number, body + b"\n"))
    last = max(found)
    for start in range(0, len(small), BATCH):
        last, head, bodies = last + 1, b"", b""
        for i, (number, body) in enumerate(small[start : start + BATCH]):
            where[number] = (2, last, i)
            head += b"%d %d " % (number, len(bodies))
            bodies += body
        count = len(small[start : start + BATCH])
        write_stream(last, b"/Type /ObjStm /N %d /First %d" % (count, len(head)), head + bodies)
    last, start = last + 1, len(out)
    where[last] = (1, start, 0)
    rows = b"".join(struct.pack(">BIH", *where.get(i, (0, 0, 0))) for i in range(last + 1))
    entries = b"/Type /XRef /Size %d /W [1 4 2] /Root %d 0 R /Info %d 0 R" % (last + 1, root, info)
    write_stream(last, entries, rows)
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % start
