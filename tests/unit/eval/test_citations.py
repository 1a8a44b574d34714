"""ALCE's citation precision and recall: hand-worked cases, and its algorithm written anew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from eval.citations import Cited, held, precision, recall
from index.cards import Flashcard

# A judge for the tests: a sentence is held if all of its letters are on the cards together.
CARDS = [Flashcard("", "", letters) for letters in ("ab", "bc", "x")]


def letters(sentence: str, cards: Sequence[Flashcard]) -> bool:
    return set(sentence) <= set("".join(card.answer for card in cards))


@pytest.mark.parametrize(
    ("sentences", "expected_recall", "expected_precision"),
    [
        ([], None, None),
        ([Cited("a", (0,))], 1, 1),
        ([Cited("a", ())], 0, 0),  # cites nothing
        ([Cited("a", (9,))], 0, 0),  # cites a card that is not there
        ([Cited("a", (2,))], 0, 0),
        ([Cited("ac", (0, 1))], 1, 1),  # both are needed, neither holds it alone
        ([Cited("b", (0, 1))], 1, 1),  # each holds it alone: ALCE forgives a second witness
        ([Cited("a", (0, 2))], 1, 0.5),  # the second adds nothing
        ([Cited("q", (0, 1))], 0, 0),
        ([Cited("a", (0,)), Cited("q", (2,))], 0.5, 0.5),
    ],
)
def test_by_hand(
    sentences: list[Cited], expected_recall: float | None, expected_precision: float | None
) -> None:
    assert recall(sentences, CARDS, letters) == expected_recall
    assert precision(sentences, CARDS, letters) == expected_precision


def alce(sentences: Sequence[Cited]) -> tuple[float, float]:
    """Recall and precision by a plain reading of the paper's definitions."""
    good_sentences, good, total = 0, 0, 0
    for sentence in sentences:
        refs = list(sentence.citations)
        total += len(refs)
        joint = bool(refs) and letters(sentence.text, [CARDS[r] for r in refs])
        good_sentences += joint
        if not joint:
            continue
        for ref in refs:
            alone = letters(sentence.text, [CARDS[ref]])
            others = [CARDS[r] for r in refs if r != ref]
            irrelevant = not alone and bool(others) and letters(sentence.text, others)
            good += not irrelevant
    return good_sentences / len(sentences), good / total if total else 0.0


def test_agrees_with_a_plain_reading() -> None:
    choices = [
        Cited(text, refs)
        for text in ("a", "ac", "q")
        for size in range(4)
        for refs in itertools.combinations(range(3), size)
    ]
    for pair in itertools.product(choices, repeat=2):
        expected = alce(pair)
        assert recall(pair, CARDS, letters) == pytest.approx(expected[0])
        assert precision(pair, CARDS, letters) == pytest.approx(expected[1])


def test_the_default_judge_reads_facts() -> None:
    card = Flashcard("", "How is it treated?", "Adults take 500 mg of paracetamol every 6 hours.")
    assert held("Adults take 500 mg of paracetamol every 6 hours.", [card])
    assert not held("Adults take 50 mg of paracetamol every 6 hours.", [card])
    assert not held("Adults take 500 mg of paracetamol every 6 hours.", [])
