"""Exercises and solutions whose names on a page differ.

sphinx-exercise calls the inside of each of them `exercise-content` or `solution-content`.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class ContentNames(SphinxPostTransform):
    default_priority = 400

    def run(self):
        for section in self.document.findall(nodes.section):
            if section["ids"] in (["exercise-content"], ["solution-content"]):
                section["ids"] = []


def setup(app):
    app.add_post_transform(ContentNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
