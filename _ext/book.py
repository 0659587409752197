"""What the site needs beyond Jupyter Book's settings: one file for each thing, which says why."""

PARTS = [
    "mathematics",
    "pictures",
    "interactive",
    "markup",
    "narrow_code",
    "ledger_links",
    "bibliography",
    "exercises",
    "colophon",
    "downloads",
    "previews",
    "weight",
]


def setup(app):
    for part in PARTS:
        app.setup_extension(part)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
