"""From a question to a cited answer: screen, retrieve, judge, generate, cite.

The pipeline holds no state between questions: what was said before comes with each question, so
one conversation cannot reach another.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event

from assistant import followup, support
from assistant.answer import Answer, Sentence, Source, Status, cited_text, source
from assistant.extractive import ExtractiveGenerator
from assistant.generator import Generator, Sampling
from assistant.prompts import NOT_COVERED, Prompt
from assistant.safety.gate import Verdict, screen
from assistant.settings import Settings
from index.cards import Flashcard
from index.errors import ExpectedError
from index.relevance import Judgement
from index.retrieve import CardRetriever
from index.search import Hit
from index.text import clean, fold, sentences

NOT_COVERED_HERE = (
    "My cards do not cover this, so I will not guess. The nearest cards are listed in case they "
    "help; they are about something else."
)
OUT_OF_SCOPE = (
    "I answer health questions from my cards, and this does not look like one that they could "
    "answer, so I will not guess. If it is about health, name the symptom, condition, medicine "
    "or test that you mean."
)
_NEARBY = 3
_NUMBER_IN_BRACKETS = re.compile(r"[\[\u3010\uff3b]\s*(\d[\d\s,;-]*)[\]\u3011\uff3d]")


class QuestionError(ExpectedError):
    """A question that cannot be asked: empty, or far too long."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of this conversation with the answer that it got."""

    question: str
    answer: str


class Assistant:
    """Answers questions over one index with one generator."""

    def __init__(self, retriever: CardRetriever, generator: Generator, settings: Settings) -> None:
        self.retriever = retriever
        self.generator = generator
        self.settings = settings
        self._fallback = ExtractiveGenerator()

    @property
    def index_name(self) -> str:
        """The deck in service, its size and generation."""
        record = self.retriever.manifest
        return f"{', '.join(record.decks)} ({record.cards:,} cards, {record.generation})"

    def answer(self, question: str, history: Sequence[Turn] = ()) -> Answer:
        """The complete answer.

        Raises:
            QuestionError: the question is empty or too long.
        """
        return [*self.stream(question, history)][-1]

    def stream(
        self,
        question: str,
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
        stop: Event | None = None,
    ) -> Iterator[Answer]:
        """Yield the answer as it grows; each is a whole `Answer`, the last one is complete.

        Args:
            history: the earlier turns of this conversation, oldest first.
            stop: set it to end early; what was said by then is the answer.

        Raises:
            QuestionError: the question is empty or too long.
        """
        started = time.perf_counter()
        asked = self._checked(question)
        earlier = [turn.question for turn in history]
        verdict = screen(asked, earlier)
        reply = _Reply(self.generator.name, self.index_name, started)
        if verdict.kind in ("harmful",):
            yield reply.fixed("declined", verdict.text)
            return
        reading, hits, judged = self._retrieve(asked, earlier)
        confidence = round(judged.confidence, 4)
        reply.timings["retrieve"] = reply.elapsed()
        if verdict.kind not in ("none", "dosing"):
            yield from self._emergency(reply, verdict, hits if judged.covered else [], confidence)
            return
        reply.notice = verdict.text
        if not judged.covered:
            text = NOT_COVERED_HERE if judged.in_scope else OUT_OF_SCOPE
            nearby = _numbered(hits[:_NEARBY]) if judged.in_scope else ()
            yield reply.fixed("abstained", text, nearby=nearby, confidence=confidence)
            return
        yield from self._generate(
            reply, reading, hits, confidence, sampling or self._sampling(), stop or Event()
        )

    def _checked(self, question: str) -> str:
        limit = self.settings.max_question_chars
        if len(question) > limit:
            raise QuestionError(
                f"the question has {len(question):,} characters, at most {limit:,} can be read: "
                "shorten it to what you want to know"
            )
        asked = clean(question)
        if not any(c.isalnum() for c in asked):
            raise QuestionError("expected a question, got no words: type what you want to know")
        return asked

    def _sampling(self) -> Sampling:
        return Sampling(self.settings.max_new_tokens, self.settings.temperature)

    def _retrieve(self, question: str, earlier: Sequence[str]) -> tuple[str, list[Hit], Judgement]:
        """The reading of the question that the deck answers best, its cards, the judgement."""
        readings = followup.candidates(question, earlier)
        found = [(reading, *self.retriever.judged(reading)) for reading in readings]
        return max(found, key=lambda found: found[2].confidence)

    def _emergency(
        self, reply: _Reply, verdict: Verdict, hits: Sequence[Hit], confidence: float
    ) -> Iterator[Answer]:
        """The fixed text first and alone; then the best card, if the deck has one on the matter."""
        yield reply.fixed("emergency", verdict.text)
        if hits:
            yield reply.fixed(
                "emergency", verdict.text, nearby=_numbered(hits[:2]), confidence=confidence
            )

    def _generate(
        self,
        reply: _Reply,
        question: str,
        hits: Sequence[Hit],
        confidence: float,
        sampling: Sampling,
        stop: Event,
    ) -> Iterator[Answer]:
        shown = hits[: self.settings.prompt_cards]
        prompt = Prompt(question, [hit.card for hit in shown])
        citer = _Citer(hits, self._similarity, self.generator.grounded)
        yield reply.growing(citer, confidence, best=_numbered(hits[:1]))
        for sentence in _sentence_stream(self._pieces(reply, prompt, sampling, stop)):
            if fold(sentence).strip(". ") == fold(NOT_COVERED).strip(". "):
                break
            if citer.add(sentence):
                yield reply.growing(citer, confidence)
        if not citer.kept and not stop.is_set():
            # Nothing that was generated is held by a card, or the generator itself saw no cover:
            # the best card speaks for itself.
            for sentence in self._fallback.stream(prompt, sampling, stop):
                citer.add(sentence.strip())
        final = reply.growing(citer, confidence)
        timings = {**final.timings_ms, "total": reply.elapsed()}
        yield replace(final, timings_ms=timings)

    def _pieces(
        self, reply: _Reply, prompt: Prompt, sampling: Sampling, stop: Event
    ) -> Iterator[str]:
        for piece in self.generator.stream(prompt, sampling, stop):
            if not reply.tokens:
                reply.timings["first_token"] = reply.elapsed()
            reply.tokens += 1
            yield piece

    def _similarity(self, sentence: str, texts: Sequence[str]) -> list[float]:
        """Cosines of a sentence with texts, from the index's own embedder."""
        model = self.retriever.embed_model
        vectors = model.get_text_embedding_batch([sentence, *texts])
        first, *rest = vectors
        return [sum(a * b for a, b in zip(first, v, strict=True)) for v in rest]


class _Citer:
    """Collects the sentences that a card holds and numbers the cards in order of first use."""

    def __init__(
        self,
        hits: Sequence[Hit],
        similarity: Callable[[str, Sequence[str]], list[float]],
        grounded: bool,
    ) -> None:
        self._hits = hits
        self._cards: list[Flashcard] = [hit.card for hit in hits]
        self._similarity = similarity
        self._grounded = grounded
        self._numbers: dict[int, int] = {}  # position among the hits -> n
        self.kept: list[Sentence] = []
        self.removed: list[str] = []

    def add(self, sentence: str) -> bool:
        """Keep a sentence with its citations, or note that no card holds it."""
        held = support.check(sentence, self._cards, None if self._grounded else self._similarity)
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

    def sources(self) -> tuple[Source, ...]:
        """The cited cards, by number."""
        return tuple(
            source(n, self._hits[position].card, self._hits[position].score)
            for position, n in self._numbers.items()
        )

    def uncited(self) -> tuple[Source, ...]:
        """Cards that were found but hold nothing that is said; numbered on from the cited."""
        rest = [hit for i, hit in enumerate(self._hits) if i not in self._numbers]
        return _numbered(rest, start=len(self._numbers) + 1)


class _Reply:
    """What every answer to one question has in common."""

    def __init__(self, generator: str, index: str, started: float) -> None:
        self._generator = generator
        self._index = index
        self._started = started
        self.timings: dict[str, float] = {}
        self.tokens = 0
        self.notice = ""

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

    def growing(
        self, citer: _Citer, confidence: float, best: tuple[Source, ...] | None = None
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


def _numbered(hits: Sequence[Hit], start: int = 1) -> tuple[Source, ...]:
    return tuple(source(n, hit.card, hit.score) for n, hit in enumerate(hits, start=start))


def _sentence_stream(pieces: Iterator[str]) -> Iterator[str]:
    """Whole sentences from pieces of text, each as soon as the next one has begun."""
    buffer = ""
    for piece in pieces:
        buffer += piece
        *whole, rest = sentences(buffer) or [""]
        yield from whole
        if whole:
            buffer = rest + (" " if buffer[-1:].isspace() else "")
    if buffer.strip():
        yield buffer.strip()
