"""The list of references, for screen readers."""

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator


def visit_citation(translator, node):
    """Give an entry of the bibliography the role that its list requires.

    The one that docutils gives is deprecated, as axe reports.
    """
    HTML5Translator.visit_citation(translator, node)
    translator.body[-1] = translator.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.add_node(
        nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
