"""What a notebook of the book may not contain, as it is stored.

`problems` reads a notebook without running it. Executing it again is `pytest --nbval`'s work, but
that passes over cells that were never run and obeys markers that switch its comparison off, so a
notebook has to be whole before the comparison means anything.
"""

import re
from collections import Counter
from collections.abc import Iterator

from nbval.plugin import comment_markers, metadata_tags

MAX_CODE_LINES = 25
MIN_ALT_LENGTH = 40

# Everything else (timings, folding, a tool's own notes) changes without the content changing.
NOTEBOOK_METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
CELL_METADATA = {"mystnb", "tags"}

# Each of these keeps an output or an error from being compared. nbval also obeys any comment of its
# own, hence the prefix; `skip-execution` and `raises-exception` are what `make notebooks` obeys.
FORBIDDEN_TAGS = {*metadata_tags, "skip-execution"}
# NumPy's own words made an error, or printed, hide nothing; underflow it ignores anyway.
LOUD = r'all="(?:raise"|log", call=sys\.stdout)(?:, under="ignore")?'
FORBIDDEN_CODE = {
    re.compile("|".join([*comment_markers, r"NBVAL_\w+"])): "switches the comparison off",
    re.compile(r"^%%capture", re.MULTILINE): "hides the outputs of the cell",
    re.compile(
        r"\b(?:simplefilter|filterwarnings|catch_warnings|seterr|redirect_stderr)\("
        rf"|\berrstate\((?!{LOUD}\))"
    ): "hides warnings; mend their cause",
}

OUTPUT_TYPES = {"image/png", "text/plain"}
FORBIDDEN_TEXT = {
    re.compile(r"\b0x[0-9a-fA-F]{6,}"): "a memory address: end the cell's last line with `;`",
    re.compile(
        r"(?<![\w.])/(?:home|Users|root|tmp|usr|opt|var|private|mnt|srv)/\S+|\b[A-Z]:\\\w+"
    ): "a path of one machine",
    re.compile(
        r"\b\d+(?:\.\d+)?(?:e[+-]?\d+)? ?(?:[nµum]?s|secs?|seconds?)(?![\w-])|\b\d+:\d\d:\d\d\b"
    ): "a time, which no other run repeats",
    re.compile(r"\b\d+(?:\.\d+)? ?[kKMG]i?B\b"): "a memory figure: print a ratio or a count",
    re.compile(r"\d\.\d{12,}"): "more digits than another processor repeats: round it",
}


def problems(notebook: dict) -> list[str]:
    """List what must be mended in a notebook (its parsed JSON); an empty list is a clean one."""
    found = list(_in_notebook(notebook))
    count = 0
    for number, cell in enumerate(notebook["cells"], start=1):
        where = f"cell {number} (id {cell.get('id', 'missing')})"
        checks = [_in_any_cell(cell)]
        if cell["cell_type"] == "code":
            count += 1
            checks += [_in_code(cell, count), _in_outputs(cell), _in_figure(cell)]
        found += [f"{where}: {problem}" for check in checks for problem in check]
    return found


def figure_names(notebook: dict) -> list[str]:
    """List the names by which a notebook's figures are referred to."""
    named = (_figure(cell).get("name") for cell in notebook["cells"])
    return [name for name in named if name]


def _in_notebook(notebook: dict) -> Iterator[str]:
    if (notebook["nbformat"], notebook["nbformat_minor"]) < (4, 5):
        yield "notebook: older than format 4.5, so its cells have no ids; run `make notebooks`"
    if notebook["metadata"] != NOTEBOOK_METADATA:
        yield (
            "notebook: its metadata (kernel, language, widget state, …) is not the book's; "
            "run `make notebooks`"
        )
    for label, names in (
        ("cell id", [cell["id"] for cell in notebook["cells"] if "id" in cell]),
        ("figure name", figure_names(notebook)),
    ):
        for name, uses in Counter(names).items():
            if uses > 1:
                yield f"notebook: the {label} {name!r} is used {uses} times; rename all but one"


def _in_any_cell(cell: dict) -> Iterator[str]:
    if "id" not in cell:
        yield "no cell id; run `make notebooks`"
    if not "".join(cell["source"]).strip():
        yield "empty; delete it"
    if surplus := sorted(set(cell["metadata"]) - CELL_METADATA):
        yield f"metadata that is not content ({', '.join(surplus)}); run `make notebooks`"
    for tag in sorted(FORBIDDEN_TAGS.intersection(cell["metadata"].get("tags", []))):
        yield f"the tag {tag!r} switches the comparison off; remove it"


def _in_code(cell: dict, expected_count: int) -> Iterator[str]:
    code = "".join(cell["source"])
    if cell["execution_count"] is None:
        yield "never run; run `make notebooks`"
    elif cell["execution_count"] != expected_count:
        yield (
            f"its execution count is {cell['execution_count']}, not {expected_count}: the cells "
            "were not run in order from a fresh start; run `make notebooks`"
        )
    lines = sum(bool(line.strip()) for line in code.splitlines())
    if lines > MAX_CODE_LINES:
        yield f"{lines} lines of code, at most {MAX_CODE_LINES} are read in one go; split it"
    for pattern, reason in FORBIDDEN_CODE.items():
        if match := pattern.search(code):
            yield f"`{match[0]}` {reason}"


def _in_outputs(cell: dict) -> Iterator[str]:
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"a stored {output['ename']}; mend the code, then run `make notebooks`"
            continue
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            if output["name"] == "stderr":
                yield f"a stored warning or error message ({_last_line(text)}); remove its cause"
                continue
        else:
            text = "".join(output["data"].get("text/plain", ""))
            if surplus := sorted(set(output["data"]) - OUTPUT_TYPES):
                yield (
                    f"an output of type {', '.join(surplus)}; only text and PNG figures can be "
                    "compared"
                )
        for pattern, reason in FORBIDDEN_TEXT.items():
            if match := pattern.search(text):
                yield f"its output holds {match[0]!r}, {reason}"


def _in_figure(cell: dict) -> Iterator[str]:
    shown = sum("image/png" in output.get("data", {}) for output in cell["outputs"])
    mystnb = cell["metadata"].get("mystnb", {})
    if not shown:
        if mystnb.keys() & {"image", "figure"}:
            yield "a caption or description, but no figure; run `make notebooks` or remove it"
        return
    if shown > 1:
        yield f"{shown} figures, but a cell has one caption; give each figure its own cell"
    alt = mystnb.get("image", {}).get("alt", "").strip()
    caption, name = (_figure(cell).get(key, "").strip() for key in ("caption", "name"))
    if not alt:
        yield "a figure without description; write what it shows in mystnb.image.alt"
    elif len(alt) < MIN_ALT_LENGTH or re.search(r"\.(?:png|jpe?g|svg|gif|ipynb)$", alt):
        yield (
            f"the description {alt!r} does not tell a blind reader what the figure shows; "
            f"mystnb.image.alt takes at least {MIN_ALT_LENGTH} characters"
        )
    elif alt == caption:
        yield "description and caption are the same; the description says what is seen"
    if not caption:
        yield "a figure without caption; write one in mystnb.figure.caption"
    if not re.fullmatch(r"fig-[a-z0-9-]+", name):
        yield (
            f"the figure name {name!r} cannot be referred to; "
            "mystnb.figure.name reads like 'fig-loss-curve'"
        )


def _figure(cell: dict) -> dict:
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def _last_line(text: str) -> str:
    """Pick the line that says what happened: a warning's, or else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "Warning" in line), lines[-1] if lines else "empty")
