"""What a class gets to read: right, complete, and harmless whatever a student wrote."""

import copy
import csv
import os
import random
import re
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from grading import explanations, report, table
from grading.explanations import Rubric, merge_points, read_points
from grading.filenames import file_names, file_stem
from grading.pages import HURRIED_ERROR, MEANING, unwrapped, write_pages

TITLE = "Problem set 1: Backpropagation"
SAYS = "Adds to `.grad` instead of overwriting it."
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "</title></style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "a\u202etxt.exe\u2066",
    "nul\x00bell\x07escape\x1b[2J",
    "half of a pair: \ud800",
    "javascript:alert(1)",
    '=HYPERLINK("http://x","y")',
    "x" * 1_000_000,
)


def check(passed, error="", says=SAYS, name="adds", points=2):
    return {
        "name": name,
        "points": points if passed else 0,
        "max_points": points,
        "passed": passed,
        "says": says,
        "error": error,
    }


def task(name, *checks, status="graded", note="", cells=()):
    return {
        "name": name,
        "title": f"Task. {name} ({sum(c['max_points'] for c in checks)} points)",
        "status": status,
        "note": note,
        "points": sum(c["points"] for c in checks),
        "max_points": sum(c["max_points"] for c in checks),
        "checks": [*checks],
        "cells": [{"cell": n, "error": error} for n, error in cells],
    }


def explanation(text="Because **so**.", points=None, comment="", name="why"):
    return {
        "name": name,
        "title": "Task 5. Why? (3 points)",
        "max_points": 3,
        "points": points,
        "comment": comment,
        "text": text,
        "missing": False,
    }


def result(student="ana", *, status="graded", note="", tasks=None, texts=None, file=None):
    tasks = [task("norm", check(True), check(False, "NameError: x"))] if tasks is None else tasks
    texts = [explanation()] if texts is None else texts
    points = [part["points"] for part in [*tasks, *texts] if part["points"] is not None]
    return {
        "student": student,
        "set": "ps1_backprop",
        "file": f"{student}/ps1_backprop.ipynb" if file is None else file,
        "status": status,
        "note": note,
        "seed": 0,
        "score": sum(points) if tasks else None,
        "max_score": 7,
        "tasks": tasks,
        "explanations": texts,
    }


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def page(path):
    return BeautifulSoup(Path(path).read_text(encoding="utf-8"), "html.parser")


def feedback(out, student="ana"):
    return page(out / "feedback" / file_names([student])[student])


def words(tag):
    return " ".join(tag.get_text(" ").split())


def fill(out, *points, comment="", column="points"):
    """Do what a teacher does: write points into the rows of explanations.csv, in their order."""
    path = out / "explanations.csv"
    table_rows = rows(path)
    for row, value in zip(table_rows, points, strict=True):
        row[column], row["comment"] = value, comment or row["comment"]
    store(path, table_rows)
    return table_rows


def store(path, table_rows, **how):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, explanations.HEAD, **how)
        writer.writeheader()
        writer.writerows(table_rows)


# --- grades.csv


def test_the_table_has_a_row_for_each_submission_in_order(tmp_path):
    class_ = [
        result("zoe", status="timed out", note="it took too long"),
        result("bo", status="unreadable", tasks=[], texts=[]),
        result("ana", texts=[explanation(points=2.5)]),
    ]
    write_pages(TITLE, class_, tmp_path)
    assert (tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines() == [
        "student,set,status,score,max_score,norm,why,waiting,note,file",
        "ana,ps1_backprop,graded,4.5,7,2,2.5,0,,ana/ps1_backprop.ipynb",
        "bo,ps1_backprop,unreadable,,7,,,0,,bo/ps1_backprop.ipynb",
        "zoe,ps1_backprop,timed out,2,7,2,,3,it took too long,zoe/ps1_backprop.ipynb",
    ]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "=cmd|' /C x'!A0"],
)
def test_no_cell_is_taken_for_a_formula(tmp_path, text):
    write_pages(TITLE, [result(text, note=text, texts=[explanation(text)])], tmp_path)
    (row,) = rows(tmp_path / "grades.csv")
    for name in ("student", "note", "file"):
        assert not re.match(r"\s*[=+\-@\t\r＝]", row[name]), name
    assert table.fused(table.defused(text)) == table.plain(text)


def test_a_cell_is_changed_only_where_it_must_be():
    assert [table.defused(x) for x in (3, -2, 2.5, 1 / 3, 0.1 + 0.2, None)] == [
        *("3", "-2", "2.5", "0.333333", "0.3", "")
    ]
    for text in ("ana", "a=b", "'quoted'", "Zoë, the “second”\nline", "007", "العربية"):
        assert table.fused(table.defused(text)) == text == table.defused(text)


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_pages(TITLE, [result()], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    old = (tmp_path / "grades.csv").read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_pages(TITLE, [result(), result("bo")], tmp_path)
    assert (tmp_path / "grades.csv").read_bytes() == old
    assert sorted(tmp_path.rglob("*")) == before, "something unfinished was left"


# --- names of files


def test_file_names_are_safe_and_nobody_elses():
    students = [
        *("ana", "Ana", "ANA", "ü", "u", "../x", "..", ".", "", "/etc/passwd", "a/b", "a-b", "a b"),
        *("CON", "con", "nul.txt", "COM1", "lpt9.x", "x" * 300, "x" * 301, "x.", "x", "-x", "~x"),
        *(
            "ana@uni.edu",
            "a\nb",
            "a\0b",
            "a\ud800",
            "é",
            "e\u0301",
            "؀",
            "<script>",
            "x~0123456789",
        ),
    ]
    students += [file_stem(student) for student in students]  # a name that looks like another's
    assert len({file_stem(student) for student in students}) == len(set(students))
    names = file_names(students)
    assert len({name.casefold() for name in names.values()}) == len(set(students))
    for name in names.values():
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+~ -]*\.html", name)
        assert len(name) < 100
        assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.IGNORECASE)
    assert file_names(["ana", "B12"]) == {"ana": "ana.html", "B12": "B12.html"}, (
        "plain ones are kept"
    )


def test_pages_of_students_who_are_gone_are_removed_and_nothing_else_is(tmp_path):
    write_pages(TITLE, [result("ana"), result("bo")], tmp_path)
    (tmp_path / "feedback" / "mine.html").write_text("<!doctype html>\n<p>mine", encoding="utf-8")
    write_pages(TITLE, [result("ana")], tmp_path)
    assert {path.name for path in (tmp_path / "feedback").iterdir()} == {"ana.html", "mine.html"}


# --- a student's page


def test_feedback_tells_each_check_its_points_and_the_students_own_error(tmp_path):
    done = task("lin", check(True, says="Works for a batch of one.", name="one"))
    failed = task(
        "norm", check(False, "ValueError: shapes (4,3) (3,4)"), cells=[(7, "NameError: y")]
    )
    write_pages(TITLE, [result(tasks=[done, failed])], tmp_path)
    text = words(feedback(tmp_path))
    assert (
        "2 of 7 points so far. A person has yet to read what you wrote, for up to 3 points." in text
    )
    assert "✓ Passed Works for a batch of one. 2 of 2" in text
    assert "✗ Failed Adds to .grad instead of overwriting it. 0 of 2" in text
    assert "Your code said: ValueError: shapes (4,3) (3,4)" in text
    assert "Cell 7 NameError: y" in text
    assert "3 points, waits for a person" in text
    assert "Because **so**." in text, "what the student wrote is shown as it was written"
    assert MEANING["graded"][1] in text, "what to do about a failed check"
    assert "Task. lin 2 of 2 points" in text, "the points stand there once"


def test_feedback_shows_points_and_comment_given_by_hand(tmp_path):
    comment = "Which factor?\n- say it"
    write_pages(TITLE, [result(texts=[explanation(points=1, comment=comment)])], tmp_path)
    text = words(feedback(tmp_path))
    assert "Task 5. Why? 1 of 3 points" in text
    assert "Which factor? - say it" in text
    assert "waits" not in text
    assert "so far" not in text


def test_a_comment_is_not_shown_before_there_are_points(tmp_path):
    write_pages(TITLE, [result(texts=[explanation(comment="compare with bo's")])], tmp_path)
    assert "compare with" not in words(feedback(tmp_path))


@pytest.mark.parametrize("status", report.STATUSES)
def test_every_status_says_what_it_means_and_what_to_do(tmp_path, status):
    nothing = status == "unreadable"
    parts = {"tasks": [], "texts": []} if nothing else {}
    write_pages(TITLE, [result(status=status, note="see <here>", **parts)], tmp_path)
    text = words(feedback(tmp_path))
    assert f"Status: {status}" in text
    assert "see <here>" in text
    assert all(sentence in text for sentence in MEANING[status])
    assert ("No points yet." in text) == nothing


def test_a_cell_that_stopped_is_named_once_with_the_error_of_its_own_task(tmp_path):
    hurried, whole = (7, HURRIED_ERROR), (7, "it was stopped after 2 s")
    tasks = [
        task(f"t{n}", check(True), cells=[cell]) for n, cell in enumerate([hurried, whole, hurried])
    ]
    write_pages(TITLE, [result(tasks=tasks)], tmp_path)
    text = words(feedback(tmp_path))
    assert text.count("Cell 7") == 1
    assert "Cell 7 it was stopped after 2 s" in text


def test_full_marks_ask_for_nothing(tmp_path):
    write_pages(TITLE, [result(tasks=[task("a", check(True))], texts=[])], tmp_path)
    assert MEANING["graded"][1] not in words(feedback(tmp_path))


def test_feedback_gives_no_answer_and_no_hidden_input_away(tmp_path):
    """The pages are made from results alone, and show no field that is not meant for students."""
    secret = result()
    secret |= {"seed": 73317331, "key": "k73317331", "digest": "d73317331"}
    secret["tasks"][0]["checks"][1] |= {"expected": "e73317331", "given": "g73317331"}
    write_pages(TITLE, [secret], tmp_path, {"why": Rubric("q", "answer73317331", "scheme73317331")})
    assert "73317331" not in (tmp_path / "feedback" / "ana.html").read_text(encoding="utf-8")


# --- hostile strings


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Write the pages of a class in which every string that a student can choose is hostile."""
    out = tmp_path_factory.mktemp("hostile")
    class_ = [
        result(
            text[:300] + str(n),
            status=random.Random(n).choice(report.STATUSES),
            note=text,
            file=text,
            tasks=[
                task("norm", check(False, text), note=text, status="crashed", cells=[(1, text)])
            ],
            texts=[explanation(text, points=n % 2 or None, comment=text)],
        )
        for n, text in enumerate(HOSTILE)
    ]
    rubrics = {"why": Rubric(*HOSTILE[:3])}
    write_pages(HOSTILE[0], class_, out, rubrics)
    return out


def test_hostile_strings_stay_text(hostile):
    pages = sorted(hostile.rglob("*.html"))
    assert len(pages) == 2 + len(HOSTILE)
    for path in pages:
        raw = path.read_text(encoding="utf-8")
        assert "\x00" not in raw
        assert not re.search("[\x01-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", raw)
        soup = BeautifulSoup(raw, "html.parser")
        assert not soup.select("script, img, iframe, object, embed, base, form, input, link")
        for tag in soup.find_all(True):
            assert not [name for name in tag.attrs if name.lower().startswith("on")], tag
            where = tag.get("href", "#")
            assert where[0] == "#" or where == "explanations.html" or where.startswith("feedback/")
        assert len(soup.select("title")) == len(soup.select("main")) == 1
        policy = soup.select_one("meta[http-equiv]")["content"]
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    text = words(page(hostile / "explanations.html"))
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert "⟨U+202E⟩" in text


def test_a_text_without_end_is_cut(hostile):
    sizes = [path.stat().st_size for path in hostile.rglob("*.html")]
    assert max(sizes) < 250_000
    assert "(980,000 more characters)" in words(page(hostile / "explanations.html"))


def test_every_link_of_the_report_leads_to_a_page(hostile):
    links = page(hostile / "report.html").select("a[href^=feedback]")
    assert {hostile / unquote(link["href"]) for link in links} == {*hostile.glob("feedback/*")}


def test_hostile_tables_can_be_read_back(hostile):
    for name in ("grades.csv", "explanations.csv"):
        found = rows(hostile / name)
        assert len(found) == len(HOSTILE)
        for row in found:
            assert None not in row
            assert not [cell for cell in row.values() if re.match(r"\s*[=+\-@\t\r]", cell)]
            assert max(map(len, row.values())) <= 32_767, "what a cell of a spreadsheet holds"


# --- the class report


def test_the_report_counts(tmp_path):
    one, two = "Works for a batch of one.", "Leaves `x` alone."
    tasks = [
        task("a", check(n > 2, says=one, name="1"), check(n > 0, says=two, name="2"))
        for n in range(4)
    ]
    class_ = [result(f"s{n}", tasks=[tasks[n]], texts=[]) for n in range(4)]
    class_ += [result("gone", status="unreadable", note="empty file", tasks=[], texts=[])]
    write_pages(TITLE, class_, tmp_path)
    soup = page(tmp_path / "report.html")
    tables = [[words(row) for row in found.select("tr")] for found in soup.select("table")]
    assert "graded All tasks were run and compared. 4" in tables[0]
    assert "unreadable No notebook could be read; nothing was run. 1" in tables[0]
    assert tables[1][1:] == ["0 1", "1 0", "2 2", "3 0", "4 1", "5 0", "6 0", "7 0"]
    assert tables[2][1:] == [
        "Works for a batch of one. Task. a 3 of 4",
        "Leaves x alone. Task. a 1 of 4",
    ]
    assert tables[3][1:] == ["Task. a 2.00 of 4"]
    assert tables[4][1:] == ["gone unreadable: empty file gone/ps1_backprop.ipynb"]
    scores = enumerate([0, 2, 2, 4])
    graded = [f"s{n} graded {score} of 7" for n, score in scores]
    assert tables[5][1:] == ["gone unreadable – of 7", *graded]
    text = words(soup)
    assert "Half have 2 or more; the least is 0, the most 4." in text
    assert "Without 1 that a person has to look at first." in text
    assert soup.select_one("td.bar span")["style"] == "width: 75.0%"
    assert len(soup.select("svg[role=img] rect")) == 8


def test_only_scores_that_stand_are_counted():
    class_ = [result(status, status=status) for status in report.STATUSES]
    assert len(report.scores(class_)) == 3, "graded, timed out, crashed"


def test_the_histogram_holds_every_score():
    for most in (0, 1, 7, 20, 21, 29, 40, 99, 100, 101):
        class_ = [
            result(f"s{n}") | {"score": n / 2, "max_score": most} for n in range(2 * most + 1)
        ]
        bars = report.histogram(class_)
        assert sum(count for _, count in bars) == len(class_), most
        assert len(bars) <= (21 if most <= 20 else 11)


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_of_none_and_of_one(tmp_path, count):
    write_pages(TITLE, [result()] * count, tmp_path)
    assert len(rows(tmp_path / "grades.csv")) == len(rows(tmp_path / "explanations.csv")) == count
    text = words(page(tmp_path / "report.html"))
    assert f"Class report: {count} submission" in text
    assert ("No submission has a score yet." in text) == (count == 0)
    assert ("There are no explanations." in words(page(tmp_path / "explanations.html"))) == (
        not count
    )
    assert merge_points([result()] * count, tmp_path) == [result()] * count


def test_a_thousand_students_take_seconds(tmp_path):
    class_ = [
        result(f"student{n}", tasks=[task(f"t{k}", *[check(n % 2)] * 4) for k in range(5)])
        for n in range(1000)
    ]
    began = time.process_time()
    write_pages(TITLE, class_, tmp_path)
    assert time.process_time() - began < 5
    assert len(list((tmp_path / "feedback").iterdir())) == 1000


# --- explanations


def test_rubrics_come_from_the_source():
    mark = {"nbgrader": {"grade": True, "solution": True, "grade_id": "why", "points": 3}}
    source = """### BEGIN SOLUTION
The factors multiply.

So they vanish.
### END SOLUTION

=== BEGIN MARK SCHEME ===
2 points: a product. 1 point: of *many* factors.
=== END MARK SCHEME ==="""
    cells = [
        nbformat.v4.new_markdown_cell("## Task 5. Why?"),
        nbformat.v4.new_markdown_cell(source, metadata=mark),
    ]

    class ProblemSet:
        source = nbformat.v4.new_notebook(cells=cells)

    assert explanations.rubrics(ProblemSet) == {
        "why": Rubric(
            "## Task 5. Why?",
            "The factors multiply.\n\nSo they vanish.",
            "2 points: a product. 1 point: of *many* factors.",
        )
    }


def test_a_rubric_is_shown_without_its_line_breaks():
    text = "One sentence\nand more.\n\n- 1 point: so\n  and so\n- 2 points\n1. one\n2. two\n   too"
    assert unwrapped(text) == (
        "One sentence and more.\n\n- 1 point: so and so\n- 2 points\n1. one\n2. two too"
    )


def test_the_mean_of_an_explanation_is_told_when_all_are_graded():
    given = [result(texts=[explanation(points=1)]), result(texts=[explanation(points=2)])]
    assert [(mean.title, mean.mean) for mean in report.means(given)][1:] == [
        ("Task 5. Why? (3 points)", 1.5)
    ]
    given[1]["explanations"][0]["points"] = None
    assert len(report.means(given)) == 1


def test_the_page_for_grading_names_nobody_and_has_all(tmp_path):
    class_ = [result(f"student-{n:02}", texts=[explanation(f"answer {n}")]) for n in range(30)]
    class_[7]["explanations"][0]["text"] = "YOUR ANSWER HERE"
    class_[8]["explanations"][0] |= {"text": "", "missing": True}
    rubrics = {"why": Rubric("the question", "the answer", "2 points: so")}
    write_pages(TITLE, class_, tmp_path, rubrics)
    soup = page(tmp_path / "explanations.html")
    raw = str(soup)
    assert "student-" not in raw
    assert all(text in raw for text in ("the question", "the answer", "2 points: so"))
    shown = [words(article) for article in soup.select("article")]
    codes = [text.split()[0] for text in shown]
    order = [int(found[1]) for text in shown if (found := re.search(r"answer (\d+)", text))]
    assert sorted(order) == [n for n in range(30) if n not in (7, 8)]
    assert order != sorted(order), "the order tells who wrote what"
    assert "No answer" in shown[-1] + shown[-2]
    assert "not in the notebook" in shown[-1] + shown[-2]
    table_rows = rows(tmp_path / "explanations.csv")
    assert [row["code"] for row in table_rows] == codes
    assert {row["points"] for row in table_rows} == {""}
    assert "student" not in (tmp_path / "explanations.csv").read_text(encoding="utf-8")
    assert all(re.fullmatch("[a-z]{5}-[a-z]{5}", code) for code in codes), (
        "none is a number or date"
    )


def class_of_three():
    return [result(name, texts=[explanation(f"by {name}")]) for name in ("ana", "bo", "cy")]


def test_points_that_are_filled_in_reach_every_page_and_are_kept(tmp_path):
    write_pages(TITLE, class_of_three(), tmp_path)
    given = fill(tmp_path, "3", "", "1.5", comment="=good, “really”")
    whose = {explanations.code(r, r["explanations"][0]): r["student"] for r in class_of_three()}
    expected = {
        (whose[row["code"]], "why"): (float(row["points"]), "=good, “really”")
        for row in given
        if row["points"]
    }
    for _ in range(3):
        assert read_points(tmp_path / "explanations.csv") == expected
        merged = merge_points(class_of_three(), tmp_path)
        write_pages(TITLE, merged, tmp_path)
    for r in merged:
        points, comment = expected.get((r["student"], "why"), (None, "=good, “really”"))
        assert (r["explanations"][0]["points"], r["explanations"][0]["comment"]) == (
            points,
            comment,
        )
        assert r["score"] == 2 + (points or 0)
        row = next(row for row in rows(tmp_path / "grades.csv") if row["student"] == r["student"])
        assert (row["why"], row["waiting"]) == (
            ("", "3") if points is None else (table.number(points), "0")
        )
        assert ("really" in words(feedback(tmp_path, r["student"]))) == (points is not None)


def test_points_are_kept_by_a_run_that_does_not_merge_them(tmp_path):
    write_pages(TITLE, class_of_three(), tmp_path)
    before = fill(tmp_path, "3", "2", "", comment="not yet sure")
    write_pages(TITLE, class_of_three(), tmp_path)
    assert rows(tmp_path / "explanations.csv") == before
    assert len(read_points(tmp_path / "explanations.csv")) == 2


def test_points_can_be_taken_back(tmp_path):
    write_pages(TITLE, class_of_three(), tmp_path)
    fill(tmp_path, "3", "2", "1")
    merged = merge_points(class_of_three(), tmp_path)
    write_pages(TITLE, merged, tmp_path)
    fill(tmp_path, "", "2", "1")
    merged = merge_points(merged, tmp_path)
    assert sum(r["explanations"][0]["points"] is None for r in merged) == 1
    write_pages(TITLE, merged, tmp_path)
    assert len(read_points(tmp_path / "explanations.csv")) == 2


def test_another_answer_waits_again_and_the_first_ones_points_are_not_lost(tmp_path):
    first, second = class_of_three(), class_of_three()
    second[0]["explanations"][0]["text"] = "handed in again"
    write_pages(TITLE, first, tmp_path)
    fill(tmp_path, "3", "3", "3")
    merged = merge_points(copy.deepcopy(second), tmp_path)
    assert merged[0]["explanations"][0]["points"] is None
    write_pages(TITLE, merged, tmp_path)
    assert len(rows(tmp_path / "explanations.csv")) == 4
    assert {student for student, _ in read_points(tmp_path / "explanations.csv")} == {"bo", "cy"}
    merged = merge_points(copy.deepcopy(first), tmp_path)
    assert [r["explanations"][0]["points"] for r in merged] == [3, 3, 3]


def test_points_of_a_student_who_is_gone_for_a_while_are_kept(tmp_path):
    write_pages(TITLE, class_of_three(), tmp_path)
    fill(tmp_path, "3", "3", "3")
    write_pages(TITLE, class_of_three()[1:], tmp_path)
    assert {student for student, _ in read_points(tmp_path / "explanations.csv")} == {"bo", "cy"}
    write_pages(TITLE, class_of_three(), tmp_path)
    assert len(read_points(tmp_path / "explanations.csv")) == 3


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("4", "row 3, code .*: points must be from 0 to 3, got 4"),
        ("-1", "row 3, code .*: points must be from 0 to 3, got -1"),
        ("nan", "points must be from 0 to 3, got nan"),
        ("inf", "points must be from 0 to 3, got inf"),
        ("two", "row 3, code .*: points must be a number, got 'two'"),
        ("2/3", "points must be a number, got '2/3'"),
    ],
)
def test_points_that_cannot_be_are_refused_by_their_row(tmp_path, value, problem):
    write_pages(TITLE, class_of_three(), tmp_path)
    fill(tmp_path, "3", value, "1")
    with pytest.raises(ValueError, match=problem):
        read_points(tmp_path / "explanations.csv")
    unchanged = class_of_three()
    with pytest.raises(ValueError, match=problem):
        merge_points(unchanged, tmp_path)
    assert unchanged == class_of_three()
    write_pages(TITLE, class_of_three(), tmp_path)
    written = [row["points"] for row in rows(tmp_path / "explanations.csv")]
    assert written[0] == "3"
    assert table.fused(written[1]) == value, "what was filled in wrongly is there to be put right"


def test_unknown_and_doubled_rows_are_refused_all_at_once(tmp_path):
    write_pages(TITLE, class_of_three(), tmp_path)
    path = tmp_path / "explanations.csv"
    found = fill(tmp_path, "3", "2", "1")
    found += [found[0] | {"points": "2"}, {**found[1], "code": "zzzzz-zzzzz"}]
    found += [dict.fromkeys(found[0], "")]
    store(path, found)
    with pytest.raises(ValueError, match="cannot be taken over") as error:
        read_points(path)
    assert [line.split(":")[0] for line in str(error.value).splitlines()[1:]] == ["row 5", "row 6"]
    assert "is in row 2, too" in str(error.value)
    assert "nobody's answer has the code zzzzz-zzzzz" in str(error.value)
    write_pages(TITLE, class_of_three(), tmp_path)
    assert len(rows(path)) == 5, "what is wrong is kept until somebody has put it right"


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-8", ","), ("cp1252", ";")],
)
def test_the_table_is_read_as_spreadsheets_save_it(tmp_path, encoding, delimiter):
    write_pages(TITLE, class_of_three(), tmp_path)
    path = tmp_path / "explanations.csv"
    found = fill(tmp_path, "2,5", "2.0", "0", comment="schön")
    found = [
        row | {"code": row["code"].capitalize(), "points": row["points"] + " "} for row in found
    ]
    store(path, found[::-1], delimiter=delimiter)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    values = read_points(path).values()
    assert sorted(values) == [(0, "schön"), (2, "schön"), (2.5, "schön")]
    explanations.write_points(class_of_three(), tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "or Excel takes ö for two letters"
    assert sorted(read_points(path).values()) == sorted(values)


@pytest.mark.parametrize(
    "raw", [b"", b"code,points\n", b"PK\x03\x04\xff\xfe", b"student,points\nana,3\n"]
)
def test_a_table_that_is_none_is_not_written_over(tmp_path, raw):
    write_pages(TITLE, class_of_three(), tmp_path)
    (tmp_path / "explanations.csv").write_bytes(raw)
    with pytest.raises(ValueError, match="must have the columns"):
        merge_points(class_of_three(), tmp_path)
    with pytest.raises(ValueError, match="must have the columns"):
        write_pages(TITLE, [*class_of_three(), result("dan")], tmp_path)
    assert (tmp_path / "explanations.csv").read_bytes() == raw
    assert (tmp_path / "feedback" / "dan.html").exists(), "the rest is written"


# --- in a browser


SCREENS = {
    "light": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_are_accessible_and_fit_and_ask_for_nothing(browser, hostile, screen):
    context = browser.new_context(**SCREENS[screen])
    visit, problems = context.new_page(), []
    visit.on("dialog", lambda dialog: (problems.append("a dialog"), dialog.dismiss()))
    visit.on("request", lambda r: r.url.startswith("file:") or problems.append(f"asks: {r.url}"))
    visit.on("pageerror", lambda error: problems.append(str(error)))
    names = ["report.html", "explanations.html"]
    names += [f"feedback/{path.name}" for path in sorted((hostile / "feedback").iterdir())[:4]]
    for name in names:
        visit.goto((hostile / name).as_uri())
        problems += [
            f"{name}: {found['id']}: {found['nodes'][0]['html'][:100]}"
            for found in Axe().run(visit).response["violations"]
        ]
        width = visit.evaluate("document.documentElement.scrollWidth")
        if width > SCREENS[screen]["viewport"]["width"]:
            problems.append(f"{name} is {width} px wide")
        levels = visit.evaluate(
            "[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])"
        )
        assert levels[0] == 1
        assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    context.close()
    assert not problems, "\n".join(problems)
