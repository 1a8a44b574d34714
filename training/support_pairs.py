"""Pairs of a sentence and a card: written by hand, and made from the cards of a deck.

What is made teaches the reader to look at each word: a card's own sentence, shortened or with words
that mean the same, is held; with one word, number or denial changed, or beside another card of the
subject, it is not. Both kinds are changed alike otherwise, so that no change gives the label away.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.support_align import card_sentences
from assistant.support_words import opposites, synonym_groups
from index.cards import Flashcard
from index.store import Vectors
from index.text import STOPWORDS
from training.crossencoder_data import read_jsonl

DATA = Path(__file__).parent / "data"
PAIRS = DATA / "support_pairs.jsonl"
REWORDED = DATA / "support_reworded.jsonl"

_WORDS = range(5, 41)  # of a sentence that is taken
_NEAR = 12  # cards of like subject from which words and sentences are taken
_TOKEN = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_VERB = re.compile(r"\b(is|are|was|were|can|may|should|will|must|does|do|has|have)\b(?! not)")
_NOT = re.compile(r"\b(is|are|was|were|can|may|should|will|must|does|do|has|have) not\b")
_ASIDE = re.compile(r"\s*\([^()]*\)|,\s[^,]{3,60},(?=\s)")
_OPENINGS = ("Yes, ", "In short, ", "According to the card, ", "Note that ")

Row = dict[str, Any]


def hand_written() -> list[Row]:
    """Rows of `sentence`, `question`, `answer`, `supported`, `kind`, `seen` by the rules' author.

    Those of `REWORDED` are in other words than the card's throughout, the wrong ones alike.
    """
    rows = [{"reworded": False, **row} for row in read_jsonl(PAIRS)]
    for card in read_jsonl(REWORDED):
        made = {"question": card["question"], "answer": card["answer"]}
        made |= {"reworded": True, "seen": False}
        for key, supported in (("good", True), ("wrong", False)):
            for kind, sentence in card[key]:
                rows.append({**made, "sentence": sentence, "supported": supported, "kind": kind})
    return rows


def strangers(rows: Sequence[Row]) -> list[Row]:
    """The good sentences beside another card, which does not hold them."""
    cards = list(dict.fromkeys((row["question"], row["answer"]) for row in rows))
    place = {card: number for number, card in enumerate(cards)}
    found = []
    for row in rows:
        if row["supported"]:
            question, answer = cards[(place[row["question"], row["answer"]] + 7) % len(cards)]
            other = {"question": question, "answer": answer, "kind": "another card's"}
            found.append({**row, **other, "supported": False, "seen": True})
    return found


def made(
    cards: Sequence[Flashcard], vectors: Vectors, limit: int, draw: random.Random
) -> Iterator[Row]:
    """Two sentences that a card holds and two that it does not, for cards drawn at random.

    Args:
        vectors: unit vectors of the cards, (cards, dimension).
        limit: cards to draw.
    """
    for i in draw.sample(range(len(cards)), min(limit, len(cards))):
        card = cards[i]
        own = [s for s in card_sentences(card.answer) if len(s.split()) in _WORDS]
        if not own:
            continue
        scores = vectors @ vectors[i]
        near = np.argpartition(-scores, min(_NEAR, len(cards) - 1))[: _NEAR + 1].tolist()
        others = [cards[j] for j in near if j != i and cards[j].answer != card.answer]
        for _ in range(2):
            yield _row(_loosened(draw.choice(own), draw), card, True, "made")
            if wrong := _wrong(draw.choice(own), card, others, draw):
                yield _row(_loosened(wrong, draw), card, False, "made")


def _row(sentence: str, card: Flashcard, supported: bool, kind: str) -> Row:
    return {
        "sentence": sentence,
        "question": card.question,
        "answer": card.answer,
        "supported": supported,
        "kind": kind,
    }


def _loosened(sentence: str, draw: random.Random) -> str:
    """The same in a slightly other form: without an aside, with synonyms, with another opening."""
    if draw.random() < 0.4:
        sentence = _ASIDE.sub("", sentence)
    for match in reversed([*_TOKEN.finditer(sentence)]):
        same = _SAME.get(match[0].lower())
        if same and draw.random() < 0.6:
            sentence = sentence[: match.start()] + draw.choice(same) + sentence[match.end() :]
    if draw.random() < 0.15:
        sentence = draw.choice(_OPENINGS) + sentence[:1].lower() + sentence[1:]
    return sentence


def _wrong(
    sentence: str, card: Flashcard, others: Sequence[Flashcard], draw: random.Random
) -> str | None:
    """A sentence that the card does not hold, most often made of one that it does."""
    ways: list[Callable[[], str | None]] = [
        lambda: _other_number(sentence, draw),
        lambda: _denied(sentence, draw),
        lambda: _opposite(sentence, draw),
        lambda: _strange_word(sentence, card, others, draw),
        lambda: _strange_word(sentence, card, others, draw),
        lambda: _exchanged(sentence, draw),
        lambda: _of_another(card, others, draw),
    ]
    draw.shuffle(ways)
    return next((wrong for way in ways if (wrong := way()) and wrong != sentence), None)


def _other_number(sentence: str, draw: random.Random) -> str | None:
    found = [*_NUMBER.finditer(sentence)]
    if not found:
        return None
    match = draw.choice(found)
    value = float(match[0])
    other = draw.choice([value * 2, value * 10, value + 1, value + 5, max(1.0, value / 2)])
    told = str(round(other)) if "." not in match[0] else f"{other:.1f}"
    return sentence[: match.start()] + told + sentence[match.end() :]


def _denied(sentence: str, draw: random.Random) -> str | None:
    if found := [*_NOT.finditer(sentence)]:
        match = draw.choice(found)
        return sentence[: match.end(1)] + sentence[match.end() :]
    if found := [*_VERB.finditer(sentence)]:
        match = found[0]
        return f"{sentence[: match.end()]} not{sentence[match.end() :]}"
    return None


def _opposite(sentence: str, draw: random.Random) -> str | None:
    found = [m for m in _TOKEN.finditer(sentence) if m[0].lower() in _CONTRARY]
    if not found:
        return None
    match = draw.choice(found)
    other = draw.choice(_CONTRARY[match[0].lower()])
    return sentence[: match.start()] + other + sentence[match.end() :]


def _content(text: str) -> list[re.Match[str]]:
    return [m for m in _TOKEN.finditer(text) if m[0].lower() not in STOPWORDS]


def _strange_word(
    sentence: str, card: Flashcard, others: Sequence[Flashcard], draw: random.Random
) -> str | None:
    """One word in the place of another, from a card of like subject."""
    mine = {m[0].lower() for m in _content(card.text)}
    theirs = [m[0] for other in others for m in _content(other.answer)]
    strange = [word for word in theirs if word.lower() not in mine and len(word) > 4]
    found = [m for m in _content(sentence) if len(m[0]) > 4]
    if not strange or not found:
        return None
    match = draw.choice(found)
    ending = match[0][-2:].lower()  # a word of the same form, where there is one
    alike = [word for word in strange if word.lower().endswith(ending)] or strange
    return sentence[: match.start()] + draw.choice(alike) + sentence[match.end() :]


def _exchanged(sentence: str, draw: random.Random) -> str | None:
    """Two words in each other's place, a verb or a comma between them."""
    found = [m for m in _content(sentence) if len(m[0]) > 4]
    if len(found) < 4:
        return None
    one, other = sorted(draw.sample(found, 2), key=lambda m: m.start())
    if other.start() - one.end() < 6 or one[0].lower() == other[0].lower():
        return None
    return (
        sentence[: one.start()]
        + other[0]
        + sentence[one.end() : other.start()]
        + one[0]
        + sentence[other.end() :]
    )


def _of_another(card: Flashcard, others: Sequence[Flashcard], draw: random.Random) -> str | None:
    """A sentence of a card of like subject, on words that this card has not."""
    mine = {m[0].lower() for m in _content(card.text)}
    found = [
        sentence
        for other in others
        for sentence in card_sentences(other.answer)
        if len(sentence.split()) in _WORDS
        and sum(m[0].lower() not in mine for m in _content(sentence)) >= 3
    ]
    return draw.choice(found) if found else None


def _same_words() -> dict[str, list[str]]:
    groups = [[word for word in group if word.isalpha()] for group in synonym_groups()]
    return {
        word: [w for w in group if w != word] for group in groups for word in group if group[1:]
    }


def _contrary_words() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one, other in opposites():
        for mine, theirs in ((one, other), (other, one)):
            for word in mine:
                found.setdefault(word, []).extend(w for w in theirs if w.isalpha())
    return {word: theirs for word, theirs in found.items() if theirs}


_SAME = _same_words()
_CONTRARY = _contrary_words()
