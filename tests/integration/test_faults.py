"""Faults of the disk and of processes: the old state stays, and a line says what to do."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.extractive import ExtractiveGenerator
from assistant.pipeline import Assistant
from assistant.reload import IndexWatch
from assistant.settings import Settings
from index import build, manifest
from index.config import IndexConfig
from index.embedder import Embedder
from index.retrieve import open_index
from ui.feedback import FeedbackStore

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
CONFTEST = REPOSITORY / "tests" / "conftest.py"

Build = Callable[..., Path]


def rows(n: int, word: str) -> list[dict[str, str]]:
    return [
        {
            "question": f"What is the treatment of {word} number {i}?",
            "answer": f"The treatment of {word} number {i} is rest and remedy {i}.",
        }
        for i in range(n)
    ]


@pytest.fixture
def build_index(hash_embedder: Embedder, write_deck: Callable[..., Path], tmp_path: Path) -> Build:
    """Build an index of `n` cards about `word`, always in the same folder."""

    def make(n: int, word: str) -> Path:
        out = tmp_path / "index"
        deck = write_deck(rows(n, word), f"{word}.jsonl")
        build.build(IndexConfig(decks=(str(deck),), out=out, embedder="hash-double"))
        return out

    return make


def serving(folder: Path) -> Assistant:
    return Assistant(open_index(folder), ExtractiveGenerator(), Settings(profile="embedded"))


# --- The index is exchanged, lost or damaged while it serves


def test_a_rebuilt_index_is_taken_into_service(build_index: Build) -> None:
    assistant = serving(build_index(20, "asthma"))
    watch = IndexWatch(assistant)
    assert not watch.look()
    build_index(30, "gout")
    assert watch.look()
    assert len(assistant.retriever.cards) == 30
    assert "30 cards" in assistant.index_name
    assert not watch.look()


def test_a_lost_index_stays_in_service_until_there_is_another(
    build_index: Build, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build_index(20, "asthma")
    assistant = serving(folder)
    watch = IndexWatch(assistant)
    shutil.rmtree(folder)
    with caplog.at_level(logging.WARNING):
        assert not watch.look()
        assert not watch.look()
    assert [r.message for r in caplog.records if "build it again with" in r.message][1:] == []
    assert "is gone" in caplog.text
    assert assistant.retriever.hits("treatment of asthma number 3")
    build_index(30, "gout")
    assert watch.look()
    assert len(assistant.retriever.cards) == 30


def test_a_damaged_index_is_not_taken_into_service(
    build_index: Build, caplog: pytest.LogCaptureFixture
) -> None:
    assistant = serving(build_index(20, "asthma"))
    watch = IndexWatch(assistant)
    folder = build_index(30, "gout")
    cards = folder / manifest.read(folder).generation / manifest.CARDS
    whole = cards.read_bytes()
    cards.write_bytes(whole[:-9])
    assert not watch.look()
    assert "stays in service" in caplog.text
    assert "rebuild the index" in caplog.text
    assert len(assistant.retriever.cards) == 20
    cards.write_bytes(whole)
    os.utime(folder / manifest.MANIFEST)  # as a build that repairs leaves it
    assert watch.look()


def test_nobody_notices_an_exchange(build_index: Build) -> None:
    assistant = serving(build_index(20, "asthma"))
    watch = IndexWatch(assistant, seconds=0.05)
    watch.start()
    ended, faults, seen = threading.Event(), [], set()

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = assistant.answer("What is the treatment of measles number 3?")
            except Exception as error:
                faults.append(error)
                return
            seen.add(answer.index)
            cards = int(answer.index.split("(")[1].split()[0])
            words = {20: "asthma", 30: "gout", 40: "croup"}[cards]
            told = (*answer.sources, *answer.nearby)
            if not all(words in source.question for source in told):
                faults.append(AssertionError(answer))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for n, word in ((30, "gout"), (40, "croup")):
            build_index(n, word)
            deadline = time.monotonic() + 20
            while len(assistant.retriever.cards) != n and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(assistant.retriever.cards) == n
            time.sleep(0.2)
    finally:
        ended.set()
        watch.stop()
        for asker in askers:
            asker.join(10)
    assert faults == []
    assert len(seen) == 3


# --- Processes that are killed, and disks that refuse. `benchmarks/kill.py` does it 200 times.


def test_killed_while_it_writes_feedback(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "benchmarks/kill.py", "--only", "feedback", "--kills", "8"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "8 of 8 killed alive" in result.stdout


STARTED = """
import os, resource, runpy, sys
from pathlib import Path
from index import build, health
health.QUESTIONS = Path(sys.argv[1])
tests = runpy.run_path(sys.argv[2])
build.open_embedder = lambda name: tests["make_hash_embedder"](delay=float(sys.argv[3]))
if int(sys.argv[4]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
from index.commands import main
sys.exit(main(["build", "--deck", sys.argv[5], "--out", sys.argv[6]]))
"""


def start(tmp_path: Path, deck: Path, delay: float = 0.0, limit: int = 0) -> subprocess.Popen[str]:
    """A build in a process of its own.

    Args:
        delay: seconds that each text takes.
        limit: the bytes that a file may have, as on a disk that is full from then on.
    """
    arguments = [tmp_path / "questions", CONFTEST, delay, limit, deck, tmp_path / "index"]
    return subprocess.Popen(
        [sys.executable, "-c", STARTED, *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("limit", [1, 3_000, 30_000])
def test_files_that_cannot_grow(
    build_index: Build, write_deck: Callable[..., Path], tmp_path: Path, limit: int
) -> None:
    folder = build_index(20, "asthma")
    before = manifest.read(folder)
    process = start(tmp_path, write_deck(rows(150, "gout"), "new.jsonl"), limit=limit)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2, told
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "space left; what was there before is unchanged" in errors[0]
    assert manifest.read(folder) == before
    manifest.verify(before, folder)


def test_two_builds_in_two_processes(
    write_deck: Callable[..., Path], home: Path, tmp_path: Path
) -> None:
    decks = [write_deck(rows(60, word), f"{word}.jsonl") for word in ("asthma", "gout")]
    processes = [start(tmp_path, deck, delay=0.01) for deck in decks]
    ends = [(process.communicate(timeout=90)[1], process.returncode) for process in processes]
    assert sorted(status for _, status in ends) == [0, 2], ends
    assert any("another build of" in told and "wait for it" in told for told, _ in ends)
    folder = tmp_path / "index"
    manifest.verify(manifest.read(folder), folder)


RATE = """
import resource, sys
from sqlalchemy.exc import SQLAlchemyError
from ui.feedback import FeedbackStore, Rating
store = FeedbackStore("sqlite:///" + sys.argv[1])
def rate(n):
    store.add(Rating(f"{n}", "up", "", "c" * 1500, "answered", "g", "i", "0", "", "q" * 900))
for n in range(5):
    rate(n)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
kept, refused = 5, 0
for n in range(5, 60):
    try:
        rate(n)
        kept += 1
    except SQLAlchemyError:
        refused += 1
print(kept, refused)
"""


def test_feedback_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", RATE, str(path)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kept, refused = map(int, done.stdout.split())
    assert refused > 0
    assert len(FeedbackStore(f"sqlite:///{path}").csv().splitlines()) == kept + 1
