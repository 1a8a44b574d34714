"""Ratings of answers: what users said, about which versions, and no more.

In an SQLite file, or in PostgreSQL where several replicas serve one page. The question and the
answer are stored only when the user agreed to that for this rating.
"""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError
from threading import Lock
from time import monotonic, sleep
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from index.errors import ExpectedError
from ui.settings import SQLITE

logger = logging.getLogger(__name__)

MAX_COMMENT = 2_000
_WAIT_SECONDS = 5  # for a lock, and for a server
_RETRY_SECONDS = 0.02
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_CREATION_LOCK = 1_682_330_119  # replicas that start together must not create the table at once


@dataclass(frozen=True, slots=True)
class Rating:
    """One row. A second rating of the same answer takes the place of the first."""

    turn: str
    verdict: str  # "up" or "down"
    reason: str
    comment: str
    status: str
    generator: str
    index_name: str
    version: str
    cards: str  # ids of the cited cards
    question: str | None = None
    answer: str | None = None


_COLUMNS = ("at", *(field.name for field in fields(Rating)))
_RATINGS = Table(
    "ratings", MetaData(), *(Column(name, Text, primary_key=name == "turn") for name in _COLUMNS)
)


class FeedbackStore:
    """Ratings in one database; safe from many threads and, in PostgreSQL, from many machines."""

    def __init__(self, url: str) -> None:
        """Connect at first use: a server that is down now may be up when somebody rates.

        Args:
            url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.

        Raises:
            ExpectedError: the URL is none, or names a database that is not supported.
        """
        self._engine = _engine(url)
        self._lock = Lock()
        self._created = False

    def __str__(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def add(self, rating: Rating) -> None:
        """Store a rating.

        Raises:
            SQLAlchemyError: the database refuses, or cannot be reached.
        """
        row = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(rating)}
        row["comment"] = rating.comment[:MAX_COMMENT]
        row = {name: _storable(value) for name, value in row.items()}
        insert = _INSERTS[self._engine.dialect.name](_RATINGS).values(row)
        latest = {name: insert.excluded[name] for name in _COLUMNS if name != "turn"}
        with self._begun() as connection:
            connection.execute(
                insert.on_conflict_do_update(index_elements=[_RATINGS.c.turn], set_=latest)
            )

    def csv(self) -> str:
        """Every rating as CSV, oldest first, safe to open in a spreadsheet.

        Raises:
            SQLAlchemyError: the database cannot be read.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        with self._begun() as connection:
            for row in connection.execute(select(_RATINGS).order_by(text("at, turn"))):
                writer.writerow([_cell(value) for value in row])
        return out.getvalue()

    def check(self) -> None:
        """Connect, and make the table where there is none.

        Raises:
            SQLAlchemyError: it cannot be reached or written.
        """
        with self._begun():
            pass

    def _begun(self) -> Any:
        with self._lock:
            if not self._created:
                with self._engine.begin() as connection:
                    _create(connection)
                self._created = True
        return self._engine.begin()


def _engine(url: str) -> Engine:
    try:
        where = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ExpectedError(
            "MEDCARDS_FEEDBACK is no database URL: expected postgresql://USER:PASSWORD@HOST/NAME, "
            "a file, or 'off'"
        ) from error
    if where.drivername in ("postgres", "postgresql"):
        where = where.set(drivername="postgresql+psycopg")
    if where.get_backend_name() not in _INSERTS:
        raise ExpectedError(
            f"MEDCARDS_FEEDBACK names a {where.get_backend_name()} database: expected SQLite (a "
            "file) or PostgreSQL"
        )
    if where.get_backend_name() == "sqlite":
        engine = create_engine(where, poolclass=NullPool, connect_args={"timeout": _WAIT_SECONDS})
        event.listen(engine, "connect", _write_ahead)
        return engine
    try:
        return create_engine(
            where,
            pool_pre_ping=True,  # a server that was restarted costs no rating
            connect_args={"connect_timeout": _WAIT_SECONDS},
        )
    except ModuleNotFoundError as error:
        raise ExpectedError(
            "feedback in PostgreSQL needs psycopg: pip install 'medcards[postgres]'"
        ) from error


def _write_ahead(connection: Any, _: object) -> None:
    """WAL mode: a reader never stops a writer.

    SQLite does not wait for a lock where a first connection turns the mode on or a last one tidies
    up (sqlite.org/wal.html, "Sometimes queries return SQLITE_BUSY in WAL mode"), so this does.
    """
    until = monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == SQLITE_BUSY  # the rest are kinds of busy
            if not busy or monotonic() > until:
                raise
            sleep(_RETRY_SECONDS)


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATION_LOCK})"))
    connection.execute(CreateTable(_RATINGS, if_not_exists=True))


def _storable(value: str | None) -> str | None:
    """Text that every database takes: no NUL, no half of a character."""
    return None if value is None else value.replace("\x00", "").encode("utf-8", "replace").decode()


def _cell(value: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    told = value or ""
    return f"'{told}" if told[:1] in ("=", "+", "-", "@", "\t", "\r") else told


def open_feedback(url: str | None) -> FeedbackStore | None:
    """The store at `url`; None, with a line in the log, where no file can be written.

    A server that cannot be reached is asked again with each rating.

    Raises:
        ExpectedError: the URL is none, or what it needs is not installed.
    """
    if url is None:
        return None
    store = FeedbackStore(url)
    try:
        if url.startswith(SQLITE):
            Path(url.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        store.check()
    except (OSError, SQLAlchemyError) as error:
        if url.startswith(SQLITE):
            logger.warning("feedback is off: cannot write %s (%s)", store, reason(error))
            return None
        logger.warning("feedback cannot be stored now in %s (%s)", store, reason(error))
    return store


def reason(error: Exception) -> str:
    """The first line of the driver's own message: SQLAlchemy's quotes statements and links."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
