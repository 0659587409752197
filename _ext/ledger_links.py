"""Places in the chapters that the ledger of claims leads to, and the ledger's filter."""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

SETTLED = re.compile(r"^([A-E]\d+) (holds when|holds|fails|cited)\b")


class Verdicts(SphinxTransform):
    """Set the verdicts in a cell's output apart, and name the cell, for the ledger to link to."""

    default_priority = 400

    def apply(self):
        for output in list(self.document.findall(nodes.literal_block)):
            lines = output.astext().splitlines()
            if any(map(SETTLED.match, lines)):
                parts = [part(output, *group) for group in grouped(lines)]
                self.name(output.parent.parent, parts)
                output.replace_self(parts)

    def name(self, cell, parts):
        """Name a cell, such as `claim-b10`, for each claim that it settles."""
        for claim in dict.fromkeys(p["claim"] for p in parts if "claim" in p):
            cell["names"].append(f"claim-{claim.lower()}")
            self.document.note_explicit_target(cell, cell)


def grouped(lines):
    """Yield what is printed before the verdicts, then each verdict: its lines, claim and kind."""
    group, claim, kind = [], None, None
    for line in lines:
        if line.startswith("Claim "):
            if group:
                yield group, claim, kind
            group, claim, kind = [], None, None
        elif settled := SETTLED.match(line):
            claim, kind = settled.groups()
        group.append(line)
    yield group, claim, kind


def part(output, lines, claim, kind):
    """Return a copy of the output that holds only these lines."""
    text = "\n".join(lines)
    copy = output.copy()
    copy.rawsource = text
    copy += nodes.Text(text)
    if claim:
        copy["claim"] = claim
        copy["classes"] = [*copy["classes"], "verdict", kind.removeprefix("holds ")]
    return copy


def ledger_script(app, pagename, templatename, context, doctree):
    """Load the ledger's filter on its page alone; from `_static` it would load on every page."""
    if pagename == "chapters/claims":
        app.add_js_file("ledger.js", loading_method="defer")


def setup(app):
    app.add_transform(Verdicts)
    app.connect("html-page-context", ledger_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
