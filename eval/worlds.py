"""What the deck holds when a question is asked: everything, all but the gold card, distractors.

A world is the served retriever over the same index with some cards hidden, so ranking, confidence
and threshold are the served ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from eval.config import World
from index import manifest
from index.cards import Flashcard
from index.config import SplitConfig
from index.filters import Mask
from index.lexical import LexicalIndex
from index.retrieve import open_index, open_split
from index.search import Searcher
from index.similar import Groups, pairs, question_shingles
from index.split import Split
from index.store import Store

Numbers = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Item:
    """A held-out card, asked in its own words."""

    card: Flashcard
    relevant: tuple[str, ...]  # ids of its near-duplicate group, itself included


class Worlds:
    """An index with its split, its near-duplicate groups, and a retriever that can hide cards."""

    def __init__(self, folder: Path, top_k: int, related: float) -> None:
        served = open_index(folder, top_k=top_k)
        record = served.manifest
        generation = folder / record.generation
        self.split: Split = open_split(folder)
        self.cards: Sequence[Flashcard] = served.cards
        self._related = related
        self._store = _MaskedStore(Store(generation / manifest.VECTORS))
        self._words = _MaskedWords(LexicalIndex(generation / manifest.BM25))
        searcher = Searcher(
            self.cards, cast("Store", self._store), cast("LexicalIndex", self._words)
        )
        served._searcher = searcher  # all else is the served retriever's own
        self.retriever = served
        self._position = {card.id: i for i, card in enumerate(self.cards)}
        self._groups = _groups(self.cards, SplitConfig(**record.config.get("split", {})))

    def items(self, limit: int | None, seed: int) -> list[Item]:
        """The test side in a seeded order, so that the first n are a fair sample."""
        chosen = sorted(
            self.split.select(self.cards, "test"),
            key=lambda card: hashlib.sha256(f"{seed}:{card.id}".encode()).digest(),
        )
        return [Item(card, self._group(card)) for card in chosen[:limit]]

    def _group(self, card: Flashcard) -> tuple[str, ...]:
        return tuple(sorted(self.cards[i].id for i in self._groups[self._position[card.id]]))

    @contextmanager
    def entered(self, world: World, item: Item) -> Iterator[None]:
        """Hide what the world does not hold for this item."""
        hidden: set[int] = set()
        if world != "gold":
            hidden |= {self._position[i] for i in item.relevant}
        if world == "distractors":
            vectors = self._store.all_vectors
            near = vectors @ vectors[self._position[item.card.id]] >= self._related
            hidden |= {int(i) for i in np.flatnonzero(near)}
        self._store.hidden = self._words.hidden = frozenset(hidden)
        try:
            yield
        finally:
            self._store.hidden = self._words.hidden = frozenset()


class _MaskedStore:
    """A store in which some positions cannot be found."""

    def __init__(self, store: Store) -> None:
        self.hidden: frozenset[int] = frozenset()
        self.vectors_of = store.vectors_of
        self.all_vectors = store.all_vectors()
        self._store = store

    def nearest(
        self, vector: Sequence[float], depth: int, allowed: Mask | None = None
    ) -> list[tuple[int, float]]:
        deeper = min(depth + len(self.hidden), self._store.size)
        found = self._store.nearest(vector, deeper, allowed)
        return [(i, cosine) for i, cosine in found if i not in self.hidden][:depth]


class _MaskedWords:
    """A lexical index in which some positions share no word with any query."""

    def __init__(self, words: LexicalIndex) -> None:
        self.hidden: frozenset[int] = frozenset()
        self._words = words

    def scores(self, query: str) -> Numbers:
        scores: Numbers = np.array(self._words.scores(query), dtype=np.float32)
        scores[list(self.hidden)] = 0
        return scores


def _groups(cards: Sequence[Flashcard], config: SplitConfig) -> list[list[int]]:
    """For each position the positions of its near-duplicate group, as the split has it."""
    groups = Groups(len(cards))
    for i, j in pairs([question_shingles(card) for card in cards], config.question_jaccard):
        groups.join(i, j)
    members: dict[int, list[int]] = {}
    for position in range(len(cards)):
        members.setdefault(groups.find(position), []).append(position)
    return [members[groups.find(position)] for position in range(len(cards))]
