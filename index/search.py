"""Hybrid search: dense vectors lead, BM25 settles near-ties, and every hit says why it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.cards import Flashcard
from index.filters import Mask
from index.lexical import LexicalIndex
from index.store import Store

# Weight of BM25 against the cosine. A convex combination of scores rather than of ranks (Bruch et
# al., 2023, https://doi.org/10.1145/3596512): equal-weight reciprocal-rank fusion lowers nDCG@10
# below the dense part alone, a small share of the lexical score raises it (docs/benchmarks.md).
LEXICAL_WEIGHT = 0.05
CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Hit:
    """A card found for a query, best first.

    `score` is the cosine between query and card, -1 to 1; `rank_score`, by which hits are
    ordered, adds the lexical share. Ranks count from 1; None where that part did not find it.
    """

    card: Flashcard
    score: float
    rank_score: float
    dense_rank: int | None
    lexical_rank: int | None


class Searcher:
    """Hybrid search over cards whose vectors and words are indexed in the same order."""

    def __init__(self, cards: Sequence[Flashcard], store: Store, words: LexicalIndex) -> None:
        self.cards = cards
        self._store = store
        self._words = words

    def hits(
        self, query: str, vector: Sequence[float], top_k: int, allowed: Mask | None = None
    ) -> list[Hit]:
        """The best cards, at most `top_k`, for a query and its unit vector.

        Args:
            allowed: the cards that may be found, as if the index held no other.
        """
        held = len(self.cards) if allowed is None else int(np.count_nonzero(allowed))
        wanted = min(top_k, held)
        depth = min(max(CANDIDATES, 4 * wanted), held)
        cosines = dict(self._store.nearest(vector, depth, allowed))
        dense = list(cosines)
        scores = self._words.scores(query)
        if allowed is not None:
            scores = np.where(allowed, scores, np.float32(0))
        best = float(scores.max(initial=0.0))
        lexical_order = _top(scores, depth) if best > 0 else []
        unit = np.asarray(vector, dtype=np.float32)
        for i in lexical_order:
            if i not in cosines:
                cosines[i] = float(self._store.vectors_of(i) @ unit)
        dense_ranks = {i: rank for rank, i in enumerate(dense, start=1)}
        lexical_ranks = {i: rank for rank, i in enumerate(lexical_order, start=1)}
        hits = [
            Hit(
                card=self.cards[i],
                score=cosine,
                rank_score=cosine + (LEXICAL_WEIGHT * float(scores[i]) / best if best else 0.0),
                dense_rank=dense_ranks.get(i),
                lexical_rank=lexical_ranks.get(i),
            )
            for i, cosine in cosines.items()
        ]
        hits.sort(key=lambda hit: (-hit.rank_score, hit.card.id))
        best_dense = next((hit for hit in hits[wanted:] if hit.dense_rank == 1), None)
        if best_dense and wanted > 1:  # however many cards repeat the words of the query
            return [*hits[: wanted - 1], best_dense]
        return hits[:wanted]


def _top(scores: np.ndarray[Any, np.dtype[np.float32]], depth: int) -> list[int]:
    """Positions of the highest positive scores, best first; ties by position."""
    depth = min(depth, int(np.count_nonzero(scores > 0)))
    if not depth:
        return []
    # All that reach the last place, not `argpartition`'s choice among those that tie for it.
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    order = np.flatnonzero(scores >= last)
    return [int(i) for i in order[np.lexsort((order, -scores[order]))][:depth]]
