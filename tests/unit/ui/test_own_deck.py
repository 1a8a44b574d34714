"""A user's own deck: its limits, its errors, its search."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.embeddings import MockEmbedding

from index.errors import DeckError
from index.manifest import EmbedderRecord, Manifest
from ui import deck_panel, own_deck


class Words(MockEmbedding):
    """A vector of which words a text holds."""

    def _vector(self, text: str) -> list[float]:
        vector = [0.001] * 64
        for word in text.lower().split():
            vector[int(hashlib.sha256(word.strip("?.").encode()).hexdigest(), 16) % 64] += 1.0
        length = sum(v * v for v in vector) ** 0.5
        return [v / length for v in vector]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)


@pytest.fixture
def base() -> Any:
    record = Manifest(
        schema_version=1,
        generation="base",
        created="",
        embedder=EmbedderRecord(name="words", revision="1", dimension=64),
        metric="inner product",
        structure="flat",
        cards=0,
        rejected={},
        deck_hash="",
        decks={},
        topics={},
        split_stamp="",
        split_counts={},
        config={},
        files={},
    )
    judge = SimpleNamespace(judge=lambda *_: None, score=lambda *_: 0.0)
    return SimpleNamespace(
        embed_model=Words(embed_dim=64),
        manifest=record,
        probe=judge,
        relevance=judge,
        top_k=3,
        reranker=None,
    )


def write(path: Path, rows: int, answer: str = "It is number {n}.") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer", "topic"])
        for n in range(rows):
            topic = "" if n % 3 == 0 else f"Topic {n % 3}"
            writer.writerow([f"What is gadget{n}?", answer.format(n=n), topic])
    return path


def test_a_deck_is_searched_and_browsed(
    tmp_path: Path, base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int]] = []
    own = own_deck.open_deck(
        write(tmp_path / "gadgets.csv", 150), base, "en", lambda *step: steps.append(step)
    )
    assert own.retriever.hits("what is gadget77")[0].card.question == "What is gadget77?"
    assert own.retriever.manifest.decks == {"gadgets": 150}
    assert steps[0] == (0, 150)
    assert steps[-1] == (150, 150)
    choices = deck_panel.topics(own.retriever.cards, "en")
    assert [label for label, _ in choices] == [
        "All topics (150)",
        "Topic 1 (50)",
        "Topic 2 (50)",
        "No topic (50)",
    ]
    found = deck_panel.find(own.retriever, "", deck_panel.NONE)
    assert len(found) == 50
    assert all(card.topic is None for card, _ in found)
    near = deck_panel.find(own.retriever, "gadget77", "Topic 2")
    assert near[0][0].question == "What is gadget77?"
    monkeypatch.setattr(deck_panel, "_DEPTH", 5)
    monkeypatch.setattr(deck_panel, "_CLOSE", -1.0)
    near = deck_panel.find(own.retriever, "gadget77", "Topic 1")
    assert len(near) == 5, "cards of other topics take no place"
    assert {card.topic for card, _ in near} == {"Topic 1"}


def test_how_many_cards_are_shown_does_not_change_the_judgement(tmp_path: Path, base: Any) -> None:
    own = own_deck.open_deck(write(tmp_path / "some.csv", 30), base)
    for question in ("what is gadget7", "gadgets", "how do I bake bread"):
        hits, judged = own.retriever.judged(question, 5)
        for top_k in (1, 2, 3):
            fewer, again = own.retriever.judged(question, top_k)
            assert [hit.card.id for hit in fewer][:1] == [hits[0].card.id]
            assert len(fewer) == top_k
            assert again == judged


def test_a_single_card_is_a_deck(tmp_path: Path, base: Any) -> None:
    own = own_deck.open_deck(write(tmp_path / "one.csv", 1), base)
    assert len(own.retriever.hits("gadget0")) == 1


def test_limits(tmp_path: Path, base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many = write(tmp_path / "many.csv", own_deck.MAX_CARDS + 1)
    with pytest.raises(DeckError, match="more than 2,000 cards"):
        own_deck.read(many)
    monkeypatch.setattr(own_deck, "MAX_MEGABYTES", 0.01)
    with pytest.raises(DeckError, match=r"au plus 0\.01 Mo"):
        own_deck.read(many, "fr")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("cards.exe", b"MZ", "is no deck"),
        ("cards.csv", b"", "empty"),
        ("cards.csv", b"question,answer\n,\n", "no card that can be used"),
        ("cards.apkg", b"PK", "not a complete Anki package"),
        ("cards.json", b"[{", "not complete JSON"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DeckError, match=told):
        own_deck.read(path)
