"""What the service counts, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from assistant.answer import Answer

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80)


class Metrics:
    """The metrics of one app. No question, no answer and no user is among them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._info = Info("medcards", "What is in service", registry=self.registry)
        self._answers = Counter(
            "medcards_answers", "Answers given", ["status"], registry=self.registry
        )
        self._seconds = Histogram(
            "medcards_answer_seconds",
            "Time to the complete answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first = Histogram(
            "medcards_first_text_seconds",
            "Time to the first text or card that a user can read",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._removed = Counter(
            "medcards_removed_sentences",
            "Generated sentences that no card holds",
            registry=self.registry,
        )
        self._running = Gauge(
            "medcards_answers_in_progress", "Answers under way", registry=self.registry
        )
        self._feedback = Counter(
            "medcards_feedback", "Ratings received", ["verdict"], registry=self.registry
        )

    def in_service(self, **facts: str) -> None:
        """What answers right now."""
        self._info.info(facts)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer as under way."""
        with self._running.track_inprogress():
            yield

    def first_text(self, seconds: float) -> None:
        """Something to read has appeared."""
        self._first.observe(seconds)

    def answered(self, answer: Answer | None, failed: bool = False) -> None:
        """An answer is complete, or has failed."""
        self._answers.labels("failed" if failed or answer is None else answer.status).inc()
        if answer is not None:
            self._removed.inc(len(answer.removed))
            if "total" in answer.timings_ms:
                self._seconds.observe(answer.timings_ms["total"] / 1000)

    def rated(self, verdict: str) -> None:
        """A rating was stored."""
        self._feedback.labels(verdict).inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
