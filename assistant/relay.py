"""Relay pieces of text from a source that blocks, with an end at once.

An engine that reads a long prompt, waits in a queue or hangs says nothing for seconds. The reader
must not wait with it: when the user stops, the reader leaves or the time is up, the relay ends,
and the source is told and ends as soon as it can.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from threading import Event, Thread

from assistant.generator import GenerationError

_POLL_SECONDS = 0.02

_Pieces = SimpleQueue[str | BaseException | None]


def relayed(source: Callable[[Event], Iterator[str]], stop: Event, seconds: float) -> Iterator[str]:
    """Yield what `source` yields, for at most `seconds`.

    Args:
        source: called with an event that is set when nobody listens any more.
        stop: ends the relay, without an error.

    Raises:
        GenerationError: the time is up.
        Exception: whatever the source raises.
    """
    gone = Event()
    pieces: _Pieces = SimpleQueue()
    deadline = time.monotonic() + seconds
    Thread(target=_work, args=[source, gone, pieces], name="relay", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                piece = pieces.get(timeout=_POLL_SECONDS)
            except Empty:
                piece = ""
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            if piece:
                yield piece
            if time.monotonic() > deadline:
                raise GenerationError(f"the language model did not finish within {seconds:g} s")
    finally:
        gone.set()


def _work(source: Callable[[Event], Iterator[str]], gone: Event, pieces: _Pieces) -> None:
    try:
        with contextlib.closing(_generator(source(gone))) as stream:
            for piece in stream:
                pieces.put(piece)
                if gone.is_set():
                    break
        pieces.put(None)
    except BaseException as error:  # belongs to the reader, whatever it is
        pieces.put(error)


def _generator(pieces: Iterator[str]) -> Generator[str, None, None]:
    """Something that can be closed, of whatever kind the iterator is."""
    yield from pieces
