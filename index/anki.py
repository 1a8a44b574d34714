"""Read Anki decks: packages (`.apkg`) and "Notes in plain text" exports.

A package is a zip with an SQLite collection. Three generations exist: `collection.anki2`,
`collection.anki21`, and `collection.anki21b`, which is the newest and zstd-compressed; the older
file beside a newer one is only a notice to update, so the newest that is present is read.
"""

from __future__ import annotations

import html
import lzma
import re
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from index import delimited
from index.delimited import Malformed
from index.errors import DeckError

MAX_COLLECTION_BYTES = 1 << 30
_COLLECTIONS = ("collection.anki21b", "collection.anki21", "collection.anki2")
_FIELD_SEPARATOR = "\x1f"
_MAX_FIELDS_BYTES = 16 << 20  # of one note
_CHUNK = 1 << 20

# None of these may look further than the next opening mark: a text of nothing but opening marks
# would otherwise take the square of its length, or the cube. Hence also the possessive "*+".
_CLOZE = re.compile(
    r"\{\{c\d+::((?:[^{}:]|:(?!:)|\{(?!\{)|\}(?!\}))*+)(?:::(?:[^{}]|\{(?!\{)|\}(?!\}))*+)?\}\}"
)
_CLOZE_DEPTH = 3  # that Anki nests at most
_SOUND = re.compile(r"\[sound:[^\[\]]*\]")
_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|hr)\b[^<>]*>", re.IGNORECASE)
_DROPPED = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")


@dataclass(frozen=True, slots=True)
class Note:
    """A note as plain text: its first field, the rest of its fields, and its tags."""

    front: str
    back: str
    tags: str


def package_notes(path: Path, max_bytes: int = MAX_COLLECTION_BYTES) -> Iterator[Note]:
    """The notes of an `.apkg` file.

    Nothing is extracted under a name from the archive, so no entry can reach another folder,
    and at most `max_bytes` are decompressed.

    Raises:
        DeckError: not a zip, no collection in it, a damaged or oversized collection.
    """
    with tempfile.TemporaryDirectory(prefix="medcards-anki-") as folder:
        database = Path(folder) / "collection"
        try:
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
                member = next((n for n in _COLLECTIONS if n in names), None)
                if member is None:
                    raise DeckError(
                        f"deck {path.name!r} holds no Anki collection: expected one of "
                        f"{', '.join(_COLLECTIONS)}; export it from Anki as a deck package"
                    )
                with archive.open(member) as packed, database.open("wb") as out:
                    _copy(_decompressed(packed, member), out, path.name, max_bytes)
        except (
            zipfile.BadZipFile,
            EOFError,
            NotImplementedError,  # a compression method that Python lacks
            RuntimeError,  # encrypted
            ValueError,  # a name or an offset that is none
            lzma.LZMAError,
        ) as error:
            raise DeckError(
                f"deck {path.name!r} is not a complete Anki package ({error}): export it again"
            ) from error
        yield from _database_notes(database, path.name)


def _decompressed(packed: IO[bytes], member: str) -> IO[bytes]:
    if not member.endswith("b"):
        return packed
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(packed)


def _copy(source: IO[bytes], target: IO[bytes], name: str, max_bytes: int) -> None:
    import zstandard

    total = 0
    try:
        while chunk := source.read(_CHUNK):
            total += len(chunk)
            if total > max_bytes:
                raise DeckError(
                    f"deck {name!r} unpacks to more than {max_bytes >> 20:,} MB: "
                    "expected a deck of cards; export it without other decks"
                )
            target.write(chunk)
    except (zstandard.ZstdError, zlib.error) as error:
        raise DeckError(
            f"deck {name!r} has a damaged collection ({error}): export it again"
        ) from error


def _database_notes(database: Path, name: str) -> Iterator[Note]:
    # Opened read-only and immutable: a hostile file gets no journal to replay.
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_FIELDS_BYTES)
        connection.execute("PRAGMA trusted_schema = OFF")
        found = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = 'notes'")
        kind, made = found.fetchone() or ("", "")
        # A view, or a table that computes its rows, could go on for ever.
        if kind != "table" or not re.match(r"CREATE\s+TABLE\b", str(made), re.IGNORECASE):
            raise sqlite3.DatabaseError("it has no table of notes")
        number = 0
        for fields, tags in connection.execute("SELECT flds, tags FROM notes ORDER BY id"):
            number += 1
            yield _note(_string(fields).split(_FIELD_SEPARATOR), _string(tags))
        if not number:
            raise DeckError(f"deck {name!r} holds no note: expected at least one; export it again")
    except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError) as error:
        # The last: SQLite's own message, where it quotes what is no UTF-8.
        raise DeckError(
            f"deck {name!r} has a damaged collection ({error}): export it from Anki again"
        ) from error
    finally:
        connection.close()


def _string(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def text_notes(text: str, name: str) -> Iterator[Note | Malformed]:
    """The notes of a plain-text export, by its `#separator`, `#html` and column directives.

    Raises:
        DeckError: no line has two fields.
    """
    separators = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|"}
    separator, is_html, tag_column, skipped = "\t", True, None, set[int]()
    lines = text.splitlines(keepends=True)
    start = 0
    for line in lines:
        if not line.startswith("#"):
            break
        start += 1
        key, _, value = line[1:].strip().partition(":")
        match key.lower():
            case "separator":
                separator = separators.get(value.lower(), value.strip('"')[:1] or "\t")
            case "html":
                is_html = value.lower() != "false"
            case "tags column" if value.isdecimal():
                tag_column = int(value) - 1
            case "guid column" | "notetype column" | "deck column" if value.isdecimal():
                skipped.add(int(value) - 1)
            case _:
                pass  # #columns and directives to come carry nothing that a card needs
    found = False
    for fields in delimited.rows("".join(lines[start:]), separator):
        if isinstance(fields, Malformed):
            yield fields
            continue
        tags = fields[tag_column] if tag_column is not None and tag_column < len(fields) else ""
        kept = [f for i, f in enumerate(fields) if i not in skipped and i != tag_column]
        found = found or len(kept) > 1
        yield _note(kept, tags, is_html)
    if not found:
        raise DeckError(
            f"deck {name!r} has no line with two fields: expected an Anki text export "
            "(question, tab, answer) or another format with its own extension"
        )


def _note(fields: list[str], tags: str, is_html: bool = True) -> Note:
    texts = [plain_text(f) if is_html else f for f in fields] or [""]
    front, rest = texts[0], [t for t in texts[1:] if t.strip()]
    if _CLOZE.search(fields[0] if fields else ""):
        # A cloze note is one text with gaps: asked with the gaps open, answered with them filled.
        # The rest is extra material that belongs to the answer.
        rest = [_cloze(front, r"\1"), *rest]
        front = _cloze(front, "[...]")
    return Note(front, " ".join(rest), " ".join(tags.split()))


def _cloze(text: str, gap: str) -> str:
    for _ in range(_CLOZE_DEPTH):
        text = _CLOZE.sub(gap, text)
    return text


def plain_text(field: str) -> str:
    """A note's HTML as text: tags and sounds gone, line breaks kept as spaces."""
    field = _DROPPED.sub(" ", field)
    field = _TAG.sub("", _BREAK.sub(" ", field))
    return _SOUND.sub("", html.unescape(field)).strip()
