"""Asking: stopped, cut short, failed, and over one user's choice of cards."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.answer import Answer, Sentence
from index.errors import ExpectedError
from ui import answering
from ui.answering import Options, Stops, chosen
from ui.conversation import Asked, asked
from ui.metrics import Metrics


class Talker:
    """Says one sentence after the other until told to stop."""

    def __init__(self, error: Exception | None = None) -> None:
        self.settings = SimpleNamespace(max_new_tokens=160, temperature=0.3)
        self.retriever = SimpleNamespace(top_k=5)
        self.sampling: Any = None
        self._error = error

    def stream(self, question: str, history: Any, sampling: Any, stop: Event) -> Iterator[Answer]:
        self.sampling = sampling
        said: list[Sentence] = []
        for n in range(10):
            if stop.is_set():
                break
            said.append(Sentence(f"{question} {n}.", (1,), 1.0))
            yield Answer("answered", "text", tuple(said))
            if self._error:
                raise self._error


def run(talker: Any, options: Options | None = None, stop: Event | None = None) -> list[Asked]:
    stop = stop or Event()
    return [*answering.answers(talker, asked("q"), [], options or Options(), stop, Metrics(), "en")]


def test_every_step_is_shown_and_the_last_is_whole() -> None:
    turns = run(Talker())
    assert [len(t.answer.sentences) for t in turns if t.answer] == [*range(1, 11), 10]
    assert not turns[-1].stopped


def test_a_stop_ends_soon_and_is_told() -> None:
    stop = Event()
    turns = []
    for turn in answering.answers(Talker(), asked("q"), [], Options(), stop, Metrics()):  # type: ignore[arg-type]
        turns.append(turn)
        stop.set()
    assert turns[-1].stopped
    assert turns[-1].answer is not None
    assert len(turns[-1].answer.sentences) == 1


def test_a_short_answer_ends_by_itself() -> None:
    talker = Talker()
    last = run(talker, Options(length="short"))[-1]
    assert last.answer is not None
    assert len(last.answer.sentences) == answering.SHORT_SENTENCES
    assert last.answer.text.count("[1]") == answering.SHORT_SENTENCES
    assert not last.stopped
    assert talker.sampling.max_new_tokens < 160
    assert talker.sampling.temperature == 0.3


@pytest.mark.parametrize(
    ("error", "told"),
    [(ExpectedError("too long"), "too long"), (ValueError("secret"), "Something went wrong")],
)
def test_a_failure_keeps_what_was_said(error: Exception, told: str) -> None:
    last = run(Talker(error))[-1]
    assert told in last.error
    assert "secret" not in last.error
    assert last.answer is not None


def test_one_users_choice_leaves_the_shared_assistant_alone() -> None:
    shared: Any = Talker()
    own = chosen(shared, None, Options(top_k=9))
    assert own.retriever.top_k == 9
    assert shared.retriever.top_k == 5
    other: Any = SimpleNamespace(top_k=5)
    assert chosen(shared, other, Options()).retriever is not shared.retriever


def test_stops_belong_to_their_session() -> None:
    stops = Stops()
    one, two = stops.begin("one"), stops.begin("two")
    stops.stop("one")
    assert one.is_set()
    assert not two.is_set()
    again = stops.begin("two")
    assert two.is_set(), "a new question ends the answer before it"
    stops.end("two", two)
    stops.stop_all()
    assert again.is_set()
