"""The manifest of an index folder: what was built, from what, and the SHA-256 of every file.

An index folder holds `manifest.json` and one generation folder with the files that it names. A
build writes a new generation beside the old one and then replaces the manifest in one rename, so
a reader sees the old index or the new one. Hashes are checked before anything is parsed, because
the readers of FAISS and NumPy files are not made for hostile input.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from index.errors import IndexDamagedError, IndexMissingError

MANIFEST = "manifest.json"
SCHEMA = 1
VECTORS = "vectors.faiss"
CARDS = "cards.jsonl"
SPLIT = "split.json"
REJECTS = "rejects.jsonl"
RELEVANCE = "relevance.json"
HEALTH = "health.npz"
BM25 = "bm25"
# What every generation holds; the folder of BM25 is judged by the one file that bm25s opens first.
REQUIRED = (VECTORS, CARDS, SPLIT, REJECTS, RELEVANCE, HEALTH, f"{BM25}/params.index.json")
_CHECKSUM = "sha256"  # of the manifest's other fields
_CHUNK = 1 << 20


class EmbedderRecord(BaseModel):
    """Which model made the vectors; another one cannot be asked for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    revision: str
    dimension: int


class FileRecord(BaseModel):
    """Size in bytes and SHA-256 of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """Everything that a loader must know before it opens a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    generation: str
    created: str  # UTC, ISO 8601
    embedder: EmbedderRecord
    metric: str
    structure: str  # of the FAISS index
    parameters: dict[str, int] = {}  # of that structure
    cards: int
    rejected: dict[str, int]
    deck_hash: str
    decks: dict[str, int]
    topics: dict[str, int]
    split_stamp: str
    split_counts: dict[str, int]
    config: dict[str, Any]
    files: dict[str, FileRecord]


def file_record(path: Path) -> FileRecord:
    """Size and hash of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileRecord(bytes=size, sha256=digest.hexdigest())


def write(manifest: Manifest, folder: Path) -> None:
    """Put the manifest in place in one step, surviving a crash at any moment."""
    partial = folder / f".{MANIFEST}.partial"  # one name: the caller holds the folder's lock
    fields = manifest.model_dump()
    fields[_CHECKSUM] = _checksum(fields)
    # A name that is no UTF-8 has lone surrogates, which are written as JSON spells them.
    with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / MANIFEST)


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read(folder: Path) -> Manifest:
    """Read the manifest of an index folder.

    Raises:
        IndexMissingError: there is none.
        IndexDamagedError: it is not a manifest of this schema version.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(
            f"no index at {str(folder)!r}: expected {MANIFEST} there; build one with "
            f"'python -m index build --out {folder}'"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, str(error), folder) from error
    try:
        fields = json.loads(text)
        if isinstance(fields, dict) and fields.get("schema_version", SCHEMA) != SCHEMA:
            raise damaged(path, f"schema {fields['schema_version']!r}, expected {SCHEMA}", folder)
        if isinstance(fields, dict) and fields.pop(_CHECKSUM, None) != _checksum(fields):
            raise damaged(path, "it differs from what the build wrote", folder)
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(path, f"{where}: {first['msg']}", folder) from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is not complete JSON", folder) from error


def verify(manifest: Manifest, folder: Path) -> None:
    """Check size and hash of every file that the manifest names.

    Raises:
        IndexDamagedError: names the first file that is missing or differs.
    """
    for name in REQUIRED:
        if name not in manifest.files:
            raise damaged(folder / MANIFEST, f"it does not name the file {name!r}", folder)
    for name, expected in manifest.files.items():
        path = folder / manifest.generation / name
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise damaged(folder / MANIFEST, f"it names the outside file {name!r}", folder)
            size = path.stat().st_size
            if size != expected.bytes:
                raise damaged(path, f"{size:,} bytes, expected {expected.bytes:,}", folder)
            if file_record(path).sha256 != expected.sha256:
                raise damaged(path, "its SHA-256 is not the recorded one", folder)
        except OSError as error:
            raise damaged(path, error.strerror or str(error), folder) from error
        except (ValueError, RuntimeError) as error:  # no name of a file, or links in a circle
            raise damaged(path, str(error), folder) from error


def damaged(path: Path, what: str, folder: Path) -> IndexDamagedError:
    """The error for a file that is not what the build left behind."""
    return IndexDamagedError(
        f"the index file {str(path)!r} is damaged ({what}): rebuild the index with "
        f"'python -m index build --out {folder}' and the deck that it was made from"
    )
