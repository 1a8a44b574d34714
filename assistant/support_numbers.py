"""Numbers as they are written: digits or words, with a unit, as a range or as a share."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from assistant.support_words import listed

UNITS = {
    # to hours, milligrams, millilitres, millimetres, per cent; None keeps the unit as it is
    **dict.fromkeys(listed("second seconds sec secs"), ("time", 1 / 3600)),
    **dict.fromkeys(listed("minute minutes min mins"), ("time", 1 / 60)),
    **dict.fromkeys(listed("hour hours hr hrs h"), ("time", 1.0)),
    **dict.fromkeys(listed("day days daily"), ("time", 24.0)),
    **dict.fromkeys(listed("week weeks weekly wk wks"), ("time", 168.0)),
    **dict.fromkeys(listed("month months monthly mo"), ("time", 730.0)),
    **dict.fromkeys(listed("year years yearly yr yrs annually"), ("time", 8760.0)),
    **dict.fromkeys(listed("decade decades"), ("time", 87600.0)),
    **dict.fromkeys(listed("mcg microgram micrograms µg ug μg"), ("mass", 0.001)),
    **dict.fromkeys(listed("mg milligram milligrams milligramme mgs"), ("mass", 1.0)),
    **dict.fromkeys(listed("g gram grams gm gramme grammes"), ("mass", 1e3)),
    **dict.fromkeys(listed("kg kilogram kilograms kilo kilos kilogrammes"), ("mass", 1e6)),
    **dict.fromkeys(listed("lb lbs pound pounds"), ("pound", 1.0)),
    **dict.fromkeys(listed("ml milliliter milliliters millilitre millilitres cc"), ("vol", 1.0)),
    **dict.fromkeys(listed("dl deciliter decilitre deciliters"), ("vol", 100.0)),
    **dict.fromkeys(listed("l liter liters litre litres"), ("vol", 1000.0)),
    **dict.fromkeys(listed("mm millimeter millimeters millimetre millimetres"), ("len", 1.0)),
    **dict.fromkeys(listed("cm centimeter centimeters centimetre centimetres"), ("len", 10.0)),
    **dict.fromkeys(listed("m meter meters metre metres"), ("len", 1000.0)),
    **dict.fromkeys(listed("inch inches"), ("inch", 1.0)),
    **dict.fromkeys(listed("percent % percentage"), ("%", 1.0)),
    **dict.fromkeys(listed("c celsius °c"), ("c", 1.0)),
    **dict.fromkeys(listed("f fahrenheit °f"), ("f", 1.0)),
    **dict.fromkeys(["mmhg"], ("mmhg", 1.0)),
    **dict.fromkeys(listed("mmol millimole millimoles"), ("mol", 1.0)),
    **dict.fromkeys(listed("mol mole moles"), ("mol", 1000.0)),
    **dict.fromkeys(["meq"], ("meq", 1.0)),
    **dict.fromkeys(["iu"], ("iu", 1.0)),
    **dict.fromkeys(listed("calorie calories kcal"), ("kcal", 1.0)),
    **dict.fromkeys(listed("times time fold"), ("times", 1.0)),
    **dict.fromkeys(listed("drop drops"), ("drops", 1.0)),
    **dict.fromkeys(listed("dose doses"), ("dose", 1.0)),
}  # fmt: skip
_SYMBOLS = {"microgram": "mcg", "milligram": "mg", "gram": "g", "kilogram": "kg"} | {
    "milliliter": "ml", "millilitre": "ml", "liter": "l", "litre": "l", "millimeter": "mm",
    "millimetre": "mm", "centimeter": "cm", "centimetre": "cm", "percent": "%",
}  # fmt: skip
_SPELLED = re.compile(rf"(?<=\d)[ -]?({'|'.join(_SYMBOLS)})(?:me)?s?\b", re.IGNORECASE)
NUMBER_WORDS = {
    word: float(value)
    for value, word in enumerate(
        listed(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty"""
)
    )
} | {
    "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0,
    "ninety": 90.0, "twice": 2.0, "double": 2.0, "doubles": 2.0, "triple": 3.0, "thrice": 3.0,
    "dozen": 12.0, "once": 1.0,
}  # fmt: skip
SCALES = {"hundred": 100.0, "thousand": 1000.0, "million": 1e6, "billion": 1e9}
_ROUND = 0.11  # of a share
FRACTIONS = {"half": 50.0, "quarter": 25.0, "third": 100 / 3, "thirds": 100 / 3}
_SHARES = (
    (re.compile(r"\bhal(?:f|ves|ved|ving)\b", re.IGNORECASE), FRACTIONS["half"]),
    (re.compile(r"\ba third\b", re.IGNORECASE), FRACTIONS["third"]),
    (re.compile(r"\ba quarter\b", re.IGNORECASE), FRACTIONS["quarter"]),
)


def short_units(text: str) -> str:
    """Units after figures as cards write them: 5 milligrams become 5 mg."""
    return _SPELLED.sub(lambda match: f" {_SYMBOLS[match[1].lower()]}", text)


@dataclass(slots=True)
class Number:
    """A number with its unit (in the base unit of its dimension) and its place."""

    text: str
    value: float
    unit: str  # "" where none is given
    place: int
    weak: bool = False  # "one" and "once", which often count nothing
    bound: str = ""  # atleast, atmost, above, below
    loose: bool = False  # a share in words, or one of so many: rounder than a figure


def value_of(digits: str) -> float:
    plain = "".join(str(unicodedata.digit(c, c)) for c in digits)
    return float(plain.replace(",", "").replace("·", "."))


def number_word(token: str) -> float | None:
    if token[0].isdecimal():
        return float(token)
    return NUMBER_WORDS.get(token)


def read_number(tokens: list[str], at: int) -> tuple[Number, int]:
    """The number that begins at a token, and the place after it (its unit included)."""
    value = number_word(tokens[at])
    assert value is not None  # the caller looked
    text, end = tokens[at].removesuffix(".0"), at + 1
    weak = tokens[at] in ("one", "once", "double", "doubles")

    def token(place: int) -> str:
        return tokens[place] if place < len(tokens) else ""

    if value >= 20 and value % 10 == 0 and 0 < NUMBER_WORDS.get(token(end), 0) < 10:
        value, text, end = value + NUMBER_WORDS[token(end)], f"{text} {token(end)}", end + 1
    while token(end) in SCALES:
        value, text, end = value * SCALES[token(end)], f"{text} {token(end)}", end + 1
    if token(end) in FRACTIONS and token(at) in ("one", "two", "three"):
        text, value = f"{text} {token(end)}", value * FRACTIONS[token(end)]
        return Number(text, value, "%", at, loose=True), end + 1
    counted = end + (token(end + 1) in ("in", "out") and token(end) not in UNITS)  # "1 child in 50"
    if token(counted) in ("in", "out") and value < 1000 and (whole := _whole(tokens, counted + 1)):
        scaled, after = whole
        if scaled > value and (counted == end or token(after) not in UNITS):
            text = f"{text} in {scaled:g}"
            return Number(text, 100 * value / scaled, "%", at, loose=True), after
    if token(end) == "per" and token(end + 1) == "cent":
        return Number(f"{text} %", value, "%", at), end + 2
    unit = token(end)
    if unit in UNITS and not (unit in ("m", "l", "g", "h") and token(at)[0].isalpha()):
        name, factor = UNITS[unit]
        return Number(f"{text} {unit}", value * factor, name, at), end + 1
    return Number(text, value, "", at, weak), end


def _whole(tokens: list[str], place: int) -> tuple[float, int] | None:
    """The number that begins here, perhaps after "of" or "every", and the place after it."""
    place += place < len(tokens) and tokens[place] in ("of", "every")
    whole = number_word(tokens[place]) if place < len(tokens) else None
    if not whole:
        return None
    place += 1
    while place < len(tokens) and tokens[place] in SCALES:
        whole, place = whole * SCALES[tokens[place]], place + 1
    return whole, place


def shares_in_words(text: str) -> list[Number]:
    """Shares that stand without a figure: "half of them", "a third", "halves the risk"."""
    return [
        Number(match[0], value, "%", 0, loose=True)
        for pattern, value in _SHARES
        for match in pattern.finditer(text)
    ]


def same_share(one: Number, other: Number) -> bool:
    """Whether two shares may tell of the same; one in words is round: a third may be 30 %."""
    if one.unit != "%" or other.unit != "%":
        return False
    return (one.loose or other.loose) and abs(one.value - other.value) <= _ROUND * other.value


def share_units(numbers: list[Number], tokens: list[str]) -> None:
    """Give the first number of "10 to 15 mg" the unit of the last."""
    for one, other in reversed(list(pairwise(numbers))):
        if one.unit or not other.unit or other.place - one.place > 3:
            continue
        between = set(tokens[one.place + 1 : other.place])
        if between <= {"to", "-", "and", "or", "atmost", "until"}:
            factor = next((f for _, (n, f) in UNITS.items() if n == other.unit), 1.0)
            last = other.text.rsplit(" ", 1)[-1]
            factor = UNITS[last][1] if last in UNITS else factor
            one.value, one.unit, one.weak = one.value * factor, other.unit, False
