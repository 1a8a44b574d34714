"""Decide which rows become cards; count, explain and keep every row that does not."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from index.cards import Flashcard, make_card
from index.config import CleaningConfig
from index.decks import Row
from index.similar import Groups, Shingles, answer_shingles, jaccard, pairs, question_shingles
from index.text import has_words, words

MAX_CARD_CHARS = 20_000  # about ten pages: a document, not a card
_MAX_ROW_CHARS = 10 * MAX_CARD_CHARS  # before white space goes; what is longer is not even cleaned

# Both for text in lower case: to ignore case in the pattern takes twice the time.
_URL = re.compile(r"https?://|www\.")
_SPAM = re.compile(
    r"\b(?:buy now|order now|add to cart|subscribe (?:to (?:our|my)|now|today)|promo code"
    r"|limited[- ]time offer|(?:visit|follow) (?:our|my) (?:shop|store|channel)|100 ?% free)\b"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_NEGATIONS = frozenset(
    (
        "no",
        "not",
        "never",
        "without",
        "none",
        "neither",
        "nor",
        "cannot",
        "avoid",
        "except",
        "unless",
    )
)
_OF_CARD = re.compile(r" of [0-9a-f]{16}$")
_NEAR_ANSWER = 0.85
_COMPARE_ALL = 100

Facts = tuple[frozenset[str], frozenset[str]]  # numbers and negations


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that did not become a card, with the reason and its text."""

    place: str
    reason: str
    question: str
    answer: str

    def line(self) -> str:
        """One JSON line for the rejects file."""
        fields = {
            "place": self.place,
            "reason": self.reason,
            "question": self.question,
            "answer": self.answer,
        }
        return json.dumps(fields, ensure_ascii=False) + "\n"


@dataclass
class Cleaned:
    """The cards of a deck, in order, and the rows left out."""

    cards: list[Flashcard] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def reasons(self) -> dict[str, int]:
        """How many rows were left out for each reason, the most frequent first.

        "near duplicate of 0f3a..." counts as "near duplicate".
        """
        reasons = (_OF_CARD.sub("", reject.reason) for reject in self.rejects)
        return dict(Counter(reasons).most_common())


def clean_deck(rows: Iterable[Row], config: CleaningConfig) -> Cleaned:
    """Turn rows into cards. The first of several equal cards is the one that stays."""
    cleaned = Cleaned()
    seen: dict[str, int] = {}
    places: list[str] = []
    for row in rows:
        fault = row.fault
        if fault is None and len(row.question) + len(row.answer) > _MAX_ROW_CHARS:
            fault = "too long"
        if fault is not None:
            text = row.raw if row.raw is not None else row.answer
            cleaned.rejects.append(Reject(row.place, fault, row.question, text))
            continue
        card = make_card(row.question, row.answer, row.topic, row.source, row.url, row.deck)
        reason = _fault(card, config)
        if reason is None and card.id in seen:
            reason = f"duplicate of {card.id}"
        if reason is None:
            seen[card.id] = len(cleaned.cards)
            cleaned.cards.append(card)
            places.append(row.place)
        else:
            cleaned.rejects.append(Reject(row.place, reason, row.question, row.answer))
    if config.near_duplicates:
        _drop_near_duplicates(cleaned, places)
    return cleaned


def _fault(card: Flashcard, config: CleaningConfig) -> str | None:
    if not card.question:
        return "blank question"
    if not card.answer:
        return "blank answer"
    if len(card.question) < config.min_question_chars or not has_words(card.question):
        return "question too short"
    if len(card.answer) < config.min_answer_chars or not has_words(card.answer):
        return "answer too short"
    if len(card.question) + len(card.answer) > MAX_CARD_CHARS:
        return "too long"
    # A reference at the end of a sound answer is no spam; a question with a link, a sales phrase,
    # or an answer that is mostly links is.
    question, answer = card.question.lower(), card.answer.lower()
    links = len(_URL.findall(answer))
    if _URL.search(question) or (links and links * 10 > len(answer.split())):
        return "link instead of text"
    if _SPAM.search(question) or _SPAM.search(answer):
        return "spam"
    return None


def _drop_near_duplicates(cleaned: Cleaned, places: Sequence[str]) -> None:
    """Keep the first of cards that ask the same in the same words and answer nearly the same.

    Strict on purpose: "mild" against "moderate", 5 mg against 50 mg or "is" against "is not" are
    other cards, so numbers and negations must agree and the questions' content words be equal.
    """
    cards = cleaned.cards
    groups = Groups(len(cards))
    by_question: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    for position, card in enumerate(cards):
        by_question[question_shingles(card)].append(position)
    for same_question in by_question.values():
        if len(same_question) < 2:
            continue
        by_facts: defaultdict[Facts, list[int]] = defaultdict(list)
        for position in same_question:
            by_facts[_facts(cards[position])].append(position)
        for members in by_facts.values():
            if len(members) < 2:
                continue
            for left, right in _alike([answer_shingles(cards[i]) for i in members]):
                groups.join(members[left], members[right])
    kept: list[Flashcard] = []
    for position, card in enumerate(cards):
        first = groups.find(position)
        if first == position:
            kept.append(card)
        else:
            reason = f"near duplicate of {cards[first].id}"
            cleaned.rejects.append(Reject(places[position], reason, card.question, card.answer))
    cleaned.cards = kept


def _alike(answers: Sequence[Shingles]) -> Iterator[tuple[int, int]]:
    # Many cards may ask the same ("What is this?"): comparing all with all takes the square.
    if len(answers) > _COMPARE_ALL:
        yield from pairs(answers, _NEAR_ANSWER)
        return
    for left, right in combinations(range(len(answers)), 2):
        if jaccard(answers[left], answers[right]) >= _NEAR_ANSWER:
            yield left, right


def _facts(card: Flashcard) -> Facts:
    spoken = words(card.text)
    negations = frozenset(w for w in spoken if w in _NEGATIONS or w.endswith("n't"))
    return frozenset(_NUMBER.findall(card.text)), negations
