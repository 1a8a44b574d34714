"""Ratings: stored once an answer, exported safely, alike in SQLite and in PostgreSQL."""

from __future__ import annotations

import csv
import getpass
import io
import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from index.errors import ExpectedError
from ui import __main__ as command
from ui import feedback
from ui.conversation import Asked
from ui.feedback import FeedbackStore, open_feedback
from ui.rating import rated
from ui.settings import ServiceSettings


def rows(store: FeedbackStore) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.csv())))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server of our own on loopback, as a user that is not root; its URL."""
    pytest.importorskip("psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and not shutil.which("initdb"):
        pytest.skip("no initdb: install Debian's package postgresql to test feedback in it")
    binaries = found[-1].parent if found else Path(str(shutil.which("initdb"))).parent
    folder = Path(tempfile.mkdtemp(prefix="medcards-postgres-"))
    as_someone: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        # By a command and not by `subprocess(user=...)`, which forks: where an earlier test has
        # left gRPC's threads behind, the forked process aborts now and then.
        as_someone = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data, port = folder / "data", free_port()
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder}
    options = ["-D", data, "-U", "medcards", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run([*as_someone, binaries / "initdb", *options], check=True, **quiet)
    socket_and_port = ["-k", folder, "-h", "127.0.0.1", "-p", str(port)]
    serve = [*as_someone, binaries / "postgres", "-D", data, *socket_and_port]
    log = (folder.parent / f"{folder.name}.log").open("wb")
    server = subprocess.Popen([*serve, "-c", "fsync=off"], **{**quiet, "stderr": log})
    url = f"postgresql://medcards:hidden@127.0.0.1:{port}/postgres"
    ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-t", "20"]
    try:
        for _ in range(100):
            if subprocess.run(ready, stdout=subprocess.DEVNULL, check=False).returncode == 0:
                break
        else:
            raise RuntimeError(Path(log.name).read_text())
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # it ends without waiting for open connections
        server.wait(timeout=20)
        log.close()
        Path(log.name).unlink()
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'feedback.sqlite'}"
    server: str = request.getfixturevalue("postgresql")
    engine = create_engine(server.replace("://", "+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS ratings"))
    engine.dispose()
    return server


@pytest.fixture
def store(url: str) -> FeedbackStore:
    opened = open_feedback(url)
    assert opened is not None
    return opened


@pytest.mark.parametrize(("agree", "kept"), [(True, "Why?"), (False, ""), ("true", "")])
def test_the_question_is_stored_only_when_agreed(
    store: FeedbackStore, answer: Any, agree: Any, kept: str
) -> None:
    turn = Asked("0000000a", "Why?", answer())
    store.add(rated(turn, {"verdict": "up", "reason": "clear", "comment": "=1+1", "agree": agree}))
    (row,) = rows(store)
    assert row["question"] == kept
    assert row["comment"] == "'=1+1", "a spreadsheet must not take it for a formula"
    assert (row["generator"], row["index_name"]) == ("tiny", "starter (2 cards, 0)")
    assert row["version"]
    assert row["at"]


def test_a_second_rating_replaces_the_first(store: FeedbackStore, answer: Any) -> None:
    turn = Asked("0000000a", "Why?", answer())
    for verdict in ("up", "down"):
        store.add(rated(turn, {"verdict": verdict, "reason": "<b>", "comment": "x" * 9000}))
    (row,) = rows(store)
    assert row["verdict"] == "down"
    assert row["reason"] == ""
    assert len(row["comment"]) == 2000


def test_any_text_can_be_stored(store: FeedbackStore, answer: Any) -> None:
    comment = "nul \x00 half \ud800 quote ' -- ; DROP TABLE ratings \U0001f600"
    store.add(rated(Asked("0000000a", "q", answer()), {"verdict": "up", "comment": comment}))
    (row,) = rows(store)
    assert row["comment"] == "nul  half ? quote ' -- ; DROP TABLE ratings \U0001f600"


def test_many_at_once_and_a_second_replica(url: str, answer: Any) -> None:
    stores = [FeedbackStore(url) for _ in range(4)]
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()

    def rate(n: int) -> None:
        turn = Asked(f"{n % 40:08x}", "q", answer())
        stores[n % 4].add(rated(turn, {"verdict": "up" if n < 40 else "down"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(rate, range(40)))
        list(pool.map(rate, range(40, 80)))
    found = rows(FeedbackStore(url))
    assert len(found) == 40
    assert {row["verdict"] for row in found} == {"down"}


def test_the_owner_exports_it(
    store: FeedbackStore, url: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add(rated(Asked("0000000a", "Why?", answer()), {"verdict": "up"}))
    assert command.main(["feedback", "--file", url]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("at,turn,verdict,reason")


def test_sqlite_is_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    open_feedback(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class BusyFile:
    """A connection that tells at once that its file is held, as SQLite does while it tidies up."""

    def __init__(self, code: int) -> None:
        self.code, self.asked = code, 0

    def execute(self, _: str) -> None:
        self.asked += 1
        if self.asked < 4:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error


def test_a_file_that_another_replica_tidies_up_is_waited_for() -> None:
    connection = BusyFile(sqlite3.SQLITE_BUSY_RECOVERY)
    feedback._write_ahead(connection, None)
    assert connection.asked == 4


def test_a_file_that_cannot_be_opened_is_not_waited_for() -> None:
    connection = BusyFile(sqlite3.SQLITE_CANTOPEN)
    with pytest.raises(sqlite3.OperationalError):
        feedback._write_ahead(connection, None)
    assert connection.asked == 1


def test_it_is_off_where_no_file_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert open_feedback(f"sqlite:///{tmp_path}/file/feedback.sqlite") is None
    assert open_feedback(None) is None


def test_a_server_that_is_down_is_asked_again_and_its_password_is_told_to_nobody(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql://medcards:secret@127.0.0.1:{free_port()}/postgres"
    with caplog.at_level(logging.WARNING):
        store = open_feedback(url)
    assert store is not None
    assert "cannot be stored now" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(SQLAlchemyError):
        store.add(rated(Asked("0000000a", "q", answer()), {"verdict": "up"}))


@pytest.mark.parametrize("url", ["mysql://host/name", "://x", "oracle://x"])
def test_a_wrong_url_is_one_line(url: str) -> None:
    with pytest.raises(ExpectedError, match="MEDCARDS_FEEDBACK"):
        open_feedback(url)


def test_what_cannot_be_exported_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["feedback", "--file", str(tmp_path / "none.sqlite")]) == 2
    assert "no ratings" in capsys.readouterr().err
    pytest.importorskip("psycopg")
    down = f"postgresql://{getpass.getuser()}:secret@127.0.0.1:{free_port()}/none"
    assert command.main(["feedback", "--file", down]) == 2
    told = capsys.readouterr().err
    assert "cannot read the ratings" in told
    assert "secret" not in told


def test_its_place_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDCARDS_HOME", str(tmp_path))
    assert ServiceSettings().feedback_url == f"sqlite:///{tmp_path}/feedback.sqlite"
    monkeypatch.setenv("MEDCARDS_FEEDBACK", "off")
    assert ServiceSettings().feedback_url is None
    monkeypatch.setenv("MEDCARDS_FEEDBACK", "postgresql://host/name")
    assert ServiceSettings().feedback_url == "postgresql://host/name"
