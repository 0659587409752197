"""The ledger says what the notebooks say, each claim once, and nothing contradicts itself."""

import copy
import json
import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gradnb.claims import CLAIMS, cited, verdict
from tools import ledger

ROOT = Path(__file__).parents[1]


def cell(source, capsys):
    """Make a code cell of some source and what it prints."""
    exec(source, {"verdict": verdict, "cited": cited, "math": math, "np": np})
    output = {"output_type": "stream", "name": "stdout", "text": capsys.readouterr().out}
    return {"cell_type": "code", "id": "x", "source": source, "outputs": [output]}


HOLDS = 'verdict("E1", "error", 1e-9, "<", 1e-8)'
WHEN = 'verdict("B1", "gap", 0.1, "<", 1, when="alone", outside=5)'
FAILS = 'verdict("C2", "loss: the mean", 3, "<", 1, instead="It swings.")'
CITED = 'cited("D10", "It says so.", "A paper (in a journal), 2020")'


# --- the book's own


@pytest.fixture(scope="module")
def book():
    return ledger.read()


def test_every_claim_of_a_written_chapter_is_settled_once(book):
    assert not book[1], "\n" + "\n".join(book[1])


def test_the_page_is_up_to_date(book):
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.write(book[0]), (
        "the notebooks say something else than chapters/claims.md: run `make notebooks`"
    )


def test_every_claim_has_its_chapter():
    claims = [claim for chapter in ledger.CHAPTERS.values() for claim in chapter.claims.split()]
    assert sorted(claims) == sorted(CLAIMS)
    written = {path.stem for path in ledger.FOLDER.glob("*.ipynb")} - {"index"}
    assert written <= set(ledger.CHAPTERS)


@pytest.mark.parametrize("name", ["README.md", "chapters/index.ipynb"])
def test_how_many_claims_are_settled_is_said_rightly(book, name):
    text = (ROOT / name).read_text(encoding="utf-8")
    said = re.findall(r"(\d+ of the|All)\s+(\d+)\s+claims", text)
    settled = "All" if len(book[0]) == len(CLAIMS) else f"{len(book[0])} of the"
    assert said == [(settled, str(len(CLAIMS)))]


# --- one cell


def test_what_a_cell_has_settled(capsys):
    found, problems = ledger.read_cell(cell("\n".join([HOLDS, WHEN, FAILS, CITED]), capsys), "sgd")
    assert problems == []
    assert list(found) == ["E1", "B1", "C2", "D10"]
    assert [ledger.kind(entry) for entry in found.values()] == [
        "holds", "holds when", "fails", "cited",
    ]  # fmt: skip
    assert found["C2"].verdict == {
        "claim": "C2",
        "word": "fails",
        "measure": "loss: the mean",
        "value": "3",
        "outside": None,
        "relation": "<",
        "threshold": "1",
    }
    assert found["B1"].verdict["outside"] == "5"
    assert found["B1"].verdict["word"] == "holds when alone"
    assert found["C2"].instead == "It swings."
    assert found["B1"].instead is None
    assert found["D10"].cited == {
        "claim": "D10",
        "says": "It says so.",
        "source": "A paper (in a journal), 2020",
    }


def test_a_claim_of_two_halves_has_two_lines(capsys):
    both = f'verdict("D10", "gain", 2, ">", 1)\n{CITED}'
    found, problems = ledger.read_cell(cell(both, capsys), "sgd")
    assert problems == []
    assert found["D10"].verdict["value"] == "2"
    assert found["D10"].cited["says"] == "It says so."
    assert ledger.kind(found["D10"]) == "holds"
    assert "| holds, partly cited |" in ledger.write(found)


@pytest.mark.parametrize("relation", ["<", "<=", ">", ">="])
@pytest.mark.parametrize(
    "value", [0, -3.2, 0.5, 0.4999, 0.50001, 1e-15, -1e-15, 3e-7, 123456, math.inf, -math.inf]
)
@pytest.mark.parametrize("outside", [None, 0.5, 7, 0.499999, math.inf])
def test_whatever_a_verdict_prints_is_understood(capsys, value, relation, outside):
    if outside is None:
        verdict("E1", "slope", value, relation, 0.5, instead="x")
    else:
        verdict("E1", "slope", value, relation, 0.5, when="y", outside=outside, instead="x")
    line = capsys.readouterr().out.splitlines()[1]
    parts = ledger.VERDICT.fullmatch(line).groupdict()
    assert list(ledger._contradictions(**parts)) == []
    for number, exact in (("value", value), ("outside", outside)):
        if exact is not None and not parts[number].startswith("< "):
            assert float(parts[number]) == pytest.approx(exact, rel=0.05)


def edited(capsys, source, old, new):
    changed = cell(source, capsys)
    text = changed["outputs"][0]["text"]
    assert old in text
    changed["outputs"][0]["text"] = text.replace(old, new)
    return changed


@pytest.mark.parametrize(
    ("source", "old", "new", "problem"),
    [
        (HOLDS, "holds", "fails", "E1 says 'fails', but its numbers say 'holds'"),
        (HOLDS, "error 1e-9", "error 1e-7", "E1 says 'holds', but its numbers say 'fails'"),
        (HOLDS, "< 1e-8", "> 1e-8", "E1 says 'holds', but its numbers say 'fails'"),
        (HOLDS, "< 1e-8", "< 1e-10", "E1 says 'holds', but its numbers say 'fails'"),
        (HOLDS, "error 1e-9", "error < 1e-12", None),
        (HOLDS, "1e-9 (threshold < 1e-8", "< 1e-12 (threshold > 0", "cannot be told from its"),
        (WHEN, "otherwise", "or so", "not how it reads"),
        (WHEN, "5 otherwise", "0.5 otherwise", "says 'holds when alone', but its numbers say"),
        (WHEN, "holds when alone", "holds", "says 'holds', but its numbers say 'holds when'"),
        (WHEN, "5 otherwise (threshold < 1", "< 1e-12 otherwise (threshold < 0", "cannot be told"),
        (FAILS, "fails", "holds", "C2 says 'holds', but its numbers say 'fails'"),
        (FAILS, "\nInstead: It swings.", "", "what is true instead goes with a failure"),
        (HOLDS, "1e-8)\n", "1e-8)\nInstead: x\n", "what is true instead goes with a failure"),
        (HOLDS, " (threshold < 1e-8)", "", "this is not how it reads when it is verdict"),
        (HOLDS, "numerical gradient", "gradient", "E1 stands under"),
        (HOLDS, "Claim E1", "Claim E2", "E1 stands under"),
        (HOLDS, "\nE1", "\n\nE1", "E1 stands under ''"),
        (CITED, ". (A", " (A", "this is not how it reads when it is cited"),
        (HOLDS, "E1", "E9", "E9 stands under 'Claim E9"),
    ],
)
def test_a_line_that_contradicts_itself_is_refused(capsys, source, old, new, problem):
    problems = ledger.read_cell(edited(capsys, source, old, new), "sgd")[1]
    assert (problem is None and problems == []) or any(problem in found for found in problems)


@pytest.mark.parametrize(
    "source",
    [
        'print("Claim E4. " + CLAIMS["E4"])\nprint("E4 holds: gap 0 (threshold < 1)")',
        "def decide():\n    pass",
        'verdict("E2", "error", 1e-9, "<", 1e-8)',
    ],
)
def test_a_verdict_comes_from_a_call_in_its_cell(capsys, source):
    printed = cell(HOLDS, capsys)
    printed["source"] = source
    (problem,) = ledger.read_cell(printed, "sgd")[1]
    assert "but prints verdict E1" in problem


def test_a_call_that_printed_nothing_is_noticed(capsys):
    silent = cell(HOLDS, capsys)
    silent["outputs"] = []
    assert ledger.read_cell(silent, "sgd") == ({}, ["calls verdict E1, but prints nothing"])


def test_one_verdict_a_claim_in_a_cell(capsys):
    problems = ledger.read_cell(cell(f"{HOLDS}\n{HOLDS}", capsys), "sgd")[1]
    assert problems == ["E1 is settled 2 times"]


# --- several notebooks


@pytest.fixture
def folder(tmp_path):
    for path in ledger.FOLDER.glob("*.ipynb"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change(folder, name, edit):
    path = folder / f"{name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"] = [new for old in notebook["cells"] for new in edit(old)]
    path.write_text(json.dumps(notebook), encoding="utf-8")


def settles(claim, cell):
    return cell["cell_type"] == "code" and claim in ledger.read_cell(cell, "")[0]


def test_a_claim_without_a_verdict_is_missed(folder):
    change(folder, "backprop", lambda cell: [] if settles("B10", cell) else [cell])
    settled, problems = ledger.read(folder)
    assert problems == ["backprop has no verdict on B10, which it is to settle"]
    assert "B10" not in settled


def test_a_claim_settled_twice_is_noticed(folder):
    def twice(cell):
        return [cell, copy.deepcopy(cell) | {"id": "again"}] if settles("B10", cell) else [cell]

    change(folder, "backprop", twice)
    (problem,) = ledger.read(folder)[1]
    assert problem == "B10 is settled 2 times: backprop, cell b10; backprop, cell again"


def test_a_claim_settled_in_another_chapter_is_noticed(folder):
    (folder / "backprop.ipynb").rename(folder / "elsewhere.ipynb")
    assert "B10 is settled in elsewhere, not in backprop" in ledger.read(folder)[1]


def test_a_chapter_to_come_leaves_its_claims_open(folder):
    (folder / "backprop.ipynb").unlink()
    settled, problems = ledger.read(folder)
    assert problems == []
    assert "B10" not in settled
    row = next(line for line in ledger.write(settled).splitlines() if "**B10**" in line)
    assert row.split(" | ")[1:] == ["open", "", "Backpropagation, to come |"]


# --- the page


def test_a_row_shows_the_line_and_links_to_the_cell(capsys):
    found, _ = ledger.read_cell(cell(f"{FAILS}\n{WHEN}", capsys), "sgd")
    lines = ledger.write(found).splitlines()
    row = next(line for line in lines if "**C2**" in line)
    assert row == (
        f"| **C2** {CLAIMS['C2']} | fails | loss: the mean **3**<br>(threshold \\< 1)"
        "<br>*Instead:* It swings. | [Stochastic descent](#claim-c2) |"
    )
    row = next(line for line in lines if "**B1**" in line)
    assert "| holds when alone | gap **0.1** then, **5** otherwise<br>(threshold \\< 1) |" in row


def test_marks_of_markdown_are_taken_as_text(capsys):
    source = 'verdict("E1", "a|b of $x_1$ <b> [c](d)", 1, "<", 2)'
    page = ledger.write(ledger.read_cell(cell(source, capsys), "sgd")[0])
    assert r"a\|b of \$x\_1\$ \<b\> \[c\](d) **1**" in page


def test_the_summary_counts(capsys):
    found, _ = ledger.read_cell(cell("\n".join([HOLDS, WHEN, FAILS, CITED]), capsys), "sgd")
    assert ledger.summary(found) == (
        "4 of 62 claims are settled: 1 holds, 1 holds under a condition, 1 fails, 1 could only be "
        "looked up. The other 58 are open."
    )
    everything = dict.fromkeys(CLAIMS, found["E1"])
    assert ledger.summary(everything) == "62 of 62 claims are settled: 62 hold."
    del everything["D8"]
    assert ledger.summary(everything).endswith(": 61 hold. The other one is open.")
    assert Counter(ledger.kind(None) for _ in range(2)) == {"open": 2}


def test_the_command_writes_the_page_and_tells_what_is_wrong(folder, monkeypatch, capsys):
    monkeypatch.setattr(ledger, "ROOT", folder)
    monkeypatch.setattr(ledger, "PAGE", folder / "claims.md")
    monkeypatch.setattr(ledger.read, "__defaults__", (folder,))
    assert ledger.main() == 0
    assert capsys.readouterr().out == "written    claims.md\n"
    assert ledger.main() == 0
    assert capsys.readouterr().out == ""
    change(folder, "backprop", lambda cell: [] if settles("B10", cell) else [cell])
    assert ledger.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert said == ["backprop has no verdict on B10, which it is to settle", "written    claims.md"]
