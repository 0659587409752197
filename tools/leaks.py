"""Look in the published files for what only instructors may see: solutions, checks, answers."""

import html
import json
import re
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRIVATE = [f"exercises/{kind}/**/*" for kind in ("source", "checks", "answers", "calls")]
PUBLIC = ["exercises/release/**/*", "chapters/*", "gradnb/**/*"]
MARKS = ["### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS", "exercises/source", "exercises/answers"]
TEXTS = {".html", ".htm", ".ipynb", ".py", ".md", ".txt", ".json", ".js", ".svg", ".css", ""}
EXPLAINED = "chapters/instructors.html"  # shows how a set is written
LONG = 24  # characters without spaces: a shorter line may well be written twice


def strings(value):
    """Yield every text in what was read from JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            yield "".join(value)  # a cell's source is a list of lines


def text_of(name, data):
    """Return the words of a file as a reader sees them, without markup."""
    text = data.decode("utf-8", errors="replace")
    if name.endswith((".html", ".htm", ".svg")):
        return html.unescape(re.sub(r"<[^>]*>", "", text))
    if name.endswith((".ipynb", ".json")):
        return "\n".join(strings(json.loads(text)))
    return text


def lines(text):
    """Return its long lines without their spaces, which markup may change."""
    found = (re.sub(r"\s", "", line) for line in text.splitlines())
    return {line for line in found if len(line) >= LONG}


def names(text):
    """Return the names that somebody made up, such as `swish_backward`."""
    return {name.lower() for name in re.findall(r"\b[A-Za-z]\w*_\w*[A-Za-z]\b", text)}


def read(root, patterns):
    files = {path for pattern in patterns for path in root.glob(pattern)}
    files = (p for p in files if p.is_file() and p.suffix in {".ipynb", ".py", ".md", ".toml"})
    return "\n".join(text_of(path.name, path.read_bytes()) for path in sorted(files))


def published(site):
    """Yield the name and the bytes of each file, also of those in archives."""
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        if not path.is_file():
            continue
        if path.suffix in {".whl", ".zip"}:
            with zipfile.ZipFile(path) as archive:
                for inner in archive.namelist():
                    yield f"{name}: {inner}", archive.read(inner)
        else:
            yield name, path.read_bytes()


def leaks(site, root=ROOT):
    """Yield what is published and must not be, with the file that holds it."""
    private, public = read(root, PRIVATE), read(root, PUBLIC)
    secret_lines = lines(private) - lines(public)
    secret_names = names(private) - names(public)
    assert len(secret_lines) > 100, "there is nothing to look for"
    for name, data in published(site):
        if re.search(r"(^|/)(_sources|source|checks|answers|calls)/", name):
            yield name, "a folder that is not for students"
        if Path(name).suffix not in TEXTS or name.startswith("_static/s"):
            continue  # pictures and fonts; the theme's own
        text = text_of(name, data)
        found = [mark for mark in MARKS if mark in text and name != EXPLAINED]
        found += sorted(lines(text) & secret_lines) + sorted(names(text) & secret_names)
        for what in found[:3]:
            yield name, what
