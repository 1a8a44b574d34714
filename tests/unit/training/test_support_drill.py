"""Made-up pairs: what they say of a card is judged by reading the card again."""

from __future__ import annotations

import re
from itertools import product

import pytest
import yaml

from training.support_drill import PATTERNS, Drill, pairs

# The second way of saying it exchanges the two: only who stands where makes the difference.
_ABOVE = {
    "things": {"stone": [f"stone{number}" for number in range(20)]},
    "reversible": [],
    "relations": [
        {
            "between": ["stone", "stone"],
            "says": ["{A} lies over {B}", "{B} lies under {A}"],
            "denies": ["{B} lies over {A}", "{A} lies under {B}"],
        }
    ],
    "joined": {"contrast": ["{X}, whereas {Y}", "{X}; {Y}"], "together": ["{X}, and {Y}"]},
    "asked": ["Where is {A}?"],
    "opened": ["", "Yes, "],
}
_SAID = re.compile(r"(\w+) lies (over|under) (\w+)((?:, not| rather than) (\w+))?")
_UNLIKE = re.compile(r"(?:unlike|in contrast to) (\w+), ")


def _claims(text: str) -> set[tuple[str, str, bool]]:
    """(upper, lower, whether it is said to be so), read from the text alone."""
    text = text.lower()
    unlike = _UNLIKE.search(text)
    claims = set()
    for one, how, other, _, not_this in _SAID.findall(text):
        claims.add((one, other, True) if how == "over" else (other, one, True))
        if not_this:
            claims.add((one, not_this, False) if how == "over" else (not_this, one, False))
        if unlike:
            claims.add((unlike[1], other, False) if how == "over" else (other, unlike[1], False))
    return claims


def _holds(card: str, sentence: str) -> bool:
    known = {(upper, lower) for upper, lower, _ in _claims(card)}
    claims = _claims(sentence)
    assert claims, sentence
    return all(((upper, lower) in known) == so for upper, lower, so in claims)


def test_good_sentences_follow_from_their_card_and_wrong_ones_do_not() -> None:
    drill = Drill(_ABOVE, 1)
    kinds = set()
    for _ in range(300):
        for row in drill.card():
            kinds.add(row["kind"])
            assert _holds(row["answer"], row["sentence"]) == row["supported"], row
    assert kinds == {"roles", "exchanged", "direction", "entity", "merged", "contrast"}


def test_each_wrong_sentence_has_a_good_twin_of_the_same_card() -> None:
    rows = list(pairs(50, 3))
    assert len(rows) == 400
    for good, wrong in zip(rows[::2], rows[1::2], strict=True):
        assert (good["supported"], wrong["supported"]) == (True, False)
        assert good["answer"] == wrong["answer"]
        assert good["sentence"] != wrong["sentence"]


def test_a_seed_gives_the_same_pairs() -> None:
    assert list(pairs(5, 7)) == list(pairs(5, 7)) != list(pairs(5, 8))


PATTERN_FILE = yaml.safe_load(PATTERNS.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "relation",
    PATTERN_FILE["relations"],
    ids=lambda relation: "-".join([*relation["between"], relation["says"][0].split()[1]]),
)
def test_no_pattern_says_one_thing_and_its_contrary(relation: dict[str, list[str]]) -> None:
    assert set(relation["between"]) <= set(PATTERN_FILE["things"])
    contrary = [*relation["denies"], *relation.get("excludes", [])]
    for said, denied in product(relation["says"], contrary):
        assert said != denied
    for form in [*relation["says"], *contrary]:
        assert form.count("{A}") == form.count("{B}") == 1, form
    if relation["between"][0] == relation["between"][1]:  # A and B exchanged are not the same
        turned = {f.format(A="{B}", B="{A}") for f in relation["says"]}
        assert not turned & set(relation["says"])
