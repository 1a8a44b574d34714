"""A GPU that is borrowed for each answer: Hugging Face's ZeroGPU, where `spaces` is installed.

ZeroGPU runs a function that `spaces.GPU` wraps in a process of its own, with what is passed to it
pickled: so the generator goes there by name, as a global, and only prompt and sampling travel.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assistant.generator import Generator, Sampling
    from assistant.pipeline import Assistant
    from assistant.prompts import Prompt

logger = logging.getLogger(__name__)

SECONDS = 60  # of GPU time that an answer may take; what it does not take is not counted
_serving: Generator | None = None


def wanted() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


def prepare() -> None:
    """Load `spaces` before anything can touch CUDA, as it insists."""
    import spaces  # type: ignore[import-not-found, unused-ignore]  # noqa: F401  # of a Space


class Borrowed:
    """A generator whose answers are written on a borrowed GPU."""

    def __init__(self, generator: Generator) -> None:
        global _serving
        import spaces  # type: ignore[import-not-found, unused-ignore]  # of a Space

        _serving = self._inner = generator
        self._write = spaces.GPU(_write, duration=SECONDS)

    @property
    def name(self) -> str:
        """The generator's."""
        return f"{self._inner.name}, ZeroGPU"

    @property
    def grounded(self) -> bool:
        """The generator's."""
        return self._inner.grounded

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces.

        A stop ends it for the reader; the borrowed process finishes its few sentences.
        """
        for piece in self._write(prompt, sampling):
            if stop.is_set():
                return
            yield piece


def _write(prompt: Prompt, sampling: Sampling) -> Iterator[str]:
    assert _serving is not None, "only `Borrowed` calls it"
    yield from _serving.stream(prompt, sampling, Event())


def borrow(assistant: Assistant) -> None:
    """Let a generator that needs a GPU borrow one; tells ZeroGPU that the app is ready."""
    if not assistant.generator.grounded:
        assistant.serve(assistant.retriever, Borrowed(assistant.generator))
        # ZeroGPU hooks this into `Blocks.launch`, which a page that is mounted does not call.
        from spaces import zero  # type: ignore[import-not-found, unused-ignore]  # of a Space

        zero.startup()
        logger.info("answers are written on ZeroGPU")
