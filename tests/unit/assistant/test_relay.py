"""A source that blocks must never hold up whoever waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

import pytest

from assistant.generator import GenerationError
from assistant.relay import relayed


def slow(gone: Event) -> Iterator[str]:
    yield "first"
    time.sleep(30)
    yield "never"


def test_pieces_come_in_order_and_empty_ones_do_not() -> None:
    assert list(relayed(lambda gone: iter(["a", "", "b"]), Event(), 5)) == ["a", "b"]


def test_a_stop_ends_it_while_the_source_sleeps() -> None:
    stop = Event()
    pieces = relayed(slow, stop, 60)
    assert next(pieces) == "first"
    began = time.monotonic()
    stop.set()
    assert list(pieces) == []
    assert time.monotonic() - began < 1


def test_the_time_is_up_while_the_source_sleeps() -> None:
    began = time.monotonic()
    with pytest.raises(GenerationError, match=r"within 0\.2 s"):
        list(relayed(slow, Event(), 0.2))
    assert time.monotonic() - began < 2


def test_an_endless_source_ends_in_time() -> None:
    def endless(gone: Event) -> Iterator[str]:
        while True:
            yield "again"

    with pytest.raises(GenerationError):
        list(relayed(endless, Event(), 0.1))


def test_the_source_is_told_and_closed_when_the_reader_leaves() -> None:
    closed = Event()
    told: list[Event] = []

    def source(gone: Event) -> Iterator[str]:
        told.append(gone)
        try:
            while True:
                yield "more"
                time.sleep(0.01)
        finally:
            closed.set()

    pieces = relayed(source, Event(), 60)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # a generator
    assert told[0].is_set()
    assert closed.wait(2)


def test_what_the_source_raises_reaches_the_reader() -> None:
    def failing(gone: Event) -> Iterator[str]:
        yield "a"
        raise MemoryError

    pieces = relayed(failing, Event(), 5)
    assert next(pieces) == "a"
    with pytest.raises(MemoryError):
        next(pieces)
