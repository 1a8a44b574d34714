"""The predictions file: a header line, then one row for each item, system and world.

Scoring and reporting work from this file alone, so a row carries the texts of its cards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.answer import Status
from index.errors import ExpectedError

PREDICTIONS = "predictions.jsonl"
SCHEMA = 1


class RunMismatchError(ExpectedError):
    """A run that cannot go on, or be compared, because what was measured has changed."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Record):
    """A base checkpoint or an adapter: where from, and a hash of its weights."""

    name: str
    sha256: str
    split_stamp: str | None = None


class Header(_Record):
    """What was measured, with what. `config` is the resolved configuration of the latest call."""

    kind: Literal["medcards predictions"] = "medcards predictions"
    schema_version: int = SCHEMA
    created: str  # UTC, ISO 8601
    seed: int
    generation: str  # of the index
    deck_hash: str
    decks: dict[str, int]
    cards: int
    test_cards: int
    embedder: dict[str, Any]
    split_stamp: str
    relevance_sha256: str  # of the fitted models that decide whether to answer
    assistant_sha256: str  # of the code, rules and weights between question and answer
    base: Weights | None = None
    adapter: Weights | None = None
    training_leaks: tuple[str, ...] | None = None  # test cards trained on; None: cannot be known
    versions: dict[str, str]
    cpus: int
    config: dict[str, Any]


class Said(_Record):
    """A sentence of an answer; `citations` are positions in the row's `cards`."""

    text: str
    citations: tuple[int, ...] = ()
    support: float = 0.0


class Found(_Record):
    """A card that was found, best first."""

    id: str
    question: str
    answer: str
    score: float


class Row(_Record):
    """One answer. `text` is what a reader got without citation marks, "" if nothing was said."""

    item: str  # id of the test card
    system: str
    world: str
    protocol: str | None = None  # of the prior work; None is the sound one
    question: str
    reference: str
    topic: str | None = None
    status: Status | Literal["failed"]
    text: str = ""
    raw: str | None = None  # what the generator wrote; None if it was not asked
    prompt: str | None = None
    fell_back: bool = False  # nothing that was generated was held by a card
    sentences: tuple[Said, ...] = ()
    removed: tuple[str, ...] = ()
    cards: tuple[Found, ...] = ()
    ranked: tuple[str, ...] | None = None  # ids of the first ten; None for a closed book
    relevant: tuple[str, ...] = ()  # the gold card and its near-duplicates
    confidence: float | None = None
    covered: bool | None = None  # whether that was enough to answer
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens: int | None = None
    peak_mb: float | None = None
    energy_j: float | None = None
    nll: float | None = None  # nats of the reference after the prompt
    nll_tokens: int | None = None  # over how many tokens
    answer_tokens: int | None = None  # how many tokens the reference has
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str | None]:
        """What no other row of the file has."""
        return self.item, self.system, self.world, self.protocol

    @property
    def label(self) -> str:
        """Which series the row belongs to: "tuned+rag, gold"."""
        protocol = f" ({self.protocol})" if self.protocol else ""
        return f"{self.system}, {self.world}{protocol}"


@dataclass(frozen=True)
class Predictions:
    """A whole file, with its SHA-256."""

    header: Header
    rows: Sequence[Row]
    sha256: str

    def labels(self) -> dict[str, list[Row]]:
        """Rows by series, in order of appearance."""
        series: dict[str, list[Row]] = {}
        for row in self.rows:
            series.setdefault(row.label, []).append(row)
        return series


def resolve(path: Path) -> Path:
    """The predictions file of a path: the file itself, or the one in a folder."""
    return path / PREDICTIONS if path.is_dir() else path


def read(path: Path) -> Predictions:
    """Read a predictions file or the one in a folder.

    Raises:
        ExpectedError: there is none, it is torn or not of this schema; nothing is regenerated.
    """
    path = resolve(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExpectedError(
            f"no predictions at {str(path)!r} ({error.strerror or error}): make them with "
            f"'python -m eval run --out {path.parent}'"
        ) from error
    if not data.endswith(b"\n"):
        raise ExpectedError(
            f"{str(path)!r} ends in the middle of a line: its run was interrupted; start the same "
            "'python -m eval run' again, which goes on where it stopped"
        )
    header, rows = parse(data.decode("utf-8", "replace"), path)
    return Predictions(header, rows, hashlib.sha256(data).hexdigest())


def parse(text: str, path: Path) -> tuple[Header, list[Row]]:
    """Header and rows of whole lines."""
    lines = text.split("\n")
    try:
        header = Header.model_validate_json(lines[0])
        if header.schema_version != SCHEMA:
            raise ExpectedError(
                f"{str(path)!r} has schema {header.schema_version}, expected {SCHEMA}: run again"
            )
        return header, [Row.model_validate_json(line) for line in lines[1:] if line]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        raise ExpectedError(
            f"{str(path)!r} is not a predictions file ({where}: {first['msg']}): expected one "
            "written by 'python -m eval run'"
        ) from error


def recover(path: Path) -> tuple[Header, list[Row]] | None:
    """What an interrupted run left, without a torn last line; None if there is nothing."""
    if not path.exists():
        return None
    whole, newline, _ = path.read_bytes().rpartition(b"\n")
    return parse(whole.decode("utf-8", "replace"), path) if newline else None


def write(path: Path, header: Header, rows: Sequence[Row]) -> None:
    """Write a file in one step."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(_lines(header, rows))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def append(path: Path, row: Row) -> None:
    """Add a row; it is on disk when this returns, so an interruption loses one answer at most."""
    with path.open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json() + "\n")


def _lines(header: Header, rows: Sequence[Row]) -> Iterator[str]:
    yield json.dumps(header.model_dump(mode="json"), ensure_ascii=False) + "\n"
    for row in rows:
        yield row.model_dump_json() + "\n"


# What a run must not change on its way, and what to call it.
_FIXED = {
    "generation": "index",
    "deck_hash": "deck",
    "split_stamp": "split",
    "embedder": "embedder",
    "relevance_sha256": "refusal model",
    "assistant_sha256": "assistant (its code, prompts or rules)",
    "seed": "seed",
}
_FREE = {"systems", "worlds", "limit", "out", "protocol", "base", "adapter", "index", "device"}


def merged(old: Header, new: Header) -> Header:
    """The header of a run that goes on: it may add systems, worlds and items, nothing else.

    Raises:
        RunMismatchError: says what has changed.
    """
    for field, name in _FIXED.items():
        before, now = getattr(old, field), getattr(new, field)
        if before != now:
            raise changed(name, before, now)
    for name, before, now in (("base", old.base, new.base), ("adapter", old.adapter, new.adapter)):
        if before and now and before.sha256 != now.sha256:
            raise changed(name, before.sha256[:12], now.sha256[:12])
    for key in sorted((old.config.keys() | new.config.keys()) - _FREE):
        if old.config.get(key) != new.config.get(key):
            raise changed(f"option {key}", old.config.get(key), new.config.get(key))
    kept: dict[str, Any] = {"created": old.created, "base": new.base or old.base}
    if new.adapter is None:
        kept |= {"adapter": old.adapter, "training_leaks": old.training_leaks}
    return new.model_copy(update=kept)


def changed(name: str, before: object, now: object) -> RunMismatchError:
    """The error for a run that was begun with something else."""
    return RunMismatchError(
        f"the run was begun with another {name} ({str(before)[:60]}, now {str(now)[:60]}): its "
        "answers cannot be mixed; give another --out, or the former one back"
    )
