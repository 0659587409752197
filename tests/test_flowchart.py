"""The flow chart keeps its text in its boxes, and its boxes apart."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gradnb import plotting
from gradnb.flowchart import ladder

START, END = "The loss has stopped falling.", ("Finished", "Is the loss low enough?")
RUNGS = [
    ("Is it a short question?", "Yes", "Then do this."),
    ("Is it a question that needs several lines in its box, since it is long? " * 2, "A", "b"),
    ("Short?", "A long answer that goes on and on and on", "With advice that goes on, too. " * 4),
]


@pytest.fixture(params=[(6.4, 8.0), (4.0, 7.0)])
def ax(request):
    plotting.use_style()
    figure, ax = plt.subplots(figsize=request.param)
    ladder(ax, START, RUNGS, END)
    figure.canvas.draw()
    yield ax
    plt.close(figure)


def boxes(ax):
    return [patch.get_window_extent() for patch in ax.patches]


def written(ax):
    return [text for text in ax.texts if text.get_text() not in {"", "yes", "no"}]


def test_every_text_is_there_and_in_a_box_of_its_own(ax):
    words = " ".join(text.get_text() for text in written(ax)).split()
    given = " ".join([START, *itertools.chain(*RUNGS), *END]).split()
    assert sorted(words) == sorted(given)
    for text in written(ax):
        inner = text.get_window_extent()
        around = [box for box in boxes(ax) if box.contains(*inner.min) and box.contains(*inner.max)]
        assert len(around) == 1
    for one, other in itertools.combinations(written(ax), 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent())


def test_boxes_are_apart_and_on_the_page(ax):
    assert len(boxes(ax)) == 2 + 2 * len(RUNGS)
    page = ax.figure.bbox
    for box in boxes(ax):
        assert page.contains(*box.min)
        assert page.contains(*box.max)
    for one, other in itertools.combinations(boxes(ax), 2):
        assert not one.overlaps(other)


def test_labels_touch_no_box(ax):
    labels = [text for text in ax.texts if text.get_text() in {"yes", "no"}]
    assert [label.get_text() for label in labels].count("yes") == len(RUNGS)
    for label in labels:
        assert not any(label.get_window_extent().overlaps(box) for box in boxes(ax))


def test_arrows_lead_from_box_to_box(ax):
    """Down from each box of the left column to the next, and right from each question."""
    edges = ax.transData.inverted()
    placed = [edges.transform(box.get_points()) for box in boxes(ax)]
    arrows = [note for note in ax.texts if note.get_text() == ""]
    assert len(arrows) == 1 + 2 * len(RUNGS)
    ends = set()
    for arrow in arrows:
        pair = []
        for x, y in (arrow.xyann, arrow.xy):
            touching = [
                i
                for i, ((x0, y0), (x1, y1)) in enumerate(placed)
                if (np.isclose([x, x], [x0, x1]).any() and y0 < y < y1)
                or (np.isclose([y, y], [y0, y1]).any() and x0 < x < x1)
            ]
            assert len(touching) == 1
            pair += touching
        ends.add(tuple(pair))
        middle = ax.transData.transform((np.array(arrow.xyann) + arrow.xy) / 2)
        assert not any(box.contains(*middle) for box in boxes(ax))
    questions = [0, 1, 3, 5]
    assert ends == {(a, a + 1) for a in questions[1:]} | {(0, 1), (1, 3), (3, 5), (5, 7)}


def test_errors():
    figure, ax = plt.subplots(figsize=(6.4, 2))
    with pytest.raises(ValueError, match="rungs must hold at least one question, got none"):
        ladder(ax, START, [], END)
    with pytest.raises(ValueError, match=r"left must be from 0.2 to 0.8, got 0.9"):
        ladder(ax, START, RUNGS, END, left=0.9)
    with pytest.raises(ValueError, match=r"ax must be at least \d+ points higher to hold"):
        ladder(ax, START, RUNGS, END)
    with pytest.raises(ValueError, match=r"every word must fit its box of \d+ points, got 'a{99}'"):
        ladder(ax, "a" * 99, RUNGS, END)
    plt.close(figure)
