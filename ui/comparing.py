"""Ask several systems the same question at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from threading import Thread

from ui.conversation import Asked
from ui.systems import System

STEP_SECONDS = 0.1
Progress = dict[System, tuple[Asked, bool]]  # the turn so far, and whether it is complete


def together(
    streams: Mapping[System, Callable[[], Iterator[Asked]]], asked: Mapping[System, Asked]
) -> Iterator[Progress]:
    """Yield where every system stands whenever one has moved; the last one is complete.

    Each stream runs in a thread of its own: the slowest does not hold up the others. A stream
    tells its failures in its last turn (`ui.answering.answers`) and ends when it is stopped.
    """
    moved: SimpleQueue[tuple[System, Asked | None]] = SimpleQueue()

    def work(name: System) -> None:
        try:
            for turn in streams[name]():
                moved.put((name, turn))
        finally:
            moved.put((name, None))

    progress: Progress = {name: (asked[name], False) for name in streams}
    for name in streams:
        Thread(target=work, args=(name,), name=f"compare {name}", daemon=True).start()
    while not all(done for _, done in progress.values()):
        waiting = [moved.get()]
        time.sleep(STEP_SECONDS)  # each step draws every column anew
        while not moved.empty():  # what came meanwhile is one step
            waiting.append(moved.get())
        for name, turn in waiting:
            progress[name] = (turn or progress[name][0], turn is None)
        yield dict(progress)
