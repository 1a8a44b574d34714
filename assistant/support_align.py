"""Where a card says what a sentence says, and whether it says the same there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from assistant.support_facts import Facts, Word, read, related
from index.text import fold, sentences

_GENERAL_WEIGHT = 0.4


@dataclass(slots=True)
class Page:
    """A card, read."""

    question: Facts
    answers: list[Facts]
    stems: dict[str, list[str]] = field(default_factory=dict)  # first letters -> notions
    said: set[str] = field(default_factory=set)  # notions of the answer
    asked: set[str] = field(default_factory=set)
    both: set[str] = field(default_factory=set)
    forms: dict[str, list[str]] = field(default_factory=dict)  # found so far, a cache
    initials: set[str] = field(default_factory=set)  # "tia" of "transient ischemic attack"
    axes: set[tuple[int, int]] = field(default_factory=set)

    def find(self, name: str, among: set[str]) -> str | None:
        """The notion of the card that a notion of the sentence is a form of."""
        if name in among or name in self.initials:
            return name
        if name not in self.forms:
            others = self.stems.get(name[:4], ())
            self.forms[name] = [other for other in others if related(name, other)]
        return next((other for other in self.forms[name] if other in among), None)


# "... activate vitamin D. Each kidney ...": a lone letter looks like an initial and is none.
_AFTER_LETTER = re.compile(r"(?<= [A-Z]\.)\s+(?=[A-Z][a-z]+ |A )")


def card_sentences(answer: str) -> list[str]:
    """The sentences of a card's answer."""
    return [part for piece in sentences(answer) for part in _AFTER_LETTER.split(piece)]


@lru_cache(maxsize=1024)
def read_page(question: str, answer: str) -> Page:
    """Read a card; the cards of a conversation come again and again."""
    page = Page(read(question), [read(sentence) for sentence in card_sentences(answer)])
    page.asked = page.question.notions
    page.said = {name for facts in page.answers for name in facts.notions}
    page.axes = {axis for facts in page.answers for word in facts.words for axis in word.axes}
    page.initials = {
        "".join(token[0] for token in facts.tokens[start : start + length])
        for facts in (page.question, *page.answers)
        for length in (3, 4, 5)
        for start in range(len(facts.tokens) - length + 1)
        if all(token[0].isalpha() for token in facts.tokens[start : start + length])
    }
    page.both = page.asked | page.said
    for name in page.both:
        page.stems.setdefault(name[:4], []).append(name)
    if fold(answer).startswith(("no.", "no,", "no ")):
        page.answers.append(_denied(page.question))
    elif fold(answer).startswith(("yes.", "yes,", "yes ")):
        page.answers.append(page.question)
        page.said = page.said | page.asked
    return page


def _denied(question: Facts) -> Facts:
    words = [replace(word, negated=True) for word in question.words]
    return replace(question, words=words, levels=[], negators=1, denying=[0])


def _weight(word: Word) -> float:
    return _GENERAL_WEIGHT if word.general else 1.0


def held_in(word: Word, page: Page, among: set[str]) -> bool:
    """Whether a word of the sentence is among notions of the card, in some form."""
    return page.find(word.notion, among) is not None


def same_side(word: Word, page: Page) -> bool:
    """Whether the card has a word on the same side of an opposition ("less" for "lower")."""
    return bool(word.axes) and any(axis in page.axes for axis in word.axes)


def coverage(facts: Facts, page: Page) -> float:
    """The share of a sentence's words that the card holds, 0 to 1, general words counting less.

    The card's question gives the subject, so its words count as held; but a sentence made of
    them alone says nothing that the answer says.
    """
    total = held = own = 0.0
    for word in facts.words:
        weight = _weight(word)
        total += weight
        if held_in(word, page, page.said):
            held, own = held + weight, own + weight
        elif held_in(word, page, page.asked):
            held += weight
        elif same_side(word, page):
            held, own = held + 0.8 * weight, own + 0.8 * weight
    own += len(facts.numbers)
    total, held = total + len(facts.numbers), held + len(facts.numbers)
    names = {word.notion for word in facts.words if word.general}
    if (
        len(names) < 2
        and not (facts.numbers or facts.negators)
        and all(word.general for word in facts.words)
    ):
        return 0.0
    if not total or own == 0 or (own < 0.25 * total and own < 1):
        return 0.0
    return held / total


def _locating(word: Word, page: Page) -> float:
    """How much a word tells where the card speaks of it: the subject is everywhere."""
    return (0.7 if word.general else 1.0) * (0.3 if held_in(word, page, page.asked) else 1.0)


def place_of(facts: Facts, page: Page) -> Facts:
    """The sentence of the card that holds most of this sentence."""

    def held(answer: Facts) -> float:
        among = answer.notions
        numbers = {(n.value, n.unit) for n in answer.numbers}
        return (
            sum(_locating(w, page) for w in facts.words if held_in(w, page, among))
            + sum((n.value, n.unit) in numbers for n in facts.numbers)
            - 0.01 * len(answer.words)
        )

    return max(page.answers, key=held) if page.answers else Facts()


def name_of(word: Word, page: Page) -> str:
    """The notion under which the card knows a word."""
    return page.find(word.notion, page.both) or word.notion


def inside(facts: Facts, page: Page, where: Facts) -> float:
    """The share of a sentence's words that one sentence of the card has."""
    among = where.notions
    return sum(held_in(w, page, among) for w in facts.words) / max(len(facts.words), 1)
