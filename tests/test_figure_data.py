"""What a figure plots is read, stored and compared; a change of 1 % is found in every one."""

import copy
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tools import figure_record
from tools.figure_data import read

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("*.ipynb"))
FIGURES = {
    f"{path.stem} {cell['id']}": (cell, figure_record.load(path)[cell["id"]])
    for path in CHAPTERS
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
}


@pytest.fixture
def ax():
    mpl.rcdefaults()  # other tests leave the book's style
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def parts(ax):
    return read(ax.figure)["axes"][0]["parts"]


def scaled(part, by):
    """Multiply what a part plots upwards, or by colour."""
    name = "values" if "values" in part else "y"
    numbers = by * np.array(part[name].split(), float)
    return part | {name: " ".join(f"{number:.6g}" for number in numbers)}


def test_every_kind_of_drawing_is_read(ax):
    ax.plot([1, 2], [3, 4])
    ax.scatter([1, 2], [5, 6], c=[0.1, 0.2])
    ax.bar([7], [8], width=2)
    ax.fill_between([0, 1], [0, 0], [9, 9])
    ax.imshow([[1, 2], [3, 4]])
    ax.pcolormesh([0, 1, 2], [0, 5], [[7, 8]])
    ax.text(10, 11, "words")
    ax.annotate("arrow", (12, 13), (14, 15), arrowprops={"arrowstyle": "-"})
    found = {part["kind"] + part.get("text", ""): part for part in parts(ax)}
    assert found["line"] == {"kind": "line", "x": "1 2", "y": "3 4"}
    assert found["points"]["y"] == "5 6"
    assert found["points"]["values"] == found["points"]["values limits"] == "0.1 0.2"
    assert found["image"]["values"] == "1 2 3 4"
    assert [found["mesh"][name] for name in ("x", "y", "values")] == ["0 1 2", "0 5", "7 8"]
    assert found["textwords"] == {"kind": "text", "text": "words", "x": "10", "y": "11"}
    assert found["textarrow"]["y"] == "13"
    areas = [part for part in parts(ax) if part["kind"] == "area"]
    assert [sorted({*area["y"].split()}) for area in areas] == [["0", "8"], ["0", "9"]]


def test_names_scales_limits_and_chosen_ticks_are_read(ax):
    ax.set(title="name", xlabel="step", yscale="log", xlim=(0, 4), ylim=(1, 1000))
    ax.set_xticks([0, 4], ["first", "last"])
    ax.plot([1], [2], label="a curve")
    ax.legend()
    ax.figure.suptitle("above all")
    both = read(ax.figure)
    (only,) = both["axes"]
    assert both["texts"] == ["above all"]
    assert only["labels"] == ["", "name", "", "step", ""]
    assert (only["x scale"], only["y scale"]) == ("linear", "log")
    assert (only["x limits"], only["y limits"]) == ("0 4", "1 1000")
    assert (only["x ticks"], only["y ticks"]) == (["first", "last"], [])
    assert only["legend"] == ["a curve"]


def test_what_is_not_seen_is_not_read(ax):
    ax.plot([1, 2], [3, 4], visible=False)
    ax.text(0, 0, "")
    assert parts(ax) == []


def test_a_drawing_of_an_unknown_kind_is_refused(ax):
    ax.table([["1"]])
    with pytest.raises(TypeError, match="a figure holds a Table: say in READERS what it plots"):
        read(ax.figure)


def test_what_is_drawn_elsewhere_is_refused(ax):
    ax.axline((0, 0), slope=1)
    with pytest.raises(TypeError, match="a line without ends"):
        read(ax.figure)
    ax.lines[0].remove()
    ax.figure.add_artist(plt.Line2D([0, 1], [0, 1]))
    with pytest.raises(TypeError, match="draws outside of its axes"):
        read(ax.figure)
    ax.figure.artists[0].remove()
    ax.figure.add_subplot(projection="3d")
    with pytest.raises(TypeError, match="has a third axis"):
        read(ax.figure)


def test_the_texts_of_a_part_of_a_figure_are_read(ax):
    ax.figure.subfigures(1, 2)[1].suptitle("above the right half")
    assert read(ax.figure)["texts"] == ["above the right half"]


def test_colours_are_compared_on_the_scale_that_they_have(ax):
    def drawn(values, **options):
        ax.clear()
        ax.imshow([values], **options)
        return read(ax.figure)

    def differ(*pair, **options):
        return bool(figure_record.difference(*(drawn(values, **options) for values in pair)))

    assert not differ([1, 1e-6], [1, 1.01e-6])
    assert differ([1, 1e-6], [1, 1.01e-6], norm="log")
    assert not differ([1, 1e-6], [1.00001, 1.00001e-6], norm="log")
    assert differ([100, 100.4], [100, 100.5])
    assert not differ([5, 5], [5.0001, 5])
    assert figure_record.difference(drawn([1, 2]), drawn([1, 2], norm="log"))
    assert figure_record.difference(drawn([1, 2]), drawn([1, 2], vmax=3))


@pytest.mark.parametrize(("scale", "found"), [("linear", False), ("symlog", True), ("log", True)])
def test_small_numbers_count_where_the_scale_shows_them(scale, found):
    figure = changed(["axes", 0, "x scale"], scale)
    other = copy.deepcopy(figure)
    for drawing, small in ((figure, "0.01"), (other, "0.0104")):
        drawing["axes"][0]["parts"][0]["x"] = f"{small} 1 10"
    assert bool(figure_record.difference(figure, other)) == found


def test_a_mesh_that_is_bent_is_refused(ax):
    ax.pcolormesh([[0, 1], [0.5, 1.5]], [[0, 0], [1, 1]], [[1]])
    with pytest.raises(TypeError, match="a mesh whose cells are no rectangles"):
        read(ax.figure)


def test_nothing_is_stored_for_what_is_no_figure_of_the_book():
    stored = sorted((CHAPTERS[0].parent / "figures").iterdir())
    assert [path.stem for path in stored] == [path.stem for path in CHAPTERS]
    names = [f"{path.stem} {name}" for path in CHAPTERS for name in figure_record.load(path)]
    assert sorted(names) == sorted(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_the_book_has_its_data(name):
    cell, record = FIGURES[name]
    pngs = [output["data"]["image/png"] for output in cell["outputs"] if "data" in output]
    assert list(figure_record.problems(record, pngs, copy.deepcopy(record))) == []
    assert any(axes["parts"] for figure in record for axes in figure["axes"])


def test_data_are_stored_of_figures_that_are_there_and_of_no_others():
    stored = (CHAPTERS[0].parent / "figures").iterdir()
    named = [
        f"{path.stem} {cell}" for path in stored for cell in json.loads(path.read_text("utf-8"))
    ]
    assert sorted(named) == sorted(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_1_percent_is_found_wherever_a_figure_of_the_book_plots_a_number(name):
    (figure,) = FIGURES[name][1]
    for number, axes in enumerate(figure["axes"]):
        span = np.ptp(np.array(axes["y limits"].split(), float))
        for index, part in enumerate(axes["parts"]):
            largest = np.abs(np.array(part["y"].split(), float)).max(initial=0)
            shows = "values" in part or axes["y scale"] == "log" or largest > 0.002 * span
            for by, found in ((1.01, True), (1 + 1e-7, False)):
                other = copy.deepcopy(figure)
                other["axes"][number]["parts"][index] = scaled(part, by)
                if shows or not found:
                    assert bool(figure_record.difference(figure, other)) == found


FIGURE = {
    "texts": ["above"],
    "axes": [
        {
            "labels": ["", "name", "", "x", "y"],
            "x scale": "linear",
            "y scale": "log",
            "x limits": "0 10",
            "y limits": "1e-6 1",
            "x ticks": [],
            "y ticks": [],
            "legend": ["a"],
            "parts": [
                {"kind": "line", "x": "0 1 10", "y": "1e-5 nan 1"},
                {"kind": "text", "text": "here", "x": "1", "y": "1e-3"},
            ],
        }
    ],
}
CHANGES = {
    "texts": (["texts"], ["beyond"], "its texts were ['above'], now ['beyond']"),
    "axes": (["axes"], [], "it had 1 axes, now 0"),
    "label": (["axes", 0, "labels", 3], "z", "axes 1: labels were"),
    "scale": (["axes", 0, "y scale"], "linear", "axes 1: y scale were log, now linear"),
    "ticks": (["axes", 0, "x ticks"], ["0"], "axes 1: x ticks were [], now ['0']"),
    "legend": (["axes", 0, "legend"], [], "axes 1: legend were ['a'], now []"),
    "limit": (["axes", 0, "x limits"], "0 10.1", "1 of 2 numbers of its x limits differ, one was"),
    "kind": (["axes", 0, "parts", 0, "kind"], "area", "it showed line, text; now area, text"),
    "count": (["axes", 0, "parts", 0, "x"], "0 1", "line 1: its x had 3 numbers, now 2"),
    "x": (["axes", 0, "parts", 0, "x"], "0 1.02 10", "one was 1 and is 1.02"),
    "y": (["axes", 0, "parts", 0, "y"], "1.01e-5 nan 1", "one was 1e-05 and is 1.01e-05"),
    "nan": (["axes", 0, "parts", 0, "y"], "1e-5 1 nan", "2 of 3 numbers of its y differ"),
    "text": (["axes", 0, "parts", 1, "text"], "there", "text 2: was 'here', now 'there'"),
    "moved": (["axes", 0, "parts", 1, "y"], "2e-3", "text 2: 1 of 1 numbers of its y differ"),
}


def changed(path, value):
    figure = copy.deepcopy(FIGURE)
    part = figure
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return figure


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_said(name):
    path, value, said = CHANGES[name]
    assert said in figure_record.difference(FIGURE, changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["axes", 0, "parts", 0, "x"], "0.00005 1.0005 10.0005"),  # rounding noise, unseen
        (["axes", 0, "parts", 0, "y"], "1.0005e-5 nan 1.0005"),
    ],
)
def test_what_nobody_sees_may_differ(path, value):
    assert figure_record.difference(FIGURE, changed(path, value)) is None


def test_a_figure_far_from_zero_is_compared_by_what_its_axis_shows():
    """1 in 100,000 of a number near 1000 is 1 % of an axis from 1000 to 1001."""
    figure = changed(["axes", 0, "x limits"], "1000 1001")
    figure["axes"][0]["parts"][0]["x"] = "1000 1000.5 1001"
    other = copy.deepcopy(figure)
    other["axes"][0]["parts"][0]["x"] = "1000 1000.51 1001"
    assert "one was 1000.5 and is 1000.51" in figure_record.difference(figure, other)
