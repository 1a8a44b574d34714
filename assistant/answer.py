"""The answer: one set of dataclasses for the command line, the chat and the evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from index.cards import Flashcard

Status = Literal["answered", "abstained", "emergency", "declined"]
Danger = Literal["emergency", "self_harm", "abuse", "poisoning"]


@dataclass(frozen=True, slots=True)
class Source:
    """A card with its number in the answer and its cosine with the question.

    The ranks say why it was found, from 1: by its meaning, by the words that it shares with the
    question; None where that part of the search did not find it.
    """

    n: int
    card_id: str
    question: str
    answer: str
    topic: str | None
    source: str | None
    url: str | None
    score: float
    meaning_rank: int | None = None
    word_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer, the numbers of the sources that hold it, and how well (0 to 1)."""

    text: str
    citations: tuple[int, ...]
    support: float


@dataclass(frozen=True, slots=True)
class Term:
    """A medical term of the answer, its short definition and the card that gives it."""

    term: str
    definition: str
    card_id: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gets.

    Every number in `text` and in `sentences` is the `n` of one of `sources`, and every source is
    cited. `nearby` holds the cards that were found but not cited: what a refusal offers instead.
    `notice` is fixed text that stands before the answer: to ask a pharmacist about a dose, what the
    nearest card asks when it may be about something else, that the model failed.
    `danger` says what kind of emergency it is, where the status is `emergency`.
    Times are milliseconds since the question arrived.
    """

    status: Status
    text: str
    sentences: tuple[Sentence, ...] = ()
    sources: tuple[Source, ...] = ()
    nearby: tuple[Source, ...] = ()
    notice: str = ""
    removed: tuple[str, ...] = ()  # generated sentences that no card holds
    terms: tuple[Term, ...] = ()  # defined by the deck; in the order of the text
    confidence: float = 0.0
    generator: str = ""
    index: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0
    danger: Danger | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def source(
    n: int,
    card: Flashcard,
    score: float,
    meaning_rank: int | None = None,
    word_rank: int | None = None,
) -> Source:
    """A card as source number `n`."""
    return Source(
        n=n,
        card_id=card.id,
        question=card.question,
        answer=card.answer,
        topic=card.topic,
        source=card.source,
        url=card.url,
        score=round(score, 4),
        meaning_rank=meaning_rank,
        word_rank=word_rank,
    )


def cited_text(sentences: Sequence[Sentence]) -> str:
    """The sentences in one text, each followed by its numbers: "Asthma is ... [1][2]"."""
    parts = []
    for sentence in sentences:
        numbers = "".join(f"[{n}]" for n in sentence.citations)
        parts.append(f"{sentence.text} {numbers}".strip())
    return " ".join(parts)
