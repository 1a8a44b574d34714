"""Citation precision and recall as ALCE defines them (Gao et al., 2023, arXiv 2305.14627)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from assistant import support
from index.cards import Flashcard

# Whether the cards, read together, hold the sentence.
Judge = Callable[[str, Sequence[Flashcard]], bool]


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence and the positions of the cards that it cites."""

    text: str
    citations: tuple[int, ...]


def held(sentence: str, cards: Sequence[Flashcard]) -> bool:
    """The serving support check as judge: the rules and fitted trees that attach citations."""
    return _held(sentence, tuple((card.question, card.answer) for card in cards))


@lru_cache(maxsize=16384)  # systems say the same sentences, and three figures ask about each
def _held(sentence: str, cards: tuple[tuple[str, str], ...]) -> bool:
    texts = [Flashcard("", question, answer) for question, answer in cards]
    return bool(texts) and bool(support.check(sentence, texts).citations)


def recall(
    sentences: Sequence[Cited], cards: Sequence[Flashcard], judge: Judge = held
) -> float | None:
    """Share of the sentences that their cited cards hold together.

    A sentence without a citation, or with one that no card has, counts as not held. None for an
    answer without sentences.
    """
    if not sentences:
        return None
    return sum(_joint(s, cards, judge) for s in sentences) / len(sentences)


def precision(
    sentences: Sequence[Cited], cards: Sequence[Flashcard], judge: Judge = held
) -> float | None:
    """Share of the citations that are needed: the card holds the sentence alone, or the others do
    not hold it without this card.

    Where the cited cards together do not hold the sentence, none of its citations counts. 0 for an
    answer that cites nothing, None for one without sentences.
    """
    if not sentences:
        return None
    good = total = 0
    for sentence in sentences:
        total += len(sentence.citations)
        if not _joint(sentence, cards, judge):
            continue
        good += sum(_needed(sentence, n, cards, judge) for n in sentence.citations)
    return good / total if total else 0.0


def _joint(sentence: Cited, cards: Sequence[Flashcard], judge: Judge) -> bool:
    if not sentence.citations or not all(0 <= n < len(cards) for n in sentence.citations):
        return False
    return judge(sentence.text, [cards[n] for n in sentence.citations])


def _needed(sentence: Cited, n: int, cards: Sequence[Flashcard], judge: Judge) -> bool:
    rest = [cards[m] for m in sentence.citations if m != n]
    return not rest or judge(sentence.text, [cards[n]]) or not judge(sentence.text, rest)
