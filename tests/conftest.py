"""Doubles and decks that the tests of the index share."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from index import build, health, retrieve
from index.cards import Flashcard, make_card
from index.embedder import Embedder, open_embedder
from index.lexical import tokens
from index.manifest import EmbedderRecord

DIMENSION = 64


class HashEmbedding(BaseEmbedding):
    """Texts that share words get near vectors, alike on every machine. Counts what it embeds."""

    _texts: list[str] = PrivateAttr(default_factory=list)
    _delay: float = PrivateAttr(default=0.0)

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(model_name="hash-double", embed_batch_size=64)
        self._delay = delay

    @property
    def texts(self) -> list[str]:
        """Every text, not query, that was embedded."""
        return self._texts

    @staticmethod
    def vector(text: str) -> list[float]:
        total = np.full(DIMENSION, 1e-3)
        for word in tokens(text):
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
            total += np.random.default_rng(seed).standard_normal(DIMENSION)
        unit: list[float] = (total / np.linalg.norm(total)).tolist()
        return unit

    def _get_text_embedding(self, text: str) -> list[float]:
        time.sleep(self._delay)
        self._texts.append(text)
        return self.vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self.vector(query)


def make_hash_embedder(name: str = "hash-double", delay: float = 0.0) -> Embedder:
    """The double as the index sees an embedder."""
    record = EmbedderRecord(name=name, revision="1", dimension=DIMENSION)
    return Embedder(HashEmbedding(delay), record)


def write_questions(folder: Path) -> None:
    """Fitting questions, few but of every kind, that the cards of `make_cards` answer in part."""
    (folder / "lay").mkdir(parents=True)
    pairs = [
        {"lay": f"how do i treat {name} at home", "plain": f"What is the treatment of {name}?"}
        for name in DISEASES
    ]
    _write_jsonl(folder / "lay" / "some.jsonl", pairs)
    health = [{"question": f"Does {name} hurt, doctor?"} for name in DISEASES]
    _write_jsonl(folder / "health.jsonl", health)
    other = [{"question": f"Who won the {sport} final in {year}?"} for sport, year in GAMES]
    _write_jsonl(folder / "other.jsonl", other)


DISEASES = ("asthma", "measles", "gout", "scurvy", "migraine", "anaemia", "croup", "tetanus")
GAMES = [(sport, year) for sport in ("chess", "tennis", "rugby") for year in (1998, 2002, 2006)]


def _write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_cards(n: int) -> list[Flashcard]:
    """Distinct cards: a disease in a certain part of the body."""
    return [make_card(**row) for row in make_rows(n)]


def make_rows(n: int) -> list[dict[str, str]]:
    """The same as rows of a JSONL deck."""
    parts = ("lung", "skin", "knee", "ear", "liver", "spine", "hand", "eye", "heart", "kidney")
    rows = []
    for i in range(n):
        disease, part = DISEASES[i % len(DISEASES)], parts[i // len(DISEASES) % len(parts)]
        grade = i // (len(DISEASES) * len(parts))
        about = f"{disease} of the {part}" + (f" in stage {grade}" if grade else "")
        answer = f"The treatment of {about} is rest, fluids and remedy number {i} twice a day."
        row = {"question": f"What is the treatment of {about}?", "answer": answer}
        rows.append({**row, "topic": part})
    return rows


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for everything that is built, and fitting questions of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MEDCARDS_HOME", str(folder))
    write_questions(tmp_path / "questions")
    monkeypatch.setattr(health, "QUESTIONS", tmp_path / "questions")
    return folder


@pytest.fixture
def hash_embedder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Embedder:
    """The double in the place of every embedder, under whatever name it is asked for."""
    embedder = make_hash_embedder()

    def open_double(name: str) -> Embedder:
        record = embedder.record.model_copy(update={"name": name})
        return Embedder(embedder.model, record)

    monkeypatch.setattr(build, "open_embedder", open_double)
    monkeypatch.setattr(retrieve, "open_embedder", open_double)
    return embedder


@pytest.fixture
def write_deck(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as a JSONL deck: `write_deck(rows, name="deck.jsonl")`."""

    def write(rows: Sequence[dict[str, Any]], name: str = "deck.jsonl") -> Path:
        path = tmp_path / name
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
        return path

    return write


@pytest.fixture
def write_apkg(tmp_path: Path) -> Callable[..., Path]:
    """Write notes `(fields, tags)` as a package of one of Anki's three generations."""

    def write(
        notes: Sequence[tuple[Sequence[str], str]],
        member: str = "collection.anki2",
        name: str = "deck.apkg",
        others: Sequence[tuple[str, bytes]] = (),
    ) -> Path:
        data = collection(tmp_path, notes)
        if member.endswith("b"):
            data = zstandard.ZstdCompressor().compress(data)
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, data)
            for other, content in others:
                archive.writestr(other, content)
        return path

    return write


def collection(folder: Path, notes: Sequence[tuple[Sequence[str], str]]) -> bytes:
    """An SQLite collection with Anki's table of notes."""
    database = folder / "collection.sqlite"
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    connection.execute(
        "CREATE TABLE notes (id integer primary key, guid text not null, mid integer not null, "
        "mod integer not null, usn integer not null, tags text not null, flds text not null, "
        "sfld integer not null, csum integer not null, flags integer not null, data text not null)"
    )
    connection.executemany(
        "INSERT INTO notes VALUES (?, 'g', 1, 1, -1, ?, ?, '', 0, 0, '')",
        [(i, tags, "\x1f".join(fields)) for i, (fields, tags) in enumerate(notes, start=1)],
    )
    connection.commit()
    connection.close()
    return database.read_bytes()


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `MEDCARDS_HOME` that holds the bundled embedder, converted once for all the tests."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDCARDS_HOME", str(folder))
        open_embedder("all-MiniLM-L6-v2")
    return folder
