"""Ratings of answers, in SQLite: what users said, about which versions, and no more.

The question and the answer are stored only when the user agreed to that for this rating.
"""

from __future__ import annotations

import csv
import io
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

logger = logging.getLogger(__name__)

MAX_COMMENT = 2_000
_BUSY_SECONDS = 5.0


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


class FeedbackStore:
    """Ratings in one SQLite file in WAL mode, so that a reader never stops a writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            columns = ", ".join(f"{name} TEXT" for name in _COLUMNS if name != "turn")
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS ratings (turn TEXT PRIMARY KEY, {columns})"
            )

    def add(self, rating: Rating) -> None:
        """Store a rating.

        Raises:
            sqlite3.Error: the disk refuses.
        """
        row = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(rating)}
        row["comment"] = rating.comment[:MAX_COMMENT]
        marks = ", ".join(f":{name}" for name in row)
        with self._connection() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO ratings ({', '.join(row)}) VALUES ({marks})", row
            )

    def csv(self) -> str:
        """Every rating as CSV, oldest first, safe to open in a spreadsheet."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        with self._connection() as connection:
            query = f"SELECT {', '.join(_COLUMNS)} FROM ratings ORDER BY at, turn"
            for row in connection.execute(query):
                writer.writerow([_cell(value) for value in row])
        return out.getvalue()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # A connection for each use: the page's handlers run in many threads.
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection, connection:
            yield connection


def _cell(value: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def open_feedback(path: Path | None) -> FeedbackStore | None:
    """The store at `path`; None, with a line in the log, where nothing can be written."""
    if path is None:
        return None
    try:
        return FeedbackStore(path)
    except (OSError, sqlite3.Error) as error:
        logger.warning("feedback is off: cannot write %s (%s)", path, error)
        return None
