"""The flashcard: what a deck holds, an index finds and an answer cites."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from index.text import clean, fold_clean


@dataclass(frozen=True, slots=True)
class Flashcard:
    """One question with its answer.

    `id` is a hash of the normalised question and answer, so the same card has the same id in
    every deck, on every machine and after every rebuild.
    """

    id: str
    question: str
    answer: str
    topic: str | None = None
    source: str | None = None
    url: str | None = None
    deck: str | None = None

    @property
    def text(self) -> str:
        """What is embedded and searched: the question, then the answer."""
        return f"{self.question}\n{self.answer}"


def card_id(question: str, answer: str) -> str:
    """16 hexadecimal digits of the SHA-256 of the folded question and answer."""
    return _id_of_clean(clean(question), clean(answer))


def _id_of_clean(question: str, answer: str) -> str:
    key = f"{fold_clean(question)}\x1f{fold_clean(answer)}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def make_card(
    question: str,
    answer: str,
    topic: str | None = None,
    source: str | None = None,
    url: str | None = None,
    deck: str | None = None,
) -> Flashcard:
    """Clean the fields and derive the id.

    A `url` is kept only when it is http(s): a link from a deck ends up in a page.
    """
    question, answer = clean(question), clean(answer)
    link = clean(url) if url else ""
    return Flashcard(
        id=_id_of_clean(question, answer),
        question=question,
        answer=answer,
        topic=clean(topic) or None if topic else None,
        source=clean(source) or None if source else None,
        url=link if link.lower().startswith(("http://", "https://")) else None,
        deck=clean(deck) or None if deck else None,
    )


def dump(cards: Iterable[Flashcard]) -> Iterator[str]:
    """One JSON line for each card."""
    names = [field.name for field in fields(Flashcard)]  # `asdict` would copy every text
    for card in cards:
        values = {name: getattr(card, name) for name in names}
        yield json.dumps(values, ensure_ascii=False) + "\n"


def load(lines: Iterable[str]) -> Iterator[Flashcard]:
    """The inverse of `dump`."""
    for line in lines:
        values: dict[str, Any] = json.loads(line)
        yield Flashcard(**values)


def deck_hash(cards: Iterable[Flashcard]) -> str:
    """SHA-256 over the sorted card ids: the identity of a set of cards, whatever their order."""
    digest = hashlib.sha256()
    for identifier in sorted(card.id for card in cards):
        digest.update(identifier.encode())
    return digest.hexdigest()
