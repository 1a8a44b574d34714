from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import split
from index.cards import Flashcard, make_card
from index.config import SplitConfig
from index.errors import IndexMismatchError
from index.split import split_cards

CONFIG = SplitConfig()
WORDS_TEXT = """
asthma gout insulin liver kidney fever cough rash vaccine anaemia stroke migraine thyroid
aspirin retina cornea femur tendon plasma platelet enzyme hormone antibody lesion fracture
"""
WORDS = WORDS_TEXT.split()
FRAMES = (
    "What is {}?",
    "what's the {}",
    "Please tell me about {}!",
    "Can you tell me what {} is?",
    "{}: what does it mean",
)


def cards_about(topics: list[tuple[str, ...]], answer: str = "It is") -> list[Flashcard]:
    return [
        make_card(frame.format(" ".join(words)), f"{answer} number {i} in frame {f}.")
        for i, words in enumerate(topics)
        for f, frame in enumerate(FRAMES)
    ]


topics = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=5, unique=True).map(tuple),
    min_size=1,
    max_size=20,
    unique_by=frozenset,
)


@settings(max_examples=30, deadline=None)
@given(topics)
def test_paraphrases_fall_on_one_side(asked: list[tuple[str, ...]]) -> None:
    sides = split_cards(cards_about(asked), CONFIG).sides
    cards = cards_about(asked)
    for start in range(0, len(cards), len(FRAMES)):
        assert len({sides[card.id] for card in cards[start : start + len(FRAMES)]}) == 1


@settings(max_examples=30, deadline=None)
@given(topics, st.randoms(use_true_random=False))
def test_order_does_not_matter(asked: list[tuple[str, ...]], chance: random.Random) -> None:
    cards = cards_about(asked)
    before = split_cards(cards, CONFIG)
    chance.shuffle(cards)
    after = split_cards(cards, CONFIG)
    assert dict(after.sides) == dict(before.sides)
    assert after.stamp == before.stamp


def test_shares_are_about_as_asked() -> None:
    cards = [make_card(f"What is disease{i} of organ{i}?", "An illness.") for i in range(2000)]
    counts = split_cards(cards, SplitConfig(validation=0.1, test=0.2)).counts()
    assert sum(counts.values()) == 2000
    assert 150 < counts["validation"] < 250
    assert 330 < counts["test"] < 470


def test_stamp_changes_with_cards_and_settings() -> None:
    cards = cards_about([("gout", "liver"), ("fever", "rash")])
    stamps = {
        split_cards(cards, CONFIG).stamp,
        split_cards(cards[:-1], CONFIG).stamp,
        split_cards([*cards, make_card("What is a stroke?", "A brain attack.")], CONFIG).stamp,
        split_cards(cards, SplitConfig(seed=1)).stamp,
        split_cards(cards, SplitConfig(question_jaccard=0.9)).stamp,
    }
    assert len(stamps) == 5


def test_require_refuses_another_split() -> None:
    one = split_cards(cards_about([("gout", "liver")]), CONFIG)
    one.require(one.stamp, "the adapter")
    with pytest.raises(IndexMismatchError, match="the adapter was made for split deadbeef"):
        one.require("deadbeef", "the adapter")


def test_select_keeps_the_order_and_parts_the_cards() -> None:
    cards = [make_card(f"What is disease{i}?", "An illness.") for i in range(100)]
    sides = split_cards(cards, CONFIG)
    selected = [sides.select(cards, side) for side in split.SIDES]
    assert sorted(c.id for part in selected for c in part) == sorted(c.id for c in cards)
    train = selected[0]
    assert train == sorted(train, key=cards.index)


def test_dump_and_load() -> None:
    made = split_cards(cards_about([("gout", "liver")]), CONFIG)
    again = split.load(split.dump(made))
    assert (dict(again.sides), again.stamp) == (dict(made.sides), made.stamp)


def test_no_cards_and_one_card() -> None:
    assert split_cards([], CONFIG).counts() == {"train": 0, "validation": 0, "test": 0}
    assert sum(split_cards([make_card("What is it?", "That.")], CONFIG).counts().values()) == 1
