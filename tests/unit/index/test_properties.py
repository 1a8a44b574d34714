"""Whatever bytes a deck or an index is made of, reading them ends well or in an expected error."""

from __future__ import annotations

import io
import json
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import anki, decks, manifest, retrieve
from index.cleaning import clean_deck
from index.config import CleaningConfig
from index.embedder import Embedder
from index.errors import DeckError, ExpectedError, IndexDamagedError

WITHOUT_PAIRS = CleaningConfig(near_duplicates=False)
QUICK = settings(
    max_examples=60, deadline=5_000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = st.sampled_from(
    ["question", "answer", "front", "back", ",", "\t", "|", ";", '"', "\n", "\r", "{", "}", "[",
     "]", ":", "null", "NaN", "#separator:", "{{c1::", "}}", "<b>", "&#x0;", "\\ud800", "\x00",
     "\ufeff", "\u2028", "What is gout?", "0", "1e999"]
)  # fmt: skip
DECK_TEXT = st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["question", "answer", "topic", "Patient", "Doctor", "x"]), inner
        )
    ),
    max_leaves=12,
)


def read(path: Path) -> None:
    """Every row is either a card or a reject with a reason."""
    rows = list(decks.read(str(path)))
    cleaned = clean_deck(rows, WITHOUT_PAIRS)
    assert len(cleaned.cards) + len(cleaned.rejects) == len(rows)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "tsv", "txt", "parquet", "apkg"])
@QUICK
@given(content=st.binary(max_size=300) | DECK_TEXT.map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_a_deck_or_a_deck_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"deck.{suffix}"
    path.write_bytes(content)
    try:
        read(path)
    except DeckError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


@QUICK
@given(document=JSON)
def test_any_json_is_a_deck_or_a_deck_error(tmp_path: Path, document: Any) -> None:
    for name in ("deck.json", "deck.jsonl"):
        (tmp_path / name).write_text(json.dumps(document))
        try:
            read(tmp_path / name)
        except DeckError as error:
            assert name in str(error)  # noqa: PT017 - either outcome is right


@QUICK
@given(where=st.integers(0, 4095), what=st.binary(min_size=1, max_size=40))
def test_any_collection_is_a_deck_or_a_deck_error(tmp_path: Path, where: int, what: bytes) -> None:
    whole = collection("CREATE TABLE notes (id integer primary key, tags text, flds text)")
    data = (whole[:where] + what + whole[where + len(what) :])[: len(whole)]
    try:
        read(package(tmp_path, data))
    except DeckError as error:
        assert "deck.apkg" in str(error)  # noqa: PT017 - either outcome is right


def collection(made_by: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 1024")
    connection.execute(made_by)
    connection.execute("INSERT INTO notes(tags, flds) VALUES ('t', 'What is gout?\x1fCrystals.')")
    connection.commit()
    data: bytes = connection.serialize()
    return data


def package(folder: Path, data: bytes, member: str = "collection.anki2") -> Path:
    path = folder / "deck.apkg"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return path


# --- What the fuzzer found


def test_sqlite_quotes_what_is_no_utf8(tmp_path: Path) -> None:
    # Its message about the broken schema could not be decoded, which is no sqlite3.Error.
    made = "CREATE TABLE notes (id integer primary key, tags text, flds text)"
    data = collection(made).replace(b"CREATE TABLE", b"CR\xff\xfeTE TABLE")
    with pytest.raises(DeckError, match="damaged collection"):
        list(anki.package_notes(package(tmp_path, data)))


def test_a_parquet_column_that_is_no_utf8(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pa.table({"question": ["What?"], "answer": ["That."]}), out)
    path = tmp_path / "deck.parquet"
    path.write_bytes(out.getvalue().replace(b"question", b"qu\xff\xfetion"))
    with pytest.raises(DeckError, match="not a complete Parquet file"):
        read(path)


def test_files_whose_hashes_are_right_and_whose_content_is_not(
    built: Path, hash_embedder: Embedder
) -> None:
    contents = ("{}", "[1]", "NaN", "{" * 200, '{"version": 1}', '"\\ud800"')
    for name in (manifest.CARDS, manifest.RELEVANCE, manifest.SPLIT):
        path = built / manifest.read(built).generation / name
        whole = path.read_text()
        for content in contents:
            restamp(built, name, content)
            with pytest.raises(ExpectedError, match="rebuild"):
                _open_all(built, hash_embedder)
        restamp(built, name, whole)
    _open_all(built, hash_embedder)


def _open_all(folder: Path, embedder: Embedder) -> None:
    retrieve.open_index(folder, embedder)
    retrieve.open_split(folder)


def restamp(folder: Path, name: str, content: str) -> None:
    """Change a file of an index and its record, as a hostile author would."""
    record = manifest.read(folder)
    path = folder / record.generation / name
    path.write_text(content)
    files = {**record.files, name: manifest.file_record(path)}
    manifest.write(record.model_copy(update={"files": files}), folder)


@pytest.fixture
def built(
    hash_embedder: Embedder, home: Path, write_deck: Callable[..., Path], tmp_path: Path
) -> Path:
    from index import build
    from index.config import IndexConfig

    rows = [{"question": f"What is thing {n}?", "answer": f"Thing {n} is so."} for n in range(8)]
    out = tmp_path / "out"
    build.build(IndexConfig(decks=(str(write_deck(rows)),), out=out, embedder="hash-double"))
    return out


@QUICK
@given(fields=st.dictionaries(st.sampled_from(list(manifest.Manifest.model_fields)), JSON))
def test_any_manifest_is_read_or_said_to_be_damaged(tmp_path: Path, fields: dict[str, Any]) -> None:
    fields = json.loads(json.dumps(fields))
    fields["sha256"] = manifest._checksum(fields)
    (tmp_path / manifest.MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(IndexDamagedError):
        manifest.verify(manifest.read(tmp_path), tmp_path)


# --- Packages that unpack to more than they seem to


@pytest.mark.parametrize("member", ["collection.anki2", "collection.anki21b"])
def test_a_bomb_is_cut_off_while_it_unpacks(tmp_path: Path, member: str) -> None:
    size = 300 << 20
    data = bytes(size)
    if member.endswith("b"):
        data = zstandard.ZstdCompressor().compress(data)
    path = package(tmp_path, data, member)
    assert path.stat().st_size < size / 500
    del data
    tracemalloc.start()
    try:
        with pytest.raises(DeckError, match="unpacks to more than 8 MB"):
            list(anki.package_notes(path, 8 << 20))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_bomb_is_not_opened(tmp_path: Path) -> None:
    inner = package(tmp_path, bytes(1 << 20)).read_bytes()
    path = tmp_path / "outer.apkg"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("more/deck.apkg", inner)
    with pytest.raises(DeckError, match="holds no Anki collection"):
        list(anki.package_notes(path))


@pytest.mark.parametrize(
    "name", ["../collection.anki2", "/tmp/collection.anki2", "a/../../x", "C:\\x", "x\x00y"]
)
def test_names_in_a_package_reach_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside" / "deeper"
    folder.mkdir(parents=True)
    path = folder / "deck.apkg"
    made = "CREATE TABLE notes (id integer primary key, tags text, flds text)"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"hostile")
        archive.writestr("collection.anki2", collection(made))
    assert [note.front for note in anki.package_notes(path)] == ["What is gout?"]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
