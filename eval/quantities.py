"""Numbers with their units: the part of a health answer where one wrong character does harm."""

from __future__ import annotations

import re

from index.text import fold

_NUMBER = r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?"
_QUANTITY = re.compile(
    rf"(?P<low>{_NUMBER})"
    rf"(?:\s*(?:-|\u2013|to|and|or)\s*(?P<high>{_NUMBER}))?"
    r"\s*-?\s*(?P<unit>%|°\s?[cf]\b|[a-zµμ]+(?:/[a-z0-9.]+)*)?"
)
_UNITS_TEXT = """
    mg: milligram milligrams
    g: gram grams gramme grammes
    kg: kilogram kilograms kilo kilos
    mcg: µg μg ug microgram micrograms
    ml: millilitre millilitres milliliter milliliters
    l: litre litres liter liters
    mmol/l: mmol/l
    mg/dl: mg/dl
    g/dl: g/dl
    g/l: g/l
    mmhg: mmhg
    cm: centimetre centimetres centimeter centimeters
    mm: millimetre millimetres millimeter millimeters
    m: metre metres meter meters
    %: percent
    °c: °c celsius
    °f: °f fahrenheit
    kcal: kcal calories
    iu: iu
    second: seconds sec secs s
    minute: minutes min mins
    hour: hours hr hrs h
    day: days
    week: weeks
    month: months
    year: years yr yrs
    time: times
"""
_CANONICAL = {
    name: canonical
    for line in _UNITS_TEXT.strip().splitlines()
    for canonical, names in [line.strip().split(": ")]
    for name in (canonical, *names.split())
}


def quantities(text: str) -> set[tuple[float, str]]:
    """Numbers of a text with their canonical unit, "" for none known: {(500.0, "mg")}.

    In a range both ends carry the unit: "4 to 6 hours" is 4 hours and 6 hours.
    """
    found: set[tuple[float, str]] = set()
    for match in _QUANTITY.finditer(fold(text)):
        written = (match["unit"] or "").replace(" ", "")
        unit = _CANONICAL.get(written) or _CANONICAL.get(written.partition("/")[0], "")
        found.add((_value(match["low"]), unit))
        if match["high"]:
            found.add((_value(match["high"]), unit))
    return found


def kept(prediction: str, reference: str) -> float | None:
    """Share of the reference's quantities that the prediction has; None if it has none."""
    wanted = quantities(reference)
    return len(wanted & quantities(prediction)) / len(wanted) if wanted else None


def invented(prediction: str, reference: str) -> float | None:
    """Share of the prediction's quantities that the reference lacks; None if it has none."""
    said = quantities(prediction)
    return len(said - quantities(reference)) / len(said) if said else None


def _value(digits: str) -> float:
    return float(digits.replace(",", ""))
