"""What an answer is made of: sentences with their citations, and what all answers share."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

from assistant import support
from assistant.answer import Answer, Sentence, Source, Status, cited_text, source
from assistant.support_literal import verbatim
from index.cards import Flashcard
from index.search import Hit
from index.text import fold

_NUMBER_IN_BRACKETS = re.compile(r"[\[\u3010\uff3b]\s*(\d[\d\s,;-]*)[\]\u3011\uff3d]")


class Citer:
    """Collects the sentences that a card holds and numbers the cards in order of first use."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self._cards: list[Flashcard] = [hit.card for hit in hits]
        self._numbers: dict[int, int] = {}  # position among the hits -> n
        self.kept: list[Sentence] = []
        self.removed: list[str] = []
        self._said: set[str] = set()

    def add(self, sentence: str) -> bool:
        """Keep a sentence with its citations, or note that no card holds it.

        None is said twice, and none asks what no card asks: models like to repeat the question.
        """
        said = fold(sentence)
        if said in self._said or (said.endswith("?") and not self._asked_by_a_card(sentence)):
            return False
        self._said.add(said)
        held = support.check(sentence, self._cards)
        if not held.citations:
            self.removed.append(sentence)
            return False
        numbers = []
        for position in held.citations:
            self._numbers.setdefault(position, len(self._numbers) + 1)
            numbers.append(self._numbers[position])
        text = _NUMBER_IN_BRACKETS.sub(r"(\1)", sentence)  # only code writes citations
        self.kept.append(Sentence(text, tuple(sorted(numbers)), round(held.score, 4)))
        return True

    def _asked_by_a_card(self, sentence: str) -> bool:
        return any(verbatim(sentence, card.answer) for card in self._cards)

    def sources(self) -> tuple[Source, ...]:
        """The cited cards, by number."""
        return tuple(_source(n, self._hits[position]) for position, n in self._numbers.items())

    def uncited(self) -> tuple[Source, ...]:
        """Cards that were found but hold nothing that is said; numbered on from the cited."""
        rest = [hit for i, hit in enumerate(self._hits) if i not in self._numbers]
        return numbered(rest, start=len(self._numbers) + 1)


class Reply:
    """What every answer to one question has in common."""

    def __init__(self, generator: str, index: str, started: float) -> None:
        self._generator = generator
        self._index = index
        self._started = started
        self.timings: dict[str, float] = {}
        self.tokens = 0
        self.notice = ""

    def note(self, text: str) -> None:
        """Add to what stands before the answer."""
        self.notice = f"{self.notice} {text}".strip()

    def elapsed(self) -> float:
        """Milliseconds since the question arrived."""
        return round((time.perf_counter() - self._started) * 1000, 1)

    def fixed(
        self,
        status: Status,
        text: str,
        nearby: tuple[Source, ...] = (),
        confidence: float = 0.0,
    ) -> Answer:
        """An answer that is not generated."""
        return Answer(
            status=status,
            text=text,
            nearby=nearby,
            notice=self.notice,
            confidence=confidence,
            generator=self._generator,
            index=self._index,
            timings_ms={**self.timings, "total": self.elapsed()},
        )

    def again(self, known: Answer, confidence: float) -> Answer:
        """An answer that was given before, in the times of this one."""
        now = self.elapsed()
        timings = {**self.timings, "first_token": now, "total": now}
        return replace(known, notice=self.notice, confidence=confidence, timings_ms=timings)

    def growing(
        self, citer: Citer, confidence: float, best: tuple[Source, ...] | None = None
    ) -> Answer:
        """The answer so far; before its first sentence, with the best card at hand."""
        return Answer(
            status="answered",
            text=cited_text(citer.kept),
            sentences=tuple(citer.kept),
            sources=citer.sources(),
            nearby=citer.uncited() if best is None else best,
            notice=self.notice,
            removed=tuple(citer.removed),
            confidence=confidence,
            generator=self._generator,
            index=self._index,
            timings_ms=dict(self.timings),
            tokens=self.tokens,
        )


def numbered(hits: Sequence[Hit], start: int = 1) -> tuple[Source, ...]:
    return tuple(_source(n, hit) for n, hit in enumerate(hits, start=start))


def _source(n: int, hit: Hit) -> Source:
    return source(n, hit.card, hit.score, hit.dense_rank, hit.lexical_rank)
