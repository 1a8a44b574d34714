"""Kill processes while they write, at random moments, and look at what they left behind.

    python benchmarks/kill.py [--kills 200] [--only index feedback adapter model]

Each part starts its writer anew and sends SIGKILL after a random time. Whatever that time is, the
state from before must be whole, or the new one; what was reported as written must be there.
"""

from __future__ import annotations

import argparse
import os
import random
import runpy
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

SEED = 5


def forked(work: Callable[[], None]) -> int:
    """A child that does the work in silence.

    Forking from a process that has loaded everything makes 200 kills a matter of a minute.
    """
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
        finally:
            os._exit(0)
    return child


def kill_after(child: int, seconds: float) -> bool:
    """Whether the signal found it alive."""
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def took(work: Callable[[], None]) -> float:
    """Seconds that the work takes when nobody kills it."""
    began = time.perf_counter()
    assert os.waitpid(forked(work), 0)[1] == 0
    return time.perf_counter() - began


def kill_index(kills: int, folder: Path) -> int:
    """Builds of two decks in turn: a manifest and all its files, of one or of the other."""
    import sklearn.linear_model
    import sklearn.model_selection  # noqa: F401  # before the fork

    from index import build, health, manifest
    from index.config import IndexConfig

    tests = runpy.run_path(str(REPOSITORY / "tests" / "conftest.py"))
    tests["write_questions"](folder / "questions")
    health.QUESTIONS = folder / "questions"
    double = tests["make_hash_embedder"](delay=0.0005)
    patches = {"open_embedder": lambda name: double, "_CHUNK": 16}
    real = {name: getattr(build, name) for name in patches}
    vars(build).update(patches)
    out = folder / "index"
    decks = [folder / "old.jsonl", folder / "new.jsonl"]
    for deck, some in zip(decks, (slice(0, 150), slice(100, 400)), strict=True):
        tests["_write_jsonl"](deck, tests["make_rows"](400)[some])

    def write(deck: Path) -> Callable[[], None]:
        def work() -> None:
            build.build(IndexConfig(decks=(str(deck),), out=out))

        return work

    try:
        whole = took(write(decks[0]))
        first = served = manifest.read(out).generation
        chance, killed = random.Random(SEED), 0
        for _ in range(kills):
            child = forked(write(decks[served == first]))
            killed += kill_after(child, chance.uniform(0.02, 0.9) * whole)
            record = manifest.read(out)
            manifest.verify(record, out)
            served = record.generation
        took(write(decks[1]))
        manifest.verify(manifest.read(out), out)
        assert not (out / ".building").exists()
    finally:
        vars(build).update(real)
    return killed


def kill_feedback(kills: int, folder: Path) -> int:
    """Ratings, each reported after it was stored: no reported one is missing."""
    from ui.feedback import FeedbackStore, Rating

    path = folder / "feedback.sqlite"

    def make() -> None:
        FeedbackStore(f"sqlite:///{folder / 'other.sqlite'}").check()

    first = took(make)
    chance, killed, told = random.Random(SEED), 0, 0
    for attempt in range(kills):
        reader, writer = os.pipe()

        def rate(attempt: int = attempt, writer: int = writer) -> None:
            store = FeedbackStore(f"sqlite:///{path}")
            for n in range(100_000):
                turn = f"{attempt}-{n}"
                store.add(Rating(turn, "up", "", "c" * 500, "answered", "g", "i", "0", ""))
                os.write(writer, f"{turn}\n".encode())

        child = forked(rate)
        os.close(writer)
        killed += kill_after(child, chance.uniform(0.3, 5) * first)
        with os.fdopen(reader) as lines:
            reported = lines.read().splitlines()
        told += len(reported)
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        query = "SELECT turn FROM ratings" if ("ratings",) in tables else "SELECT 0 WHERE 0"
        kept = {row[0] for row in connection.execute(query)}
        connection.close()
        assert set(reported) <= kept, f"{len(set(reported) - kept)} ratings lost"
    assert told, "nothing was ever written: the moments are too early"
    return killed


def kill_model(kills: int, folder: Path) -> int:
    """The GGUF file of a checkpoint, kept in MEDCARDS_HOME: whole, or not there."""
    import subprocess

    from assistant import conversion
    from index.manifest import file_record

    os.environ["MEDCARDS_HOME"] = str(folder / "home")
    base = folder / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(os.urandom(1 << 20))
    real = subprocess.run

    def write_slowly(command: Any, **named: Any) -> Any:
        """In the place of the conversion, whose own work is not at issue: 1 MB in 64 pieces."""
        with open(command[5], "wb") as file:
            for i in range(64):
                file.write(bytes([i]) * (1 << 14))
                file.flush()
                time.sleep(0.001)
        return subprocess.CompletedProcess(command, 0, "", "")

    def write() -> None:
        subprocess.run = write_slowly  # type: ignore[assignment]
        conversion.gguf_of(base, None, "f16")

    whole = took(write)
    made = conversion.gguf_path(base, None, "f16")
    expected = file_record(made)
    subprocess.run = real
    chance, killed = random.Random(SEED), 0
    for _ in range(kills):
        made.unlink(missing_ok=True)
        killed += kill_after(forked(write), chance.uniform(0.02, 0.9) * whole)
        assert not made.exists() or file_record(made) == expected
    took(write)
    assert file_record(made) == expected
    return killed


PARTS = {"index": (kill_index, 0.5), "feedback": (kill_feedback, 0.25), "model": (kill_model, 0.25)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all parts")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    shares = sum(PARTS[name][1] for name in arguments.only)
    for name in arguments.only:
        part, share = PARTS[name]
        kills = round(arguments.kills * share / shares)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="medcards-kill-") as folder:
            killed = part(kills, Path(folder))
        seconds = time.perf_counter() - began
        print(f"{name}: {killed} of {kills} killed alive, all left whole, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
