"""An answer says what the question asks for and the card does not speak of."""

from __future__ import annotations

import pytest

from assistant.mismatch import COMPARED, DENIED, GROUP, notices
from index.cards import make_card

CAFFEINE = make_card(
    "How much caffeine is safe?", "Up to about 400 milligrams a day is safe for healthy adults."
)
VACCINE = make_card(
    "Who should get the flu vaccine?",
    "It is important for older adults and pregnant women. It has no live virus, so it cannot cause "
    "flu.",
)
ASPIRIN = make_card("Who may take aspirin?", "Most adults may. It is not for children under 16.")
PAIN = make_card(
    "How do ibuprofen and paracetamol differ?", "Ibuprofen lowers inflammation as well as pain."
)
FEVER = make_card("When does a baby with fever need help?", "Under 3 months, at once.")


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("how much caffeine can a baby have", "babies"),
        ("how much caffeine is safe for kids?", "children or teenagers"),
        ("caffeine for my 7 year old", "children or teenagers"),
        ("my 6-week-old had caffeine", "babies"),
        ("Is caffeine safe in pregnancy?", "pregnant women"),
        ("can my dog have caffeine", "animals"),
    ],
)
def test_another_group_than_the_cards(question: str, asked: str) -> None:
    assert list(notices(question, CAFFEINE)) == [GROUP.format(asked=asked)]


def test_adults_beside_a_card_on_babies() -> None:
    question = "When does an adult with fever need help?"
    assert list(notices(question, FEVER)) == [GROUP.format(asked="adults")]


@pytest.mark.parametrize(
    "question",
    [
        "Who should not get the flu vaccine?",
        "who shouldn't have a flu jab",
        "Which people do not need the flu vaccine?",
    ],
)
def test_what_is_not_beside_what_is(question: str) -> None:
    assert list(notices(question, VACCINE)) == [DENIED]


def test_a_comparison_with_what_the_card_lacks() -> None:
    question = "What is the difference between ibuprofen and naproxen?"
    assert list(notices(question, PAIN)) == [COMPARED.format(missing='"naproxen"')]


@pytest.mark.parametrize(
    ("question", "card"),
    [
        ("How much caffeine can a healthy adult have?", CAFFEINE),
        ("how much caffeine for a 45 year old", CAFFEINE),
        ("Who should not take aspirin?", ASPIRIN),
        ("can kids take aspirin", ASPIRIN),
        ("ibuprofen vs paracetamol", PAIN),
        ("What is the difference between paracetamol and ibuprofen?", PAIN),
        ("my baby has a fever", FEVER),
        ("what happens if I do not get the flu vaccine", VACCINE),
        ("why can't I take caffeine", CAFFEINE),
        ("what does the flu vaccine not cause", VACCINE),
        ("can I have caffeine after 6 wks", CAFFEINE),
        ("", CAFFEINE),
    ],
)
def test_nothing_to_say(question: str, card: object) -> None:
    assert list(notices(question, card)) == []  # type: ignore[arg-type]
