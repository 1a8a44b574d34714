"""Rows: proportions, positions, what may stand in a prompt, and the ids that are served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from assistant.prompts import NOT_COVERED, Prompt, answer_ids, grounded, prompt_ids
from index.cards import Flashcard, make_card
from index.config import SplitConfig
from index.split import split_cards
from index.text import content_words
from training.config import RowsConfig
from training.rows import Rows, dialogue_rows, draw, kinds, make_rows, may_answer

DISEASES = [f"disease{n}" for n in range(20)]
ASPECTS = ("What causes {}?", "How is {} treated?", "Who gets {}?")
CARDS = [
    # Answers that share the subject only, as those of a real deck.
    make_card(aspect.format(d), f"{d} fact{n}a{i} fact{n}b{i} fact{n}c{i} fact{n}d{i}.")
    for n, d in enumerate(DISEASES)
    for i, aspect in enumerate(ASPECTS)
]


def by_words(question: str, depth: int) -> Sequence[Flashcard]:
    """Retrieval by shared words."""
    wanted = set(content_words(question))
    return sorted(CARDS, key=lambda c: -len(wanted & set(content_words(c.text))))[:depth]


def build(tokenizer: Any, cards: Sequence[Flashcard] = CARDS, seed: int = 1, **fields: Any) -> Rows:
    config = RowsConfig.model_validate(fields)
    return make_rows(cards, CARDS, by_words, tokenizer, config, seed)


def test_the_kinds_come_in_the_configured_proportions(tokenizer: Any) -> None:
    made = build(tokenizer)
    assert made.counts() == {"gold": 36, "absent": 12, "closed_book": 12}
    assert not made.left_out
    order = kinds(1000, RowsConfig(gold=0.5, absent=0.3, closed_book=0.2), seed=7)
    assert Counter(order) == {"gold": 500, "absent": 300, "closed_book": 200}
    assert order != sorted(order)


def test_the_right_card_stands_anywhere_where_the_order_is_drawn(tokenizer: Any) -> None:
    rows = [row for row in build(tokenizer, shuffled=1).rows if row.kind == "gold"]
    places = Counter([c.question for c in row.cards].index(row.question) for row in rows)
    assert set(places) == {0, 1, 2}
    assert max(places.values()) < len(rows) * 0.6
    for row in rows:
        assert len(row.cards) == 3
        others = [c for c in row.cards if c.question != row.question]
        assert {c.id for c in others} <= {c.id for c in by_words(row.question, 16)}


def test_cards_stand_as_they_are_served(tokenizer: Any) -> None:
    for row in build(tokenizer, shuffled=0).rows:
        if row.kind == "gold":
            served = grounded(row.question, by_words(row.question, 16), 3)
            assert row.cards == tuple(served.cards)


def test_the_answer_to_learn_is_what_the_prompt_holds_of_the_card(tokenizer: Any) -> None:
    long = [
        make_card(c.question, f"{c.answer} Also unlike{n}. Further another{n}.")
        for n, c in enumerate(CARDS)
    ]

    def find(question: str, depth: int) -> Sequence[Flashcard]:
        wanted = set(content_words(question))
        return sorted(long, key=lambda c: -len(wanted & set(content_words(c.text))))[:depth]

    config = RowsConfig(gold=1, absent=0, closed_book=0, shuffled=1)
    made = make_rows(long, long, find, tokenizer, config, 1)
    answers = {card.question: card.answer for card in long}
    firsts = 0
    for row in made.rows:
        shown = next(c for c in row.cards if c.question == row.question)
        assert row.target == shown.answer
        firsts += row.target == answers[row.question]
        assert (row.target == answers[row.question]) == (row.cards[0] == shown)
    assert 0 < firsts < len(made.rows)


def test_an_absent_row_says_that_the_cards_do_not_cover_it(tokenizer: Any) -> None:
    rows = [row for row in build(tokenizer).rows if row.kind == "absent"]
    answers = {card.question: card for card in CARDS}
    for row in rows:
        assert row.target == NOT_COVERED
        assert len(row.cards) == 3
        assert row.question not in [c.question for c in row.cards]
        assert not any(may_answer(c, answers[row.question]) for c in row.cards)


def test_a_paraphrase_may_answer_and_a_neighbour_may_not() -> None:
    card = make_card("What causes gout?", "Crystals of uric acid in a joint cause gout.")
    same = make_card("What is the cause of gout?", "Gout comes from uric acid crystals in a joint.")
    near = make_card("How is gout treated?", "Colchicine and rest relieve an attack.")
    assert may_answer(same, card)
    assert not may_answer(near, card)


def test_closed_book_rows_hold_no_card(tokenizer: Any) -> None:
    made = build(tokenizer, gold=0, absent=0, closed_book=1)
    assert all(row.cards == () and row.kind == "closed_book" for row in made.rows)


def test_ids_are_those_that_are_served(tokenizer: Any) -> None:
    for row in build(tokenizer).rows:
        assert list(row.prompt) == prompt_ids(tokenizer, Prompt(row.question, row.cards))
        assert list(row.answer) == answer_ids(tokenizer, row.target)
        assert row.labels == [-100] * len(row.prompt) + list(row.answer)
        assert row.answer[-1] == tokenizer.eos_token_id


def test_no_held_out_card_is_in_a_row(tokenizer: Any) -> None:
    split = split_cards(CARDS, SplitConfig(validation=0.2, test=0.2))
    training = split.select(CARDS, "train")
    held_out = {c.id for c in CARDS} - {c.id for c in training}
    assert held_out
    config = RowsConfig()
    made = make_rows(training, training, by_words, tokenizer, config, 1)
    shown = {c.id for row in made.rows for c in row.cards}
    assert shown
    assert not shown & held_out
    asked = {row.question for row in made.rows}
    assert not asked & {c.question for c in CARDS if c.id in held_out}


def test_the_seed_decides_everything(tokenizer: Any) -> None:
    first, again, other = (build(tokenizer, seed=s).rows for s in (1, 1, 2))
    assert first == again
    assert first != other
    config = RowsConfig()
    assert draw(CARDS, config, 5, 1) == draw(CARDS, config, 5, 1) != draw(CARDS, config, 5, 2)


def test_short_questions_and_answers_can_be_left_out() -> None:
    config = RowsConfig(min_question_chars=18)
    assert {c.id for c in draw(CARDS, config, None, 1)} == {
        c.id for c in CARDS if len(c.question) >= 18
    }


def test_a_long_row_loses_distractors_then_is_left_out(tokenizer: Any) -> None:
    fields = {"gold": 1, "absent": 0, "closed_book": 0}
    whole = build(tokenizer, **fields).rows
    room = max(len(row.ids) for row in whole) - 1
    made = build(tokenizer, max_tokens=room, **fields)
    assert {len(row.cards) for row in made.rows} == {2, 3}
    assert all(row.question in [c.question for c in row.cards] for row in made.rows)
    none = build(tokenizer, max_tokens=32, **fields)
    assert not none.rows
    assert sum(none.left_out.values()) == len(CARDS)


@pytest.mark.parametrize(
    ("template", "part"),
    [("turns", "<|user|>"), ("sections", "Instruction:"), ("chatml", "<|im_start|>user")],
)
def test_earlier_templates(template: str, part: str, tokenizer: Any) -> None:
    rows = build(tokenizer, template=template, gold=0, absent=0, closed_book=1).rows
    text = tokenizer.decode(rows[0].prompt)
    assert part in text
    assert rows[0].prompt[0] == tokenizer.bos_token_id
    assert "flashcards" not in text


def test_dialogues_become_rows_without_cards(tokenizer: Any) -> None:
    made = dialogue_rows(CARDS[:4], tokenizer, RowsConfig(max_tokens=64))
    assert made.counts() == {"dialogue": 4}
    assert made.tokens == sum(len(row.ids) for row in made.rows)
