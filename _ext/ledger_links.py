"""Places in the chapters that the ledger of claims leads to, and the ledger's filter."""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform


class VerdictPlaces(SphinxTransform):
    """Name each cell that settles a claim, such as `claim-b10`, for the ledger to link to."""

    default_priority = 400

    def apply(self):
        for output in self.document.findall(nodes.literal_block):
            settled = re.findall(r"^([A-E]\d+) (?:holds|fails|cited)\b", output.astext(), re.M)
            for claim in dict.fromkeys(settled):
                cell = output.parent.parent
                cell["names"].append(f"claim-{claim.lower()}")
                self.document.note_explicit_target(cell, cell)


def ledger_script(app, pagename, templatename, context, doctree):
    """Load the ledger's filter on its page alone; from `_static` it would load on every page."""
    if pagename == "chapters/claims":
        app.add_js_file("ledger.js", loading_method="defer")


def setup(app):
    app.add_transform(VerdictPlaces)
    app.connect("html-page-context", ledger_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
