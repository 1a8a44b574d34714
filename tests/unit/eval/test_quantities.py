"""Numbers and units: read, matched, missed and invented."""

from __future__ import annotations

import re

import pytest

from eval.quantities import invented, kept, quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("Take 500 mg.", {(500.0, "mg")}),
        ("Take 500mg or 0.5 grams", {(500.0, "mg"), (0.5, "g")}),
        ("every 4 to 6 hours", {(4.0, "hour"), (6.0, "hour")}),
        ("1,000 ml at 38.5 °C", {(1000.0, "ml"), (38.5, "°c")}),
        ("5 % of people, 10 percent of men", {(5.0, "%"), (10.0, "%")}),
        ("a 10-day course", {(10.0, "day")}),
        ("vitamin B12 in 3 people", {(3.0, "")}),  # B12 is a name, not an amount
        ("4 mmol/l, 50 mg/day", {(4.0, "mmol/l"), (50.0, "mg")}),
        ("120 mmHg", {(120.0, "mmhg")}),
        ("5\N{GREEK SMALL LETTER MU}g and 5 mcg", {(5.0, "mcg")}),
    ],
)
def test_quantities(text: str, expected: set[tuple[float, str]]) -> None:
    assert quantities(text) == expected


@pytest.mark.parametrize(
    ("prediction", "reference", "share"),
    [
        ("Take 500 mg for 5 days", "500 mg, 5 days", 1.0),
        ("Take 500 g for 5 days", "500 mg, 5 days", 0.5),  # another unit is another amount
        ("Take 50 mg for 5 days", "500 mg, 5 days", 0.5),
        ("", "500 mg", 0.0),
        ("500 mg", "rest", None),
    ],
)
def test_kept(prediction: str, reference: str, share: float | None) -> None:
    assert kept(prediction, reference) == share


def test_invented() -> None:
    assert invented("500 mg and 3 days", "500 mg") == 0.5
    assert invented("rest", "500 mg") is None


def test_kept_agrees_with_an_independent_count_on_plain_numbers() -> None:
    for prediction, reference in [("1 2 3", "2 3 4"), ("7", "7 8 9 10"), ("x", "5")]:
        said, wanted = (set(re.findall(r"\d+", text)) for text in (prediction, reference))
        assert kept(prediction, reference) == len(said & wanted) / len(wanted)
