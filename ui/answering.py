"""Ask the assistant for one turn of a conversation: whose cards, how long, and how to stop."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock
from typing import Literal

from assistant.answer import Answer, cited_text
from assistant.generator import Sampling
from assistant.pipeline import Assistant
from index.errors import ExpectedError
from index.retrieve import CardRetriever
from ui import plain, strings
from ui.conversation import Asked, history
from ui.metrics import Metrics
from ui.strings import Lang
from ui.systems import Answerer

logger = logging.getLogger(__name__)

Length = Literal["short", "normal", "long"]
SHORT_SENTENCES = 2
_SHORT_TOKENS = 80
_LONG_TOKENS = 320


@dataclass(frozen=True, slots=True)
class Options:
    """What a user chose for the next answers; None leaves a choice to the deployment."""

    length: Length = "normal"
    temperature: float | None = None
    top_k: int | None = None
    topics: frozenset[str] | None = None  # only cards of these; None means all
    decks: frozenset[str] | None = None
    simple: bool = False  # short sentences first


class Following(Event):
    """Set when it is set itself, or when the event that it follows is."""

    def __init__(self, leader: Event) -> None:
        super().__init__()
        self._leader = leader

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or self._leader.is_set()


class Stops:
    """Which sessions have an answer under way, and how to end it."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._lock = Lock()
        self.closing = False  # the server is going down: no answer begins

    def begin(self, session: str) -> Event:
        """A new answer for a session; one that is still under way ends."""
        self.stop(session)
        event = Event()
        with self._lock:
            self._events[session] = event
        return event

    def stop(self, session: str) -> None:
        """End the answer of a session, if one is under way."""
        with self._lock:
            event = self._events.pop(session, None)
        if event is not None:
            event.set()

    def leave(self, session: str) -> None:
        """End whatever a session has under way: nobody listens any more."""
        with self._lock:
            left = [key for key in self._events if key.partition("/")[0] == session]
        for key in left:
            self.stop(key)

    def stop_all(self) -> None:
        """End every answer: the server is going down."""
        with self._lock:
            events = list(self._events.values())
            self._events.clear()
        for event in events:
            event.set()

    def close(self) -> None:
        """From now on no answer begins; those under way may end."""
        self.closing = True

    def under_way(self) -> int:
        """Answers that have begun and not ended."""
        with self._lock:
            return len(self._events)

    def end(self, session: str, event: Event) -> None:
        """An answer is over; its event is forgotten unless a newer one took its place."""
        with self._lock:
            if self._events.get(session) is event:
                del self._events[session]


def chosen(assistant: Assistant, retriever: CardRetriever | None, options: Options) -> Assistant:
    """The assistant over one user's choice of cards; the shared one is never changed."""
    own = copy.copy(assistant)
    own.retriever = copy.copy(retriever or assistant.retriever)
    if options.top_k is not None:
        own.retriever.top_k = options.top_k
    if options.topics is not None or options.decks is not None:
        # The assistant asks for cards without a filter: its retriever is told which are meant.
        own.retriever.judged = partial(  # type: ignore[method-assign]
            own.retriever.judged, topics=options.topics, decks=options.decks
        )
    return own


def answers(
    assistant: Answerer,
    turn: Asked,
    earlier: Sequence[Asked],
    options: Options,
    stop: Event,
    metrics: Metrics,
    lang: Lang = "en",
) -> Iterator[Asked]:
    """Yield the turn as its answer grows; the last one is complete, whatever happened."""
    limit = SHORT_SENTENCES if options.length == "short" else None
    sampling = _sampling(assistant, options)
    long_enough = False
    started = time.perf_counter()
    try:
        with metrics.answering():
            for answer in assistant.stream(turn.question, history(earlier), sampling, stop):
                if _useful(answer) and not _useful(turn.answer):
                    metrics.first_text(time.perf_counter() - started)
                if limit and len(answer.sentences) >= limit:
                    answer = first_sentences(answer, limit)
                    long_enough = long_enough or not stop.is_set()
                    stop.set()
                turn = replace(turn, answer=answer)
                yield turn
    except ExpectedError as error:
        turn = replace(turn, error=str(error))
    except Exception:  # a bug: the log gets its traceback, the user a way on
        logger.exception("the answer failed")
        turn = replace(turn, error=strings.FAILED(lang))
    if options.simple and turn.answer is not None:
        turn = replace(turn, answer=plain.short_first(turn.answer))
    turn = replace(turn, stopped=stop.is_set() and not long_enough)
    metrics.answered(turn.answer, failed=bool(turn.error))
    yield turn


def _useful(answer: Answer | None) -> bool:
    """Whether a user has something to read: a sentence, a fixed text, or a card."""
    return answer is not None and bool(answer.text or answer.nearby or answer.sources)


def first_sentences(answer: Answer, limit: int) -> Answer:
    """The answer cut to its first sentences; cards that these do not cite become nearby ones."""
    kept = answer.sentences[:limit]
    cited = {n for sentence in kept for n in sentence.citations}
    return replace(
        answer,
        text=cited_text(kept),
        sentences=kept,
        sources=tuple(source for source in answer.sources if source.n in cited),
        nearby=(*(s for s in answer.sources if s.n not in cited), *answer.nearby),
    )


def _sampling(assistant: Answerer, options: Options) -> Sampling:
    settings = assistant.settings
    tokens = {"short": _SHORT_TOKENS, "normal": settings.max_new_tokens, "long": _LONG_TOKENS}
    temperature = settings.temperature if options.temperature is None else options.temperature
    return Sampling(tokens[options.length], temperature)
