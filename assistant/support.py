"""Whether the cards hold a sentence, and which of them: the citations of an answer.

A sentence that stands in a card word for word is held. Any other is compared with each card by
its words (`support_literal`, rules) and by what they mean in their context (`support_features`,
`support_reader`), and `support_judge` weighs it all. What it may not outvote stands here: a number
that the card does not have or a limit turned round, a lost or added negation, markup, and letters
of another script.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from assistant import support_judge, support_reader
from assistant import support_literal as literal
from assistant.support_align import read_page
from assistant.support_facts import read
from assistant.support_features import Reading, features, plain_letters, read_beside
from assistant.support_halves import halves, names_its_subject
from assistant.support_numbers import same_share, shares_in_words
from assistant.support_rules import equal_numbers, extra_clause, plain_flip, turned_limit
from index import token_vectors
from index.cards import Flashcard

_LONGEST = 2_000  # characters of a sentence; beyond that it is no sentence of an answer
_MANY, _REPEATED = 12, 4  # words, each of them said so often on average: a model's loop
_FAR = 0.12  # a card whose words are less alike by this than the best card's is not looked at
_MARKUP = re.compile(r"<[^<>\s][^<>]*>|[\[\]{}|]|https?://")


@dataclass(frozen=True, slots=True)
class Support:
    """How well cards hold a sentence, which of them (best first), and what is wrong if none."""

    score: float
    citations: tuple[int, ...]
    problem: str | None


def check(sentence: str, cards: Sequence[Flashcard]) -> Support:
    """The support of a sentence by the best cards, at most two; a probability is its score.

    Two cards are cited where each holds all of it, or where each holds a part.
    """
    if not any(any(c.isalnum() for c in card.answer) for card in cards):
        return Support(0.0, (), "there is no card")
    exact = [i for i, card in enumerate(cards) if literal.verbatim(sentence, card.answer)]
    if exact:
        return Support(1.0, tuple(exact[:2]), None)
    if problem := _unreadable(sentence):
        return Support(0.0, (), problem)
    threshold = support_judge.shipped().threshold
    readable = [i for i, card in enumerate(cards) if any(c.isalnum() for c in card.answer)]
    readings = read_beside(sentence, [cards[i] for i in readable], token_vectors.shipped())
    near = max(reading.closeness for reading in readings) - _FAR
    scores = {
        i: _judged(reading)
        for i, reading in zip(readable, readings, strict=True)
        if reading.closeness >= near
    }
    order = sorted(scores, key=lambda i: (-scores[i], i))
    held = [i for i in order if scores[i] >= threshold and not refuted(sentence, cards[i])]
    best = held[0] if held else order[0]
    reason = refuted(sentence, cards[best]) or literal.stated(sentence, cards[best]).problem
    if reason and (two := _by_two(sentence, cards)):
        return two
    if held:
        return Support(round(scores[best], 4), tuple(held[:2]), None)
    score = min(scores[best], threshold / 2)
    return Support(round(score, 4), (), reason or "it says something else than the card")


def _by_two(sentence: str, cards: Sequence[Flashcard]) -> Support | None:
    """Two cards that each hold a part of a sentence."""
    for parts in halves(sentence) if len(cards) > 1 else ():
        one, other = (_holder(part, cards) for part in parts)
        if one and other and one[1] != other[1]:
            return Support(round(min(one[0], other[0]), 4), (one[1], other[1]), None)
    return None


def _holder(part: str, cards: Sequence[Flashcard]) -> tuple[float, int] | None:
    """The first card that holds a part by its words and its meaning; with the score."""
    for number, card in enumerate(cards):
        if literal.stated(part, card).problem or not names_its_subject(part, card):
            continue
        (reading,) = read_beside(part, [card], token_vectors.shipped())
        score = _judged(reading)
        if score >= support_judge.shipped().threshold and not refuted(part, card):
            return score, number
    return None


def _judged(reading: Reading) -> float:
    read = support_reader.shipped().logit(reading)
    return support_judge.shipped().probability(features(reading), read)


def _unreadable(sentence: str) -> str | None:
    """Why a sentence cannot be compared at all."""
    if len(sentence) > _LONGEST:
        return f"a sentence of {len(sentence)} characters is too long to check"
    facts = read(sentence)
    if not facts.words and not facts.numbers:
        return "it says nothing that could be compared"
    if len(facts.words) >= _MANY and _REPEATED * len(facts.notions) <= len(facts.words):
        return "it says the same again and again"
    return None


def refuted(sentence: str, card: Flashcard) -> str | None:
    """What no likeness outweighs: it cannot come from the card, or the card says the contrary."""
    text = plain_letters(sentence)
    for match in _MARKUP.finditer(text):
        if match[0] not in card.text:
            return f'"{match[0]}" is markup that the card does not have'
    for character in {*text} - {*card.text}:
        if character.isalpha() and "LATIN" not in unicodedata.name(character, ""):
            return f'"{character}" is a letter that the card does not have'
    facts, page = read(text), read_page(card.question, card.answer)
    theirs = [n for known in (*page.answers, page.question) for n in known.numbers]
    theirs += shares_in_words(card.text)
    for number in facts.numbers:
        written = any(c.isdigit() for c in number.text)
        if written and not any(
            equal_numbers(number, other) or same_share(number, other) for other in theirs
        ):
            return f"number {number.text} is not in the card"
    return (
        turned_limit(facts, theirs) or plain_flip(facts, page) or extra_clause(facts, page, facts)
    )
