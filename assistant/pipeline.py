"""From a question to a cited answer: screen, retrieve, judge, generate, cite.

The pipeline holds nothing of a conversation between questions: what was said before comes with
each question, so one conversation cannot reach another. Whole answers are kept for prompts that
come again.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import re
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event

from assistant import followup, foreign, mismatch, plain
from assistant.answer import Answer
from assistant.cache import AnswerCache
from assistant.extractive import ExtractiveGenerator
from assistant.generator import Generator, Sampling
from assistant.progress import Progress
from assistant.prompts import NOT_COVERED, Prompt, grounded
from assistant.relay import relayed
from assistant.reply import Citer, Reply, numbered
from assistant.safety.gate import Verdict, screen
from assistant.settings import Settings
from assistant.terms import glossary_of
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
WITHOUT_SUBJECT = (
    "I cannot tell what this is about, so I will not guess. Ask again with the condition, symptom, "
    "medicine or test that you mean."
)
UNSURE = (
    "I am not sure that my cards answer this. The nearest one asks \N{LEFT DOUBLE QUOTATION MARK}"
    "{question}\N{RIGHT DOUBLE QUOTATION MARK}, so what follows may be about something else."
)
FAILED = "The language model could not answer this time; this is what the cards themselves say."
CUT_OFF = "The language model broke off, so this answer may lack something; see the cards below."
_NEARBY = 3
_UNSURE = 0.25  # probability that the best card answers, below which an answer says so
_QUOTED = 120  # characters of that card's question, at most
_TURNS = 4  # earlier ones that the prompt may share cards with
_ENDED = re.compile(r"[.!?…][\"'”’)\]]*$")  # noqa: RUF001 - the marks of real texts

logger = logging.getLogger(__name__)


class QuestionError(ExpectedError):
    """A question that cannot be asked: empty, or far too long."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of this conversation with the answer that it got."""

    question: str
    answer: str


class Assistant:
    """Answers questions over one index with one generator; both can be exchanged while it runs."""

    def __init__(
        self,
        retriever: CardRetriever,
        generator: Generator,
        settings: Settings,
        falls_back: bool = True,
    ) -> None:
        """Args:
        falls_back: whether the cards answer where the generator fails, instead of its error.
        """
        self.retriever = retriever
        self.generator = generator
        self.settings = settings
        self.progress = Progress()
        self._falls_back = falls_back
        self._fallback = ExtractiveGenerator()
        self._cache = AnswerCache(settings.cached_answers)
        self._generation = retriever.manifest.generation

    def serve(self, retriever: CardRetriever, generator: Generator) -> None:
        """Answer from now on over another index with another generator.

        Answers under way end with what they began with.
        """
        # One step: a question sees both exchanged, or neither.
        self.__dict__.update(
            retriever=retriever,
            generator=generator,
            _generation=retriever.manifest.generation,
            _cache=AnswerCache(self.settings.cached_answers),
        )

    def status(self) -> dict[str, object]:
        """What is in service and what is being prepared: for the log, `/healthz` and the page."""
        return {
            "profile": self.settings.profile,
            "generator": self.generator.name,
            "index": self.index_name,
            **self.progress.status(),
        }

    @property
    def index_name(self) -> str:
        """The deck in service, its size and generation."""
        record = self.retriever.manifest
        return f"{', '.join(record.decks)} ({record.cards:,} cards, {record.generation})"

    def answer(self, question: str, history: Sequence[Turn] = (), simple: bool = False) -> Answer:
        """The complete answer; `simple` as in `stream`.

        Raises:
            QuestionError: the question is empty or too long.
        """
        return [*self.stream(question, history, simple=simple)][-1]

    def stream(
        self,
        question: str,
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
        stop: Event | None = None,
        simple: bool = False,
    ) -> Iterator[Answer]:
        """Yield the answer as it grows; each is a whole `Answer`, the last one is complete.

        Args:
            history: the earlier turns of this conversation, oldest first.
            stop: set it to end early; what was said by then is the answer.
            simple: in fewer and shorter sentences, with medical words explained in brackets.

        Raises:
            QuestionError: the question is empty or too long.
        """
        # Of a copy, which keeps its index and generator if others take their place meanwhile.
        answers = copy.copy(self)._stream(question, history, sampling, stop)
        yield from plain.in_plain_words(answers, question) if simple else answers

    def _stream(
        self,
        question: str,
        history: Sequence[Turn],
        sampling: Sampling | None,
        stop: Event | None,
    ) -> Iterator[Answer]:
        started = time.perf_counter()
        asked = self.checked(question)
        earlier = [turn.question for turn in history]
        verdict = screen(asked, earlier)
        reply = Reply(self.generator.name, self.index_name, started)
        if foreign.is_foreign(asked) and not verdict.by_rule:
            yield reply.fixed("abstained", foreign.TEXT)
            return
        if verdict.kind == "harmful":
            yield reply.fixed("declined", verdict.text)
            return
        if verdict.kind not in ("none", "dosing"):
            yield from self._emergency(reply, verdict, asked, earlier)
            return
        reply.notice = verdict.text
        if followup.unclear(asked, earlier):
            yield reply.fixed("abstained", WITHOUT_SUBJECT)
            return
        reading, hits, judged = self._retrieve(asked, earlier)
        confidence = round(judged.confidence, 4)
        reply.timings["retrieve"] = reply.elapsed()
        if not judged.covered:
            text = NOT_COVERED_HERE if judged.in_scope else OUT_OF_SCOPE
            nearby = numbered(hits[:_NEARBY]) if judged.in_scope else ()
            yield reply.fixed("abstained", text, nearby=nearby, confidence=confidence)
            return
        if confidence < _UNSURE:
            asks = textwrap.shorten(hits[0].card.question, _QUOTED, placeholder="…")
            reply.note(UNSURE.format(question=asks))
        for text in mismatch.notices(reading, hits[0].card):
            reply.note(text)
        cards, count = [hit.card for hit in hits], self.settings.prompt_cards
        if self.generator.grounded:  # it copies sentences, and sees to it which ones
            prompt = Prompt(reading, cards[:count])
        else:
            prompt = grounded(reading, cards, count, self._before(earlier))
        yield from self._generate(
            reply, prompt, hits, confidence, sampling or self._sampling(), stop or Event()
        )

    def _before(self, earlier: Sequence[str]) -> Sequence[Flashcard]:
        """The cards of the prompt before this one, found as they were found then."""
        cards: Sequence[Flashcard] = ()
        for turn in range(max(0, len(earlier) - _TURNS), len(earlier)):
            reading, hits, _ = self._retrieve(earlier[turn], earlier[:turn])
            found = [hit.card for hit in hits]
            cards = grounded(reading, found, self.settings.prompt_cards, cards).cards
        return cards

    def checked(self, question: str) -> str:
        """The question, cleaned.

        Raises:
            QuestionError: it is empty or too long.
        """
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
        self, reply: Reply, verdict: Verdict, asked: str, earlier: Sequence[str]
    ) -> Iterator[Answer]:
        """The fixed text, before anything that can take time or fail; then the best cards, if any.

        A search that fails leaves the text as it is.
        """
        yield replace(reply.fixed("emergency", verdict.text), danger=verdict.danger)
        try:
            _, hits, judged = self._retrieve(asked, earlier)
        except Exception as error:
            logger.warning("no cards beside an emergency: %s", error, exc_info=_bug(error))
            return
        reply.timings["retrieve"] = reply.elapsed()
        if judged.covered:
            confidence = round(judged.confidence, 4)
            shown = reply.fixed(
                "emergency", verdict.text, nearby=numbered(hits[:2]), confidence=confidence
            )
            yield replace(shown, danger=verdict.danger)

    def _generate(
        self,
        reply: Reply,
        prompt: Prompt,
        hits: Sequence[Hit],
        confidence: float,
        sampling: Sampling,
        stop: Event,
    ) -> Iterator[Answer]:
        key = self._key(prompt, hits, sampling)
        known = self._cache.get(key)
        if known is not None:
            yield reply.again(known, confidence)
            return
        citer = Citer(hits)
        yield reply.growing(citer, confidence, best=numbered(hits[:1]))
        broken = False
        try:
            pieces = self._pieces(reply, prompt, sampling, stop)
            for sentence in _sentence_stream(pieces, cards=self.generator.grounded):
                if fold(sentence).strip(". ") == fold(NOT_COVERED).strip(". "):
                    break
                if citer.add(sentence):
                    yield reply.growing(citer, confidence)
        except Exception as error:
            # Whatever a generator does, the question gets an answer: what was said so far, or the
            # cards. A bug keeps its traceback in the log.
            if not self._falls_back:
                raise
            broken = True
            logger.warning("%s failed: %s", self.generator.name, error, exc_info=_bug(error))
            self.progress.failed(f"{error}" if not _bug(error) else type(error).__name__)
            reply.note(CUT_OFF if citer.kept else FAILED)
        if not citer.kept and not stop.is_set():
            # Nothing that was generated is held by a card, or the generator itself saw no cover:
            # the best card speaks for itself.
            cards = [hit.card for hit in hits[: self.settings.prompt_cards]]
            for sentence in self._fallback.stream(Prompt(prompt.question, cards), sampling, stop):
                citer.add(sentence.strip())
        final = reply.growing(citer, confidence)
        cited = [source.card_id for source in final.sources]
        terms = glossary_of(self.retriever).within(final.text, prompt.question, cited)
        timings = {**final.timings_ms, "total": reply.elapsed()}
        final = replace(final, terms=terms, timings_ms=timings)
        if not broken and not stop.is_set() and self._may_keep():
            self._cache.put(key, final)
        yield final

    def _key(self, prompt: Prompt, hits: Sequence[Hit], sampling: Sampling) -> str:
        """What an answer depends on, as a hash: nobody's words are kept in it."""
        cards = [hit.card.id for hit in hits]
        index = self.retriever.manifest.generation
        parts = (prompt.question, prompt.cards, cards, index, self.generator.name, sampling)
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def _may_keep(self) -> bool:
        """Whether answers are of the deck in service; nothing of a user's own deck is kept."""
        return self.retriever.manifest.generation == self._generation

    def _pieces(
        self, reply: Reply, prompt: Prompt, sampling: Sampling, stop: Event
    ) -> Iterator[str]:
        def source(gone: Event) -> Iterator[str]:
            return self.generator.stream(prompt, sampling, gone)

        # The cards' own sentences need no waiting for, and so no thread.
        waits = not self.generator.grounded
        seconds = self.settings.answer_seconds
        for piece in relayed(source, stop, seconds) if waits else source(stop):
            if not reply.tokens:
                reply.timings["first_token"] = reply.elapsed()
            reply.tokens += 1
            yield piece


def _bug(error: Exception) -> bool:
    return not isinstance(error, ExpectedError)


def _sentence_stream(pieces: Iterator[str], cards: bool) -> Iterator[str]:
    """Whole sentences from pieces of text, each as soon as the next one has begun.

    What is left at the end counts only if it ends as a sentence does: a text that was cut off may
    have lost its condition ("... can be taken in early pregnancy" of "only if a doctor advises
    it"), and a card would still seem to hold it. The `cards`' own sentences are whole in any case.
    """
    buffer = ""
    for piece in pieces:
        buffer += piece
        *whole, rest = sentences(buffer) or [""]
        yield from whole
        if whole:
            buffer = rest + (" " if buffer[-1:].isspace() else "")
    rest = buffer.strip()
    if rest and (cards or _ENDED.search(rest)):
        yield rest
