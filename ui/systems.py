"""Which systems can answer on this machine, one by one or side by side."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Event, Lock
from typing import Literal, Protocol, get_args

from assistant import embedded
from assistant.answer import Answer, Sentence
from assistant.extractive import ExtractiveGenerator
from assistant.full import require_engine
from assistant.generator import EngineMissingError, Generator, Sampling
from assistant.pipeline import Assistant, Turn
from assistant.prompts import Prompt
from assistant.relay import relayed
from assistant.safety.gate import screen
from assistant.settings import REMOTE, Settings
from index.text import sentences

System = Literal["extractive", "base", "tuned", "base+rag", "tuned+rag"]
SYSTEMS: tuple[System, ...] = get_args(System)
FROM_MEMORY: tuple[System, ...] = ("base", "tuned")  # no card is looked up, nothing is checked
DEFAULT = ""  # whatever is in service


class Answerer(Protocol):
    """Answers a question as an `Assistant` does."""

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        ...

    def stream(
        self,
        question: str,
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
        stop: Event | None = None,
    ) -> Iterator[Answer]:
        """Yield the answer as it grows; the last one is complete."""
        ...


class Systems(Protocol):
    """The systems that can be asked."""

    def names(self) -> list[System]:
        """Those that this machine has, the plainest first."""
        ...

    def answerer(self, name: System, assistant: Assistant) -> Answerer:
        """The system over the cards of `assistant`."""
        ...


class OnDisk:
    """The generator in service with and without cards, its base, and the cards' own sentences.

    Where those are in service, the small model that ships can be asked beside them.

    The generator in service may change while the page is served (the full model takes over from
    the embedded one), so every call looks at it anew.
    """

    def __init__(
        self, assistant: Assistant, make: Callable[[Settings], Generator] | None = None
    ) -> None:
        """Compare over `assistant`.

        Args:
            make: builds a generator from settings; without it the untuned base cannot be asked.
        """
        self._assistant = assistant
        self._make = make
        self._lock = Lock()
        self._made: dict[tuple[str, str | None], Generator] = {}

    def names(self) -> list[System]:
        """Those that this machine has."""
        if self._assistant.generator.grounded:
            return list(SYSTEMS) if self._has_shipped() else ["extractive"]
        settings = self._serving()
        if not settings.adapter:
            return ["extractive", "base", "base+rag"]
        # An endpoint serves the model that it was told: there is no base to be had from it.
        local = self._make is not None and not settings.generator.startswith(REMOTE)
        base: list[System] = ["base"] if local else []
        return ["extractive", *base, "tuned", "tuned+rag"]

    def _has_shipped(self) -> bool:
        """Whether the small model that ships is here, and what would run it."""
        if self._make is None or not embedded.is_there():
            return False
        try:
            require_engine(embedded.settings(self._assistant.settings))
        except EngineMissingError:
            return False
        return True

    def answerer(self, name: System, assistant: Assistant) -> Answerer:
        """The system over the cards of `assistant`.

        Raises:
            ExpectedError: its model cannot be loaded.
        """
        if name == "extractive":
            return with_generator(assistant, ExtractiveGenerator())
        generator = self._generator(tuned=name.startswith("tuned"))
        if name in FROM_MEMORY:
            return FromMemory(assistant, generator)
        return with_generator(assistant, generator)

    def _generator(self, tuned: bool) -> Generator:
        """The model in service or, where the cards' own sentences are, the one that ships."""
        serving, settings = self._assistant.generator, self._serving()
        if not serving.grounded and (tuned or not settings.adapter):
            return serving
        return self._loaded(settings if tuned else settings.model_copy(update={"adapter": None}))

    def _serving(self) -> Settings:
        """The settings of the model in service, or of the one that ships beside the cards' own."""
        settings = self._assistant.settings
        own = settings.profile == "embedded" or self._assistant.generator.grounded
        return embedded.settings(settings) if own else settings

    def _loaded(self, wanted: Settings) -> Generator:
        """A generator that is loaded once, when it is first asked."""
        key = (wanted.base, wanted.adapter)
        with self._lock:
            if key not in self._made:
                assert self._make is not None, "no name of a system that cannot be built"
                self._made[key] = self._make(wanted)
            return self._made[key]


def with_generator(assistant: Assistant, generator: Generator) -> Assistant:
    """The same cards and settings with another generator; the one given stays as it is."""
    other = copy.copy(assistant)
    other.generator = generator
    return other


class FromMemory:
    """A generator that is asked without cards, behind the same safety gate.

    Its sentences cite nothing and are checked against nothing: for comparison only.
    """

    def __init__(self, assistant: Assistant, generator: Generator) -> None:
        self._assistant = assistant
        self._generator = generator

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        return self._assistant.settings

    def stream(
        self,
        question: str,
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
        stop: Event | None = None,
    ) -> Iterator[Answer]:
        """Yield the answer as it grows; a question that the gate answers gets the gate's text."""
        asked = self._assistant.checked(question)
        verdict = screen(asked, [turn.question for turn in history])
        if verdict.kind not in ("none", "dosing"):
            yield from self._assistant.stream(question, history, sampling, stop)
            return
        started = time.perf_counter()
        settings = self.settings
        drawn = sampling or Sampling(settings.max_new_tokens, settings.temperature)
        answer = Answer("answered", "", notice=verdict.text, generator=self._generator.name)
        timings: dict[str, float] = {}
        said = ""

        def source(gone: Event) -> Iterator[str]:
            return self._generator.stream(Prompt(asked), drawn, gone)

        for piece in relayed(source, stop or Event(), settings.answer_seconds):
            said += piece
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            timings = {"first_token": timings.get("first_token", elapsed), "total": elapsed}
            whole = tuple(Sentence(text, (), 0.0) for text in sentences(said))
            answer = replace(answer, text=said.strip(), sentences=whole, timings_ms=timings)
            yield answer
        yield answer
