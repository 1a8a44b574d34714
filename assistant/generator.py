"""The seam between the pipeline and whatever writes the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from assistant.prompts import Prompt
from index.errors import ExpectedError


class GeneratorUnavailableError(ExpectedError):
    """The weights are missing, damaged, of another architecture, or too large for the machine."""


class EngineMissingError(GeneratorUnavailableError):
    """A package is not installed: trying again does not help."""


class GenerationError(ExpectedError):
    """The engine failed during one answer; the next question may succeed."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is drawn. Temperature 0 is greedy; the seed makes a draw repeatable."""

    max_new_tokens: int = 160
    temperature: float = 0.0
    seed: int = 0


class Generator(Protocol):
    """Writes an answer to a prompt, piece by piece."""

    @property
    def name(self) -> str:
        """What is in service, as users read it, e.g. "TinyLlama-1.1B-Chat + adapter (nf4)"."""
        ...

    @property
    def grounded(self) -> bool:
        """Whether every sentence is copied from a card, so that nothing needs to be removed."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces; ends early, and soon, once `stop` is set.

        Raises:
            GeneratorUnavailableError: the weights cannot be loaded, or the engine not be reached.
            GenerationError: the engine failed on the way.
        """
        ...
