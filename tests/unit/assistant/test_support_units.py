"""Quantities of a sentence are put as the card writes them, where they are the very same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.support_units import as_written

CARD = (
    "Adults take 200 to 400 mg every 4 to 6 hours for up to 3 days. The fluid, 1.5 litres, runs in "
    "over 90 minutes. It is seen again after six weeks and after 2 years, and is 10 mm wide."
)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("for at most 72 hours", "for at most 3 days"),
        ("for seventy-two hours", "for 3 days"),
        ("0.2 to 0.4 g", "200 to 400 mg"),
        ("0.2-0.4 g every four to six hours", "200 to 400 mg every 4 to 6 hours"),
        ("200 mg to 400 mg", "200 to 400 mg"),
        ("1,500 ml in 1.5 hours", "1.5 litres in 90 minutes"),
        ("42 days, then 24 months", "six weeks, then 2 years"),
        ("1 cm wide", "10 mm wide"),
    ],
)
def test_the_same_quantity_is_put_as_the_card_has_it(said: str, written: str) -> None:
    assert as_written(said, CARD) == written


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("for at most 27 hours", id="another number"),
        pytest.param("0.3 g", id="inside a range"),
        pytest.param("200 to 600 mg", id="one end"),
        pytest.param("72 minutes", id="another unit"),
        pytest.param("3 ml", id="another dimension"),
        pytest.param("3 days", id="as the card"),
        pytest.param("in the third week, second by second", id="no quantity"),
        pytest.param("version 1.72 hours", id="the end of a number"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_stays(said: str) -> None:
    assert as_written(said, CARD) == said


@given(st.text(alphabet="0123456789 .,-mghdaysto"))
def test_a_card_beside_itself_stays(card: str) -> None:
    assert as_written(card, card) == card
