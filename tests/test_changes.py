"""The page that shows what changed in the outputs shows that, and nothing else."""

import base64
import functools
import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes

from tools import changes

X = np.linspace(0, 1, 50)
WALK = np.random.default_rng(0).normal(size=50).cumsum()
GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
NUMBERS = "steps 50\nloss 0.125\nerror 3e-9\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><desc>A line.</desc><path d="M0 0L{} 1"/></svg>'


@functools.cache
def drawing(factor):
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.plot(X, factor * WALK)
    file = io.BytesIO()
    fig.savefig(file)
    plt.close(fig)
    return base64.b64encode(file.getvalue()).decode()


def printing(name, text, source="print(…)"):
    return new_code_cell(source, id=name, outputs=[new_output("stream", text=text)])


def figure(name, factor):
    shown = {"text/plain": "<Figure size 400x300>", "image/png": drawing(factor)}
    alt, caption = f"A line that walks, in {name}.", f"The caption of {name}."
    about = {"figure": {"name": f"fig-{name}", "caption": caption}, "image": {"alt": alt}}
    output = new_output("display_data", data=shown)
    return new_code_cell(f"plot({name!r})", id=name, outputs=[output], metadata={"mystnb": about})


def chapter():
    return {
        "title": new_markdown_cell("# A walk\n\n## 1. It walks", id="title"),
        "numbers": printing("numbers", NUMBERS),
        "calm": printing("calm", "always the same\n"),
        "walk": figure("walk", 1),
        "still": figure("still", 2),
    }


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Put a book of one chapter under git; `changed` stores another and reads the page."""
    monkeypatch.setattr(changes, "ROOT", tmp_path)
    monkeypatch.setattr(changes, "PAGE", tmp_path / "_build" / "changes.html")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def store(cells, name="walk"):
        write(f"chapters/{name}.ipynb", writes(new_notebook(cells=list(cells.values()))))

    def commit():
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "A book"]):
            subprocess.run([*GIT, *command], check=True, cwd=tmp_path)

    def page(*arguments):
        monkeypatch.setattr(sys, "argv", ["changes", *arguments])
        changes.main()
        return BeautifulSoup(changes.PAGE.read_text(encoding="utf-8"), "html.parser")

    def changed(cells):
        store(cells)
        return page()

    store(chapter())
    write("requirements.txt", "# ours\nnumpy==2.4.5\n")
    write("constraints.txt", "numpy==2.4.5\nzipp==1.0 ; os_name == 'nt'\nsix==1.17.0\n")
    write("chapters/claims.md", "| A1 | holds |\n")
    write("chapters/live/net.svg", SVG.format(1))
    commit()
    return SimpleNamespace(
        changed=changed, commit=commit, page=page, store=store, write=write, folder=tmp_path
    )


def titles(page):
    return [heading.text.strip() for heading in page.select("h3")]


def lines(page, kind):
    return [line.text for line in page.select(f".diff > .{kind}")]


def test_nothing_changed_says_so(book):
    page = book.page()
    assert "Nothing changed" in page.main.text
    assert not page.select("img, .diff, table")


def test_a_changed_digit_is_shown_and_nothing_else(book, capsys):
    cells = chapter() | {"numbers": printing("numbers", NUMBERS.replace("0.125", "0.126"))}
    page = book.changed(cells)
    assert titles(page) == ["Cell 2 (numbers), under “1. It walks”"]
    assert lines(page, "gone") == ["− loss 0.125"]
    assert lines(page, "come") == ["+ loss 0.126"]
    assert [mark.text for mark in page.select("mark")] == ["125", "126"]
    assert lines(page, "soft") == ["  steps 50", "  error 3e-9"]
    assert page.h2.text == "A walk"
    assert not page.select("img")
    assert "1 text and 0 figures changed, in 1 file." in capsys.readouterr().out


def test_a_figure_changed_by_one_percent_is_shown_and_no_other(book):
    page = book.changed(chapter() | {"walk": figure("walk", 1.01)})
    assert [heading.text for heading in page.select("h4")] == ["fig-walk"]
    assert "The caption of walk." in page.main.text
    assert "of 120,000 pixels differ" in page.main.text
    before, after, difference = page.select("img")
    assert before["alt"] == "Before: A line that walks, in walk."
    assert after["alt"] == "After: A line that walks, in walk."
    assert "pixels differ" in difference["alt"]
    assert before["src"].endswith(drawing(1))
    assert after["src"].endswith(drawing(1.01))
    pixels = changes.figures.pixels(difference["src"].partition(",")[2])
    assert (pixels == [255, 0, 0, 255]).all(axis=2).any()


def test_noise_in_a_figure_is_not_a_change(book):
    page = book.changed(chapter() | {"walk": figure("walk", 1 + 1e-12)})
    assert "Nothing changed" in page.main.text


def test_figures_come_and_go(book):
    cells = chapter()
    cells["still"]["outputs"] = []
    cells["calm"]["outputs"] += figure("new", 3)["outputs"]
    page = book.changed(cells)
    assert [heading.text for heading in page.select("h4")] == [
        "a figure without a name",
        "fig-still",
    ]
    assert "There was no such figure before." in page.main.text
    assert "The figure is no longer there." in page.main.text
    assert [image["alt"] for image in page.select("img")] == [
        "After: a figure without a description",
        "Before: A line that walks, in still.",
    ]


def test_cells_come_and_go(book):
    cells = {"first": printing("first", "hello\n", "print('hello')"), **chapter()}
    del cells["calm"]
    page = book.changed(cells)
    assert titles(page) == [
        "Cell 1 (first), added",
        "Cell 3 (calm), under “1. It walks”, removed",
    ]
    assert lines(page, "come") == ["+ print('hello')", "+ hello"]
    assert lines(page, "gone") == ["− print(…)", "− always the same"]


def test_code_is_shown_where_the_output_changed_and_only_there(book):
    cells = chapter() | {
        "numbers": printing("numbers", NUMBERS + "more 1\n", "print(more)"),
        "calm": printing("calm", "always the same\n", "# a remark\nprint(…)"),
    }
    page = book.changed(cells)
    assert titles(page) == ["Cell 2 (numbers), under “1. It walks”"]
    assert lines(page, "come") == ["+ print(more)", "+ more 1"]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (new_output("stream", name="stderr", text="Warning: old"), "[stderr]"),
        (new_output("error", ename="E", evalue="", traceback=["\x1b[31mE: no\x1b[0m"]), "E: no"),
        (new_output("display_data", data={"text/html": "<b>no</b>"}), "<b>no</b>"),
        (new_output("execute_result", data={"text/plain": "{'a': 1}"}), "{'a': 1}"),
    ],
)
def test_every_kind_of_output_is_compared(book, output, line):
    cells = chapter()
    cells["calm"]["outputs"].append(output)
    assert f"+ {line}" in lines(book.changed(cells), "come")


def test_notebooks_come_and_go(book):
    (book.folder / "chapters" / "walk.ipynb").unlink()
    book.store({"only": printing("only", "alone\n")}, "new")
    page = book.page()
    assert [heading.text for heading in page.select("h2")] == ["chapters/new.ipynb", "A walk"]
    assert lines(page, "come") == ["+ print(…)", "+ alone"]
    assert len(page.select("img")) == 2


def test_the_ledger_and_the_live_figures_are_compared(book):
    book.write("chapters/claims.md", "| A1 | fails |\n")
    book.write("chapters/live/net.svg", SVG.format(2))
    page = book.page()
    assert "− | A1 | holds |" in lines(page, "gone")
    assert [image["alt"] for image in page.select("img")] == ["Before: A line.", "After: A line."]


def test_versions_that_moved_are_listed(book, capsys):
    book.write("requirements.txt", "# ours\nnumpy==2.4.6\n")
    book.write("constraints.txt", "numpy==2.4.6\nzipp==1.1 ; os_name == 'nt'\nuv==1.0\n")
    page = book.page()
    ours, others = (
        [[cell.text for cell in row.select("th, td")] for row in table.select("tbody tr")]
        for table in page.select("table")
    )
    assert ours == [["numpy", "2.4.5", "2.4.6"]]
    assert others == [["six", "1.17.0", "gone"], ["uv", "not there", "1.0"], ["zipp", "1.0", "1.1"]]
    assert "What came with it: 3 packages" in page.main.text
    assert "numpy: 2.4.5 → 2.4.6" in capsys.readouterr().out


def test_another_revision_can_be_named(book):
    book.changed(chapter() | {"numbers": printing("numbers", "steps 1\n")})
    book.commit()
    assert "Nothing changed" in book.page().main.text
    assert lines(book.page("HEAD~1"), "come") == ["+ steps 1"]
    with pytest.raises(SystemExit, match="git knows no revision 'v9'"):
        book.page("v9")


def test_what_a_notebook_holds_is_no_markup(book):
    page = book.changed(chapter() | {"calm": printing("calm", "<script>alert(1)</script>\n")})
    assert not page.select("script")
    assert lines(page, "come") == ["+ <script>alert(1)</script>"]


def test_what_a_failed_update_said_is_on_the_page(book):
    book.write("_build/update.log", "\x1b[31mFAILED\x1b[0m     chapters/walk.ipynb <module>\n")
    page = book.page("--failed", str(book.folder / "_build" / "update.log"))
    assert "FAILED     chapters/walk.ipynb <module>" in page.select_one(".failed pre").text


def test_the_page_in_a_browser(book, browser):
    """It needs no network, fits a phone, breaks no rule of axe and can be used by keyboard."""
    cells = chapter() | {"walk": figure("walk", 1.01)}
    cells["numbers"] = printing("numbers", NUMBERS.replace("5", "6") + "long " * 99, "print(0)")
    book.write("requirements.txt", "numpy==2.4.6\n")
    book.changed(cells)
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        asked, said = [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(changes.PAGE.as_uri())
        page.locator("summary").first.press("Enter")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate(AXE_SCRIPT)
        broken = page.evaluate("axe.run().then(run => run.violations)")
        assert not broken, json.dumps(broken, indent=1)
        page.locator("input[value=row]").press("ArrowRight")
        pictures = page.locator(".pictures img")
        assert [pictures.nth(i).is_visible() for i in range(3)] == [True, False, False]
        assert [url for url in asked if not url.startswith("data:")] == [changes.PAGE.as_uri()]
        assert not said
        page.close()
