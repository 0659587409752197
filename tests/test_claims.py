"""The verdict is computed from the number, and prints the same on every machine."""

import math
from collections import Counter

import numpy as np
import pytest

from gradnb.claims import ARTICLES, CLAIMS, cited, verdict


def line(capsys, *arguments, **options):
    assert verdict(*arguments, **options) is None
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Claim {arguments[0]}. {CLAIMS[arguments[0]]}"
    return second


def test_the_claims():
    assert len(CLAIMS) == 62
    assert Counter(claim[0] for claim in CLAIMS) == {"A": 19, "B": 17, "C": 8, "D": 10, "E": 8}
    assert list(CLAIMS) == [
        f"{a}{i}" for a, n in zip("ABCDE", (19, 17, 8, 10, 8), strict=True) for i in range(1, n + 1)
    ]
    assert list(ARTICLES) == list("ABCDE")
    assert len(set(CLAIMS.values())) == 62
    for text in CLAIMS.values():
        assert text == " ".join(text.split())
        assert not text.endswith(".")


@pytest.mark.parametrize(
    ("value", "relation", "threshold", "word"),
    [
        (1.0, "<", 2, "holds"),
        (2.0, "<", 2, "fails"),
        (3.0, "<", 2, "fails"),
        (1.0, "<=", 2, "holds"),
        (2.0, "<=", 2, "holds"),
        (3.0, "<=", 2, "fails"),
        (1.0, ">", 2, "fails"),
        (2.0, ">", 2, "fails"),
        (3.0, ">", 2, "holds"),
        (1.0, ">=", 2, "fails"),
        (2.0, ">=", 2, "holds"),
        (3.0, ">=", 2, "holds"),
        (math.inf, ">", 2, "holds"),
        (-math.inf, ">", 2, "fails"),
    ],
)
def test_the_word_comes_from_the_number(capsys, value, relation, threshold, word):
    expected = f"B2 {word}: slope {value:.2g} (threshold {relation} 2)"
    assert line(capsys, "B2", "slope", value, relation, threshold) == expected


@pytest.mark.parametrize(
    ("inside", "outside", "word"),
    [
        (3.0, 1.0, "holds when the gain is 1"),
        (3.0, 4.0, "holds"),
        (1.0, 3.0, "fails"),
        (1.0, 1.0, "fails"),
    ],
)
def test_a_condition_needs_both_sides(capsys, inside, outside, word):
    said = line(capsys, "B2", "slope", inside, ">", 2, when="the gain is 1", outside=outside)
    assert said == f"B2 {word}: slope {inside:g} then, {outside:g} otherwise (threshold > 2)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (1e-13, "< 1e-12"),
        (-1e-13, "< 1e-12"),
        (9.999e-13, "< 1e-12"),
        (1e-12, "1e-12"),
        (-1e-12, "-1e-12"),
        (0.126, "0.13"),
        (99.7, "100"),
        (-1234.0, "-1200"),
        (99999.0, "100000"),
        (123456.0, "1.2e+5"),
        (2.4e-9, "2e-9"),
        (2.4e-6, "2.4e-6"),
        (7, "7"),
        (np.float64(0.25), "0.25"),
        (np.float32(0.25), "0.25"),
        (math.inf, "inf"),
    ],
)
def test_rounding(capsys, value, shown):
    said = line(capsys, "E1", "error", value, "<", 1)
    assert said.split(": error ")[1] == f"{shown} (threshold < 1)"
    said = line(capsys, "E1", "error", 0, "<", 1, when="x", outside=value)
    assert f"0 then, {shown} otherwise" in said


def test_the_word_is_decided_before_rounding(capsys):
    assert line(capsys, "E1", "error", 1e-15, ">", 0) == "E1 holds: error < 1e-12 (threshold > 0)"


@pytest.mark.parametrize(
    ("value", "relation", "threshold", "shown"),
    [
        (0.4999, "<", 0.5, "0.4999 (threshold < 0.5)"),
        (0.5, "<", 0.5, "0.5 (threshold < 0.5)"),
        (99.7, "<", 100, "99.7 (threshold < 100)"),
        (100.3, ">", 100, "100.3 (threshold > 100)"),
        (2.4e-9, ">", 2e-9, "2.4e-9 (threshold > 2e-9)"),
        (1.0, ">", 0.125, "1 (threshold > 0.125)"),
        (np.nextafter(1.0, 2), ">", 1, "1.0000000000000002 (threshold > 1)"),
    ],
)
def test_the_printed_number_is_on_the_side_of_the_threshold_that_it_is_on(
    capsys, value, relation, threshold, shown
):
    assert line(capsys, "E1", "error", value, relation, threshold).endswith(f": error {shown}")
    said = line(
        capsys, "E1", "error", threshold, relation, threshold, when="x", outside=float(value)
    )
    assert f"then, {shown.split(' (')[0]} otherwise" in said


@pytest.mark.parametrize(("value", "printed"), [(1.0, False), (3.0, True)])
def test_instead_is_printed_where_the_claim_fails(capsys, value, printed):
    verdict("B2", "slope", value, "<", 2, instead="It grows.")
    said = capsys.readouterr().out.splitlines()
    assert said[2:] == ["Instead: It grows."] * printed
    verdict("B2", "slope", value, "<", 2, when="x", outside=5.0, instead="It grows.")
    assert len(capsys.readouterr().out.splitlines()) == 2 + printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"claim": "A20"}, "claim must be one of A1 to E8, got 'A20'"),
        ({"claim": "F1"}, "claim must be one of A1 to E8, got 'F1'"),
        ({"claim": "a1"}, "claim must be one of A1 to E8, got 'a1'"),
        ({"relation": "=="}, "relation must be one of <, <=, >, >=, got '=='"),
        ({"when": "x"}, "when and outside go together"),
        ({"outside": 1.0}, "when and outside go together"),
        ({"when": "x: y", "outside": 1.0}, "when must not hold a colon, .* got 'x: y'"),
        ({"value": math.nan}, "must not be NaN, got nan, 1, None"),
        ({"threshold": math.nan}, r"must not be NaN, got 0\.5, nan, None"),
        ({"when": "x", "outside": math.nan}, r"must not be NaN, got 0\.5, 1, nan"),
    ],
)
def test_errors_print_nothing(capsys, change, message):
    arguments = {"claim": "A1", "measure": "m", "value": 0.5, "relation": "<", "threshold": 1}
    with pytest.raises(ValueError, match=message):
        verdict(**arguments | change)
    assert capsys.readouterr().out == ""


def test_cited(capsys):
    cited("C4", "It resets the state.", "Keras documentation, 2026")
    assert capsys.readouterr().out.splitlines() == [
        f"Claim C4. {CLAIMS['C4']}",
        "C4 cited: It resets the state. (Keras documentation, 2026)",
    ]
    with pytest.raises(ValueError, match="claim must be one of A1 to E8, got 'X'"):
        cited("X", "says", "source")
    assert capsys.readouterr().out == ""
