"""Read decks: every supported format becomes a stream of `Row`s.

A reader judges the shape of a file, never the worth of a card: that is `index.cleaning`. A file
that cannot be read at all raises `DeckError`; a row that cannot be read becomes a `Row` with a
`fault`, so that it is counted and kept with the other rejects.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from index import anki, delimited, hub
from index.delimited import Malformed
from index.errors import DeckError

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parent / "starter"
MEGABYTE = 1024 * 1024
MAX_UNPACKED = anki.MAX_COLLECTION_BYTES // MEGABYTE

# Question and answer columns, in order of preference; names are compared case-folded.
_PAIRS = (
    ("question", "answer"),
    ("input", "output"),
    ("instruction", "output"),
    ("patient", "doctor"),
    ("front", "back"),
)
_TOPIC = ("topic", "tags", "description", "category")
_DELIMITERS = ",\t;|"
_ANKI_DIRECTIVE = re.compile(r"#[a-z ]+:")
_SCALARS = (str, int, float, Decimal, type(None))  # what a question or an answer may be
_EXTENSIONS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".apkg")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a deck as it was found, before cleaning."""

    place: str  # file and line or row number, for the rejects file
    question: str = ""
    answer: str = ""
    topic: str | None = None
    source: str | None = None
    url: str | None = None
    deck: str | None = None
    fault: str | None = None  # why the row could not be read
    raw: str | None = None  # what stood there, when it could not be read


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest file that is read, in megabytes, and what a package may unpack to."""

    file: int
    unpacked: int


def read(deck: str, max_megabytes: int = 512, max_unpacked: int = MAX_UNPACKED) -> Iterator[Row]:
    """Read a deck: `starter`, `flashcards`, a file, a folder of files, or a hub data set id.

    Args:
        max_megabytes: the largest file that is read.
        max_unpacked: the megabytes that an Anki package may unpack to.

    Raises:
        DeckError: the deck cannot be read at all; the message says what to do.
    """
    if not deck.strip():
        raise DeckError(
            "expected a deck (starter, flashcards, a path or a hub id), got an empty name"
        )
    limits = Limits(max_megabytes, max_unpacked)
    path = _path(deck)
    if deck == STARTER:
        yield from _folder(STARTER_FOLDER, STARTER, limits)
    elif deck != hub.FLASHCARDS and _exists(path):
        if path.is_dir():
            yield from _folder(path, path.name, limits)
        else:
            yield from _file(path, path.stem, limits)
    elif hub.looks_like_id(deck) and path.suffix.lower() not in _EXTENSIONS:
        yield from _records(hub.rows(deck), name=deck, deck=deck)
    else:
        raise DeckError(
            f"no deck at {deck!r}: expected 'starter', 'flashcards', an existing file or folder, "
            "or a hub id such as owner/name; check the path"
        )


def _path(deck: str) -> Path:
    try:
        return Path(deck).expanduser()
    except RuntimeError:  # "~name" of nobody on this machine
        return Path(deck)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False


def _folder(folder: Path, deck: str, limits: Limits) -> Iterator[Row]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _EXTENSIONS and path.is_file() and not path.name.startswith(".")
    )
    if not files:
        raise DeckError(
            f"no deck files in folder {str(folder)!r}: expected {', '.join(_EXTENSIONS)}"
        )
    for path in files:
        yield from _file(path, deck if folder is STARTER_FOLDER else path.stem, limits)


def _file(path: Path, deck: str, limits: Limits) -> Iterator[Row]:
    try:
        size = path.stat().st_size
        if size == 0:
            raise DeckError(f"deck {path.name!r} is empty: expected at least one card")
        if size > limits.file * MEGABYTE:
            raise DeckError(
                f"deck {path.name!r} has {size / MEGABYTE:,.0f} MB: expected at most "
                f"{limits.file:,} MB; split it, or raise the limit with --max-megabytes"
            )
        suffix = path.suffix.lower()
        if suffix == ".apkg":
            yield from _notes(path, deck, limits)
        elif suffix == ".parquet":
            yield from _records(hub.parquet_rows(path), name=path.name, deck=deck)
        else:
            reader = _text_reader(suffix, text := _decode(path))
            yield from reader(text, path.name, deck)
    except OSError as error:
        raise DeckError(
            f"cannot read deck {str(path)!r}: {error.strerror or error}; check the file"
        ) from error


def _decode(path: Path) -> str:
    data = path.read_bytes()
    if data[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        encoding = "utf-32"
    elif data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"  # what spreadsheet programs call "Unicode text"
    elif b"\x00" in data[:65536]:
        raise DeckError(
            f"deck {path.name!r} is a binary file: expected JSON, JSONL, CSV, TSV, Parquet or "
            "Anki .apkg, with the matching extension"
        )
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DeckError(
            f"deck {path.name!r} is not valid {encoding} at byte {error.start:,}: expected text "
            "in UTF-8; save it as UTF-8"
        ) from error


def _text_reader(suffix: str, text: str) -> Callable[[str, str, str], Iterator[Row]]:
    """Choose by what the text is; the extension only decides where the text leaves it open."""
    head = text.lstrip()[:1]
    if head == "[" and suffix in (".json", ".txt", ".jsonl", ".ndjson"):
        return _json
    if head == "{" and suffix not in (".csv", ".tsv"):
        first, _, rest = text.strip().partition("\n")
        laid_out = first.rstrip().endswith(("{", "[", ","))  # one object over several lines
        return _json if laid_out or (suffix == ".json" and not rest) else _jsonl
    if suffix == ".json":
        return _json
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl
    if _ANKI_DIRECTIVE.match(text):
        return _anki_text
    # A text file without column names is taken for Anki's, where the order says what is what.
    return _anki_text if suffix == ".txt" and _delimiter(text) is None else _csv


def _json(text: str, name: str, deck: str) -> Iterator[Row]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos:,}" if isinstance(error, json.JSONDecodeError) else ""
        raise DeckError(
            f"deck {name!r} is not complete JSON: it breaks off or is malformed{where} of "
            f"{len(text):,}; expected an array of objects; fetch or export it again"
        ) from error
    if isinstance(document, dict) and _pair({str(k).casefold() for k in document}) is None:
        document = next((v for v in document.values() if isinstance(v, list)), document)
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise DeckError(
            f"deck {name!r} holds a JSON {type(document).__name__}: expected an array of objects"
        )
    yield from _records(document, name, deck)


def _jsonl(text: str, name: str, deck: str) -> Iterator[Row]:
    def records() -> Iterator[Any]:
        for line in io.StringIO(text):  # not splitlines: U+2028 may stand within a JSON string
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield Malformed("malformed row", line.rstrip("\n"))

    yield from _records(records(), name, deck)


def _csv(text: str, name: str, deck: str) -> Iterator[Row]:
    delimiter = _delimiter(text) or max(_DELIMITERS, key=_first_line(text).count)
    lines = delimited.rows(text, delimiter)
    header = next(lines, None)
    if not isinstance(header, list):
        raise DeckError(f"deck {name!r} has no header row: expected columns question and answer")
    columns = [column.strip() for column in header]
    if _pair({column.casefold() for column in columns}) is None:
        raise _wrong_columns(name, columns)
    for column in {c.casefold() for c in columns} & {c for pair in _PAIRS for c in pair}:
        if sum(c.casefold() == column for c in columns) > 1:
            raise DeckError(
                f"deck {name!r} has the column {column!r} more than once: expected one; rename or "
                "remove the other"
            )

    def records() -> Iterator[Any]:
        for fields in lines:
            if isinstance(fields, Malformed):
                yield fields
            elif any(field.strip() for field in fields[len(columns) :]):
                # Most likely an answer with a delimiter that nobody quoted: never half an answer.
                yield Malformed("more fields than columns", delimiter.join(fields))
            else:
                missing = [""] * (len(columns) - len(fields))
                yield dict(zip(columns, fields + missing, strict=False))

    yield from _records(records(), name, deck)


def _first_line(text: str) -> str:
    return next((line for line in io.StringIO(text, newline="") if line.strip()), "")


def _delimiter(text: str) -> str | None:
    """The delimiter by which the first line names a question and an answer column."""
    first = _first_line(text)
    for delimiter in _DELIMITERS:
        if _pair({name.strip(' "\r\n').casefold() for name in first.split(delimiter)}):
            return delimiter
    return None


def _pair(columns: Container[str]) -> tuple[str, str] | None:
    return next((p for p in _PAIRS if p[0] in columns and p[1] in columns), None)


def _anki_text(text: str, name: str, deck: str) -> Iterator[Row]:
    for number, note in enumerate(anki.text_notes(text, name), start=1):
        yield _from_note(note, f"{name}: note {number}", deck)


def _notes(path: Path, deck: str, limits: Limits) -> Iterator[Row]:
    notes = anki.package_notes(path, limits.unpacked * MEGABYTE)
    for number, note in enumerate(notes, start=1):
        yield _from_note(note, f"{path.name}: note {number}", deck)


def _from_note(note: anki.Note | Malformed, place: str, deck: str) -> Row:
    if isinstance(note, Malformed):
        return Row(place, fault=note.fault, raw=note.raw, deck=deck)
    return Row(place, note.front, note.back, topic=note.tags or None, deck=deck)


def _records(records: Iterable[Any], name: str, deck: str) -> Iterator[Row]:
    """Rows from mappings; the columns are settled by the first mapping that has a known pair."""
    seen: set[str] = set()
    matched = False
    waiting: list[Row] = []  # faulty rows before the first good one: the deck may yet be wrong
    for number, record in enumerate(records, start=1):
        place = f"{name}: row {number}"
        if isinstance(record, Malformed):
            row = Row(place, fault=record.fault, raw=record.raw, deck=deck)
        elif not isinstance(record, Mapping):
            row = Row(place, fault="not an object", raw=_raw(record), deck=deck)
        else:
            fields = {str(k).strip().casefold(): v for k, v in record.items() if k is not None}
            pair = _pair(fields)
            if pair is None:
                seen.update(str(k).strip() for k in record if k is not None)
                fault = "no question and answer columns"
                row = Row(place, fault=fault, raw=_raw(record), deck=deck)
            else:
                row = _from_fields(fields, pair, place, deck)
                matched = True
        if not matched:
            waiting.append(row)
            continue
        if waiting:
            yield from waiting
            waiting = []
        yield row
    if matched:
        return
    if seen:
        raise _wrong_columns(name, seen)
    if waiting:
        raise DeckError(
            f"deck {name!r} has no readable row (first: {waiting[0].fault} at {waiting[0].place}): "
            "expected objects with question and answer; check the file"
        )
    raise DeckError(f"deck {name!r} has no rows: expected at least one card")


def _from_fields(fields: Mapping[str, Any], pair: tuple[str, str], place: str, deck: str) -> Row:
    if not all(isinstance(fields[column], _SCALARS) for column in pair):
        return Row(place, fault="question or answer is no text", raw=_raw(fields), deck=deck)
    question = _text(fields[pair[0]])
    if not question.strip() and pair[0] == "input":
        question = _text(fields.get("instruction"))
    return Row(
        place=place,
        question=question,
        answer=_text(fields[pair[1]]),
        topic=next((t for c in _TOPIC if (t := _text(fields.get(c)).strip())), None),
        source=_text(fields.get("source")) or None,
        url=_text(fields.get("url")) or None,
        deck=deck,
    )


def _text(value: Any) -> str:
    if isinstance(value, list):  # of tags
        return ", ".join(filter(None, map(_text, value)))
    if not isinstance(value, _SCALARS) or value is None or value != value:
        return ""  # NaN is how tables spell a missing text
    return value if isinstance(value, str) else str(value)


def _raw(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, default=str)


def _wrong_columns(name: str, columns: Iterable[str]) -> DeckError:
    found = ", ".join(column[:40] for column in sorted(columns)[:12])
    return DeckError(
        f"deck {name!r} has the columns {found}: expected question and answer (or input/output, "
        "Patient/Doctor, front/back); rename its columns"
    )
