"""The deck without a card: what a question meets when the card that answers it is not there.

With a card go its near-duplicates, by the groups of the split, and the cards that ask the very
same question. What is left may still answer now and then: that share is the ceiling of any
refusal measured so (docs/benchmarks.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index import cards as card_files
from index import health, lexical, manifest
from index.cards import Flashcard
from index.config import SplitConfig
from index.embedder import Embedder, open_embedder
from index.health import HealthProbe
from index.search import Hit, Searcher
from index.similar import Groups, pairs, question_shingles
from index.store import Store
from index.text import clean, fold


@dataclass(frozen=True)
class Found:
    """What was found for a question, before any judgement.

    `answers` holds the ids of the cards that answer it: the question's own and those of the very
    same question. `health` is the score of `HealthProbe`.
    """

    question: str
    hits: list[Hit]
    health: float
    answers: frozenset[str]

    @property
    def right(self) -> bool:
        """Whether the best card is one of those."""
        return bool(self.hits) and self.hits[0].card.id in self.answers


class LeaveOut:
    """Searches cards with or without the one that a question belongs to."""

    def __init__(
        self, searcher: Searcher, embedder: Embedder, probe: HealthProbe, config: SplitConfig
    ) -> None:
        self.cards: Sequence[Flashcard] = searcher.cards
        self._searcher = searcher
        self._model = embedder.model
        self._probe = probe
        self._groups = Groups(len(self.cards))
        shingles = [question_shingles(card) for card in self.cards]
        for i, j in pairs(shingles, config.question_jaccard):
            self._groups.join(i, j)
        self._same: defaultdict[str, list[int]] = defaultdict(list)
        for i, card in enumerate(self.cards):
            self._same[fold(card.question)].append(i)
        for first, *rest in self._same.values():
            for i in rest:
                self._groups.join(first, i)
        self._members: defaultdict[int, list[int]] = defaultdict(list)
        for i in range(len(self.cards)):
            self._members[self._groups.find(i)].append(i)
        self._position = {card.id: i for i, card in enumerate(self.cards)}

    def found(
        self, question: str, card_id: str | None = None, *, removed: bool = False, top_k: int = 5
    ) -> Found:
        """What the search finds.

        Args:
            card_id: the card that the question belongs to; None for a question of no card.
            removed: take that card and its near-duplicates out of the deck.
        """
        question = clean(question)
        allowed = None
        answers: list[int] = []
        if card_id is not None:
            position = self._position[card_id]
            # Not the whole group: "When to see a doctor about hives?" and the same about another
            # illness are near-duplicates to the split, and no answer to each other.
            answers = self._same[fold(self.cards[position].question)]
            if removed:
                allowed = np.ones(len(self.cards), dtype=np.bool_)
                allowed[self._members[self._groups.find(position)]] = False
        vector = self._model.get_query_embedding(question)
        hits = self._searcher.hits(question, vector, top_k, allowed)
        ids = frozenset(self.cards[i].id for i in answers)
        return Found(question, hits, self._probe.score(vector), ids)


def open_leave_out(folder: Path) -> LeaveOut:
    """The cards of an index folder, whatever judgement is stored with them.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index in `folder`.
    """
    record = manifest.read(folder)
    manifest.verify(record, folder)
    generation = folder / record.generation
    with (generation / manifest.CARDS).open(encoding="utf-8") as lines:
        cards = list(card_files.load(lines))
    searcher = Searcher(
        cards,
        Store(generation / manifest.VECTORS),
        lexical.LexicalIndex(generation / manifest.BM25),
    )
    return LeaveOut(
        searcher,
        open_embedder(record.embedder.name),
        health.load(generation / manifest.HEALTH),
        SplitConfig(**record.config.get("split", {})),
    )
