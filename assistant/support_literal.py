"""Whether a card states a sentence by its words: aligned, then compared fact by fact.

A bag of words cannot tell "A causes B" from "B causes A" or 5 mg from 50 mg. So the sentence is
aligned with the card's sentence that covers it best, and what it states is compared there:
numbers, negations, amounts and roles. Rules over closed word classes: deterministic, no model, and
a rejection says its reason. They hold a sentence to the card's words, so a free paraphrase fails
them; assistant/support.py has their verdict weighed with what the words mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from assistant import support_roles as roles
from assistant import support_rules as rules
from assistant.support_align import Page, card_sentences, coverage, inside, place_of, read_page
from assistant.support_facts import Facts, cut, read
from index.cards import Flashcard
from index.text import clean

THRESHOLD = 0.6
_LONGEST = 2_000  # characters of a sentence; beyond that it is no sentence of an answer
_MOST_CUTS = 8
_TOO_SHORT = 12  # characters that may stand anywhere
_HOPELESS = 0.4  # below this coverage no rule needs to be asked
_ONE_PLACE = 0.92  # share of a sentence that one sentence of the card holds: it is no merger


@dataclass(frozen=True, slots=True)
class Stated:
    """The share of a sentence's words that cards have, which cards, and what is wrong if none."""

    score: float
    citations: tuple[int, ...]
    problem: str | None


def stated(sentence: str, card: Flashcard) -> Stated:
    """Whether one card states a sentence; `citations` is (0,) or ()."""
    if len(sentence) > _LONGEST:
        return Stated(0.0, (), f"a sentence of {len(sentence)} characters is too long to check")
    if verbatim(sentence, card.answer):
        return Stated(1.0, (0,), None)
    facts, page = read(sentence), read_page(card.question, card.answer)
    score, problem, final = _judge(facts, page)
    if problem is None and score >= THRESHOLD:
        return Stated(round(score, 4), (0,), None)
    for left, right in () if final else _cuts(facts):
        parts = [_judge(part, page) for part in (left, right)]
        if all(reason is None and value >= THRESHOLD for value, reason, _ in parts):
            return Stated(round(min(value for value, _, _ in parts), 4), (0,), None)
    problem = problem or "too little of it is in the card"
    return Stated(round(min(score, THRESHOLD / 2), 4), (), problem)


def verbatim(sentence: str, answer: str) -> bool:
    """Whether the card has the sentence word for word, whole."""
    text = clean(sentence)
    if len(text) <= _TOO_SHORT or text not in answer:
        return False
    starts, ends = _bounds(answer)
    places = [at for at in starts if answer.startswith(text, at)]
    return any(at + len(text) in ends for at in places)


@lru_cache(maxsize=1024)
def _bounds(answer: str) -> tuple[tuple[int, ...], frozenset[int]]:
    """Where the sentences of a card begin and end."""
    starts, ends, at = [], set(), 0
    for part in card_sentences(answer):
        starts.append(at := answer.index(part, at))
        at += len(part)
        ends.add(at)
    return tuple(starts), frozenset(ends)


def _judge(facts: Facts, page: Page) -> tuple[float, str | None, bool]:
    """The coverage of a sentence, what is wrong, and whether that holds of its parts as well."""
    if not facts.words and not facts.numbers:
        return 0.0, "it says nothing that could be compared", True
    score = coverage(facts, page)
    if score < _HOPELESS:
        return score, None, True
    where = place_of(facts, page)
    for rule in _EVERYWHERE:
        if problem := rule(facts, page, where):
            return score, problem, True
    for rule in _IN_PLACE:
        if problem := rule(facts, page, where):
            return score, problem, inside(facts, page, where) >= _ONE_PLACE
    return score, None, False


Rule = Callable[[Facts, Page, Facts], str | None]
# A sentence made of two of the card's is compared with the wrong place by the rules of the second
# kind, so these are asked again of its two parts; the first kind settles the matter.
_EVERYWHERE: tuple[Rule, ...] = (
    rules.unknown_word,
    rules.wrong_number,
    rules.extra_clause,
    roles.exchanged_ways,
    roles.exchanged_roles,
    roles.crossed_halves,
    roles.moved_object,
)
_IN_PLACE: tuple[Rule, ...] = (
    rules.flipped_denial,
    rules.turned_direction,
    rules.changed_amount,
    roles.swapped_word,
)


def _cuts(facts: Facts) -> Iterator[tuple[Facts, Facts]]:
    for at in facts.connectors[:_MOST_CUTS]:
        left, right = cut(facts, 0, at), cut(facts, at, len(facts.tokens))
        if len(left.words) >= 2 and len(right.words) >= 2:
            yield left, right
