"""Read decks: every supported format becomes a stream of `Row`s.

A reader judges the shape of a file, never the worth of a card: that is `index.cleaning`. A file
that cannot be read at all raises `DeckError`; a row that cannot be read becomes a `Row` with a
`fault`, so that it is counted and kept with the other rejects.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index import anki, hub
from index.errors import DeckError

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parent / "starter"
MEGABYTE = 1024 * 1024

# Question and answer columns, in order of preference; names are compared case-folded.
_PAIRS = (
    ("question", "answer"),
    ("input", "output"),
    ("instruction", "output"),
    ("patient", "doctor"),
    ("front", "back"),
)
_TOPIC = ("topic", "tags", "description", "category")
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


def read(deck: str, max_megabytes: int = 512) -> Iterator[Row]:
    """Read a deck: `starter`, `flashcards`, a file, a folder of files, or a hub data set id.

    Raises:
        DeckError: the deck cannot be read at all; the message says what to do.
    """
    if not deck.strip():
        raise DeckError(
            "expected a deck (starter, flashcards, a path or a hub id), got an empty name"
        )
    path = Path(deck).expanduser()
    if deck == STARTER:
        yield from _folder(STARTER_FOLDER, STARTER, max_megabytes)
    elif _exists(path):
        if path.is_dir():
            yield from _folder(path, path.name, max_megabytes)
        else:
            yield from _file(path, path.stem, max_megabytes)
    elif hub.looks_like_id(deck) and path.suffix.lower() not in _EXTENSIONS:
        yield from _records(hub.rows(deck), name=deck, deck=deck)
    else:
        raise DeckError(
            f"no deck at {deck!r}: expected 'starter', 'flashcards', an existing file or folder, "
            "or a hub id such as owner/name; check the path"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False


def _folder(folder: Path, deck: str, max_megabytes: int) -> Iterator[Row]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _EXTENSIONS and p.is_file())
    if not files:
        raise DeckError(
            f"no deck files in folder {str(folder)!r}: expected {', '.join(_EXTENSIONS)}"
        )
    for path in files:
        yield from _file(path, deck if folder is STARTER_FOLDER else path.stem, max_megabytes)


def _file(path: Path, deck: str, max_megabytes: int) -> Iterator[Row]:
    try:
        size = path.stat().st_size
        if size == 0:
            raise DeckError(f"deck {path.name!r} is empty: expected at least one card")
        if size > max_megabytes * MEGABYTE:
            raise DeckError(
                f"deck {path.name!r} has {size / MEGABYTE:,.0f} MB: expected at most "
                f"{max_megabytes:,} MB; split it, or raise the limit with --max-megabytes"
            )
        suffix = path.suffix.lower()
        if suffix == ".apkg":
            yield from _notes(path, deck)
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
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
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
        return _jsonl
    if suffix == ".json":
        return _json
    if suffix in (".jsonl", ".ndjson"):
        return _jsonl
    if text.startswith("#") or suffix == ".txt":
        return _anki_text
    return _csv


def _json(text: str, name: str, deck: str) -> Iterator[Row]:
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" at character {error.pos:,}" if isinstance(error, json.JSONDecodeError) else ""
        raise DeckError(
            f"deck {name!r} is not complete JSON: it breaks off or is malformed{where} of "
            f"{len(text):,}; expected an array of objects; fetch or export it again"
        ) from error
    if not isinstance(document, list):
        raise DeckError(
            f"deck {name!r} holds a JSON {type(document).__name__}: expected an array of objects"
        )
    yield from _records(document, name, deck)


def _jsonl(text: str, name: str, deck: str) -> Iterator[Row]:
    if text.lstrip().startswith("{") and text.count("\n{") == 0 and "\n" in text.strip():
        try:  # one object laid out over several lines is JSON, not JSONL
            document = json.loads(text)
        except json.JSONDecodeError:
            pass
        else:
            rows = next((v for v in document.values() if isinstance(v, list)), [document])
            yield from _records(rows, name, deck)
            return

    def records() -> Iterator[Any]:
        for line in text.splitlines():
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                yield _Malformed(line)

    yield from _records(records(), name, deck)


def _csv(text: str, name: str, deck: str) -> Iterator[Row]:
    header = text.partition("\n")[0]
    delimiter = max(",\t;|", key=header.count)
    csv.field_size_limit(16 * MEGABYTE)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    if not reader.fieldnames:
        raise DeckError(f"deck {name!r} has no header row: expected columns question and answer")

    def records() -> Iterator[Any]:
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _Malformed(f"line {reader.line_num}: {error}")

    yield from _records(records(), name, deck)


def _anki_text(text: str, name: str, deck: str) -> Iterator[Row]:
    for number, note in enumerate(anki.text_notes(text, name), start=1):
        yield _from_note(note, f"{name}: note {number}", deck)


def _notes(path: Path, deck: str) -> Iterator[Row]:
    for number, note in enumerate(anki.package_notes(path), start=1):
        yield _from_note(note, f"{path.name}: note {number}", deck)


def _from_note(note: anki.Note, place: str, deck: str) -> Row:
    return Row(place, note.front, note.back, topic=note.tags or None, deck=deck)


@dataclass(frozen=True)
class _Malformed:
    raw: str


def _records(records: Iterable[Any], name: str, deck: str) -> Iterator[Row]:
    """Rows from mappings; the columns are settled by the first mapping that has a known pair."""
    seen: set[str] = set()
    matched = False
    waiting: list[Row] = []  # faulty rows before the first good one: the deck may yet be wrong
    for number, record in enumerate(records, start=1):
        place = f"{name}: row {number}"
        if isinstance(record, _Malformed):
            row = Row(place, fault="malformed row", raw=record.raw, deck=deck)
        elif not isinstance(record, Mapping):
            row = Row(place, fault="not an object", raw=json.dumps(record), deck=deck)
        else:
            fields = {str(k).strip().casefold(): v for k, v in record.items() if k is not None}
            pair = next((p for p in _PAIRS if p[0] in fields and p[1] in fields), None)
            if pair is None:
                seen.update(str(k).strip() for k in record if k is not None)
                raw = json.dumps(record, ensure_ascii=False, default=str)
                row = Row(place, fault="no question and answer columns", raw=raw, deck=deck)
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
        raise DeckError(
            f"deck {name!r} has the columns {', '.join(sorted(seen)[:12])}: expected question and "
            "answer (or input/output, Patient/Doctor, front/back); rename its columns"
        )
    if waiting:
        raise DeckError(
            f"deck {name!r} has no readable row (first: {waiting[0].fault} at {waiting[0].place}): "
            "expected objects with question and answer; check the file"
        )
    raise DeckError(f"deck {name!r} has no rows: expected at least one card")


def _from_fields(fields: Mapping[str, Any], pair: tuple[str, str], place: str, deck: str) -> Row:
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
    if value is None or value != value:  # NaN: how tables spell a missing text
        return ""
    return value if isinstance(value, str) else str(value)
