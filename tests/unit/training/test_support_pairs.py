from __future__ import annotations

import random
import re

import numpy as np
import pytest

from index.cards import make_card
from training import support_pairs

CARDS = [
    make_card(
        f"What is disease {name}?",
        f"Disease {name} is a chronic inflammation of the {organ} that lasts {n} weeks. "
        f"It can raise the pressure in the {organ}, and doctors often prescribe {drug} tablets.",
    )
    for n, (name, organ, drug) in enumerate(
        [
            ("alphosis", "kidney", "prednisolone"),
            ("betritis", "pancreas", "ibuprofen"),
            ("gammoma", "bladder", "amoxicillin"),
            ("deltitis", "stomach", "omeprazole"),
        ],
        start=3,
    )
]


def test_made_pairs_are_of_both_kinds_and_differ_in_what_the_card_says() -> None:
    vectors = np.eye(len(CARDS), dtype=np.float32)
    rows = [*support_pairs.made(CARDS, vectors, 4, random.Random(1))]
    good = [row for row in rows if row["supported"]]
    wrong = [row for row in rows if not row["supported"]]
    assert len(good) == 8
    assert len(wrong) >= 6
    for row in wrong:
        assert row["sentence"] not in row["answer"]
    cards = {card.answer for card in CARDS}
    assert {row["answer"] for row in rows} == cards


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (support_pairs._other_number("It lasts 3 weeks.", random.Random(0)), r"It lasts (?!3 )\d+"),
        (support_pairs._denied("It is mild.", random.Random(0)), r"It is not mild\."),
        (support_pairs._denied("It is not mild.", random.Random(0)), r"It is mild\."),
        (support_pairs._other_number("It lasts weeks.", random.Random(0)), None),
    ],
)
def test_one_thing_is_changed(made: str | None, told: str | None) -> None:
    assert (made is None) if told is None else re.match(told, made or "")


def test_good_sentences_stand_beside_a_strange_card_too() -> None:
    rows = support_pairs.hand_written()
    assert len({row["question"] for row in rows}) > 400
    strangers = support_pairs.strangers(rows)
    assert len(strangers) == sum(row["supported"] for row in rows)
    assert not any(row["supported"] for row in strangers)
    own = {(row["sentence"], row["answer"]) for row in rows if row["supported"]}
    assert not own & {(row["sentence"], row["answer"]) for row in strangers}
