"""Quantities of a sentence in the writing of the card: 72 hours where the card says 3 days.

What compares two texts by words and vectors cannot calculate. A quantity that equals one of the
card's is put in the card's figures before they look; one that equals none stays as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from assistant.support_numbers import NUMBER_WORDS, UNITS, value_of

_CONVERTED = ("time", "mass", "vol", "len", "mol")
_OTHERWISE = ("second", "sec", "m", "h", "mo")  # an order, or a letter of another meaning
_RATES = ("daily", "weekly", "monthly", "yearly", "annually")
_NAMES = [
    name
    for name, (dimension, _) in UNITS.items()
    if dimension in _CONVERTED and name not in (*_OTHERWISE, *_RATES)
]
_NO_COUNT = ("zero", "once", "twice", "thrice", "double", "doubles", "triple", "dozen")
_COUNTS = {word: value for word, value in NUMBER_WORDS.items() if word not in _NO_COUNT}


def _any_of(words: list[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_TENS = _any_of([word for word, value in _COUNTS.items() if value >= 20])
_REST = _any_of([word for word, value in _COUNTS.items() if value < 20])
_FIGURE = rf"\d+(?:,\d{{3}})*(?:\.\d+)?|(?:{_TENS})(?:[ -](?:{_REST}))?|{_REST}"
_UNIT = rf"(?:{_any_of(_NAMES)})(?!\w)"
_QUANTITY = re.compile(
    rf"(?<![\w.,])(?P<low>{_FIGURE})"
    rf"(?:(?:[ -]?(?P<first>{_UNIT}))?(?: to | or |-| - )(?P<high>{_FIGURE}))?"
    rf"[ -]?(?P<unit>{_UNIT})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """Lower and upper end in the base unit of a dimension, and where it stands in a text."""

    low: float
    high: float
    dimension: str
    factor: float  # of the unit that it is written in
    text: str
    start: int

    def equals(self, other: _Quantity) -> bool:
        return (
            self.dimension == other.dimension
            and math.isclose(self.low, other.low, rel_tol=1e-6)
            and math.isclose(self.high, other.high, rel_tol=1e-6)
        )


def as_written(sentence: str, card: str) -> str:
    """The sentence with each quantity that the card has too in the card's figures and unit."""
    if not (said := list(_quantities(sentence))):  # so in most sentences: the card needs no look
        return sentence
    theirs = list(_quantities(card))
    for mine in reversed(said):
        same = [other for other in theirs if mine.equals(other)]
        if same and mine.text not in [other.text for other in same]:
            nearest = min(same, key=lambda other: other.factor != mine.factor)
            end = mine.start + len(mine.text)
            sentence = f"{sentence[: mine.start]}{nearest.text}{sentence[end:]}"
    return sentence


def _quantities(text: str) -> Iterator[_Quantity]:
    for match in _QUANTITY.finditer(text):
        dimension, factor = UNITS[match["unit"].lower()]
        first, own = UNITS[(match["first"] or match["unit"]).lower()]  # "1 day to 2 weeks"
        if first == dimension:
            low = _value(match["low"]) * own
            high = _value(match["high"]) * factor if match["high"] else low
            yield _Quantity(low, high, dimension, factor, match[0], match.start())


def _value(figure: str) -> float:
    if figure[0].isdigit():
        return value_of(figure)
    return sum(_COUNTS[word] for word in re.split("[ -]", figure.lower()))
