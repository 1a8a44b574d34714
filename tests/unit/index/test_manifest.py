from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from index import manifest
from index.errors import IndexDamagedError, IndexMissingError
from index.manifest import EmbedderRecord, FileRecord, Manifest


def record(folder: Path, **changes: Any) -> Manifest:
    """A manifest of small files, and the files themselves."""
    generation = folder / "0123456789ab"
    files = {}
    for name in manifest.REQUIRED:
        path = generation / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        files[name] = manifest.file_record(path)
    fields = {
        "schema_version": manifest.SCHEMA,
        "generation": generation.name,
        "created": "2026-01-01T00:00:00+00:00",
        "embedder": EmbedderRecord(name="e", revision="1", dimension=3),
        "metric": "inner product",
        "structure": "flat",
        "cards": 1,
        "rejected": {"blank answer": 2},
        "deck_hash": "d",
        "decks": {"Übersicht": 1},
        "topics": {},
        "split_stamp": "s",
        "split_counts": {"train": 1},
        "config": {"split": {"test": 0.1}},
        "files": files,
    }
    return Manifest(**{**fields, **changes})


def test_write_and_read(tmp_path: Path) -> None:
    made = record(tmp_path)
    manifest.write(made, tmp_path)
    assert manifest.read(tmp_path) == made
    manifest.verify(made, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0123456789ab", "manifest.json"]


def test_names_that_are_no_utf8_are_written(tmp_path: Path) -> None:
    made = record(tmp_path, config={"decks": ["caf\udce9.csv"]})
    manifest.write(made, tmp_path)
    assert manifest.read(tmp_path) == made


@pytest.mark.parametrize("path", ["", "missing", "file/below"])
def test_no_index(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexMissingError, match=r"python -m index build --out"):
        manifest.read(tmp_path / path)


def test_every_bit_of_the_manifest_counts(tmp_path: Path) -> None:
    made = record(tmp_path)
    manifest.write(made, tmp_path)
    path = tmp_path / manifest.MANIFEST
    whole = path.read_bytes()
    for position in range(0, len(whole) - 1, 3):  # all but the line end after the last brace
        data = bytearray(whole)
        data[position] ^= 1 << position // 3 % 8
        path.write_bytes(data)
        with pytest.raises(IndexDamagedError, match=r"manifest\.json"):
            manifest.read(tmp_path)
    for size in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(IndexDamagedError, match=r"manifest\.json"):
            manifest.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '"x"', "[" * 100_000, "\udcff", "1" * 5000]
)
def test_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / manifest.MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(IndexDamagedError, match="rebuild the index with"):
        manifest.read(tmp_path)


def test_manifest_of_another_schema(tmp_path: Path) -> None:
    manifest.write(record(tmp_path, schema_version=99), tmp_path)
    with pytest.raises(IndexDamagedError, match="schema 99, expected 1"):
        manifest.read(tmp_path)


def test_manifest_with_another_field(tmp_path: Path) -> None:
    fields = record(tmp_path).model_dump()
    fields["later"] = 1
    fields["sha256"] = manifest._checksum(fields)
    (tmp_path / manifest.MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(IndexDamagedError, match="later"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("generation", "name"),
    [
        ("0123456789ab", "../../outside"),
        ("0123456789ab", "/etc/hostname"),
        ("../../elsewhere", "cards.jsonl"),
        ("/etc", "hostname"),
        ("0123456789ab", "nul\x00byte"),
        ("0123456789ab", "x" * 5000),
    ],
)
def test_files_outside_are_never_touched(tmp_path: Path, generation: str, name: str) -> None:
    made = record(tmp_path)
    (tmp_path.parent / "outside").write_text("")
    files = {**made.files, name: FileRecord(bytes=0, sha256="0")}
    changed = made.model_copy(update={"generation": generation, "files": files})
    with pytest.raises(IndexDamagedError):
        manifest.verify(changed, tmp_path)


@pytest.mark.parametrize("name", manifest.REQUIRED)
def test_what_every_index_has_must_be_named(tmp_path: Path, name: str) -> None:
    made = record(tmp_path)
    files = {n: f for n, f in made.files.items() if n != name}
    with pytest.raises(IndexDamagedError, match="does not name the file"):
        manifest.verify(made.model_copy(update={"files": files}), tmp_path)


@pytest.mark.parametrize(
    "damage", ["truncate", "empty", "flip", "delete", "folder", "grow", "loop"]
)
@pytest.mark.parametrize("name", manifest.REQUIRED)
def test_damaged_files_are_named(tmp_path: Path, name: str, damage: str) -> None:
    made = record(tmp_path)
    path = tmp_path / made.generation / name
    data = path.read_bytes()
    match damage:
        case "truncate":
            path.write_bytes(data[:-1])
        case "empty":
            path.write_bytes(b"")
        case "flip":
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "grow":
            path.write_bytes(data + b"x")
        case _:
            path.unlink()
    if damage == "folder":
        path.mkdir()
    if damage == "loop":
        path.symlink_to(path)
    with pytest.raises(IndexDamagedError) as raised:
        manifest.verify(made, tmp_path)
    assert str(path) in str(raised.value)
    assert f"python -m index build --out {tmp_path}" in str(raised.value)
