"""ZeroGPU: what goes to the borrowed process, and when."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from threading import Event
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from assistant.generator import Sampling
from assistant.prompts import Prompt
from index.cards import make_card
from ui import zerogpu


class Words:
    name = "tiny"
    grounded = False

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        yield from (f"{prompt.question} ", f"{len(prompt.cards)} cards ", "end")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A double of `spaces`: it pickles the arguments, as the borrowed process needs them."""
    events: list[str] = []

    def gpu(task: Callable[..., Iterator[str]], duration: int) -> Callable[..., Iterator[str]]:
        pickle.dumps(task)  # a global, found by its name on the other side

        def handler(*arguments: Any) -> Iterator[str]:
            events.append(f"gpu for {duration} s")
            yield from task(*pickle.loads(pickle.dumps(arguments)))

        return handler

    spaces: Any = ModuleType("spaces")
    spaces.GPU = gpu
    spaces.zero = SimpleNamespace(startup=lambda: events.append("startup"))
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    return events


def test_answers_are_written_on_a_borrowed_gpu_and_stop(started: list[str]) -> None:
    served: list[Any] = []
    assistant: Any = SimpleNamespace(
        generator=Words(), retriever=None, serve=lambda _, generator: served.append(generator)
    )
    zerogpu.borrow(assistant)
    (generator,) = served
    assert started == ["startup"]
    prompt = Prompt("why", [make_card("q", "a")])
    said = "".join(generator.stream(prompt, Sampling(), Event()))
    assert said == "why 1 cards end"
    assert started[1] == f"gpu for {zerogpu.SECONDS} s"
    stop = Event()
    pieces = []
    for piece in generator.stream(prompt, Sampling(), stop):
        pieces.append(piece)
        stop.set()
    assert len(pieces) == 1


def test_sentences_of_cards_need_no_gpu(started: list[str]) -> None:
    assistant: Any = SimpleNamespace(generator=SimpleNamespace(grounded=True))
    zerogpu.borrow(assistant)
    assert started == []


@pytest.mark.parametrize(("value", "wanted"), [("true", True), ("1", True), ("", False)])
def test_only_a_space_on_zerogpu_borrows(
    monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool
) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", value)
    assert zerogpu.wanted() is wanted
