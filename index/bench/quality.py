"""What each way of searching finds: stock and tuned vectors, BM25, and their fusions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

from index import ranking
from index.bench.sets import QuestionSet
from index.embedder import embed, embed_cards
from index.lexical import LexicalIndex
from index.search import Searcher
from index.store import Store, Vectors

DEPTH = 10
MEASURES: Mapping[str, Callable[[Sequence[str], frozenset[str]], float | None]] = {
    "recall@1": lambda ranked, right: ranking.recall_at(1, ranked, right),
    "recall@5": lambda ranked, right: ranking.recall_at(5, ranked, right),
    "recall@10": lambda ranked, right: ranking.recall_at(10, ranked, right),
    "MRR@10": ranking.reciprocal_rank,
    "nDCG@10": lambda ranked, right: ranking.ndcg_at(10, ranked, right),
}
_FUSED_DEPTH = 100  # of each ranking that reciprocal-rank fusion reads
_RRF = 60.0  # Cormack et al., 2009, https://doi.org/10.1145/1571941.1572114

Figures = dict[str, float]
Scores = np.ndarray[Any, np.dtype[np.float32]]


def document_vectors(model: BaseEmbedding, asked: QuestionSet) -> Vectors:
    """Vectors as the index makes them; of the answer alone where the documents are answers."""
    if any(card.question for card in asked.documents):
        return embed_cards(model, asked.documents)
    return embed(model, [card.answer for card in asked.documents])


def words_of(asked: QuestionSet) -> LexicalIndex:
    """BM25 over the same texts."""
    return LexicalIndex([card.text.strip() for card in asked.documents])


def dense(queries: Vectors, documents: Vectors, depth: int = DEPTH) -> list[list[int]]:
    """Positions by cosine, exactly."""
    return [_best(row @ documents.T, depth) for row in queries]


def bm25(asked: QuestionSet, words: LexicalIndex, depth: int = DEPTH) -> list[list[int]]:
    """Positions by BM25; only those that share a word with the question."""
    return [_best(words.scores(question), depth, above=0) for question in asked.questions]


def reciprocal_rank_fusion(*rankings: Sequence[Sequence[int]]) -> list[list[int]]:
    """Equal-weight fusion of rankings, each a list of positions for every question."""
    fused = []
    for lists in zip(*rankings, strict=True):
        scores: dict[int, float] = {}
        for ranked in lists:
            for place, i in enumerate(ranked, start=1):
                scores[i] = scores.get(i, 0.0) + 1 / (_RRF + place)
        fused.append(sorted(scores, key=lambda i: (-scores[i], i))[:DEPTH])
    return fused


def shipped(
    asked: QuestionSet, queries: Vectors, documents: Vectors, words: LexicalIndex
) -> list[list[int]]:
    """What `Searcher` gives: the code that serves."""
    searcher = Searcher(asked.documents, Store(documents), words)
    place = {card.id: i for i, card in enumerate(asked.documents)}
    return [
        [place[hit.card.id] for hit in searcher.hits(question, vector.tolist(), DEPTH)]
        for question, vector in zip(asked.questions, queries, strict=True)
    ]


def compare(
    asked: QuestionSet, stock: tuple[Vectors, Vectors], tuned: tuple[Vectors, Vectors]
) -> dict[str, Figures]:
    """The figures of every system on a set.

    Args:
        stock, tuned: the vectors of the questions and of the documents by either embedder.
    """
    words = words_of(asked)
    by_words = bm25(asked, words, _FUSED_DEPTH)
    systems: dict[str, list[list[int]]] = {"BM25": by_words}
    for name, (queries, documents) in (("stock", stock), ("tuned", tuned)):
        deep = dense(queries, documents, _FUSED_DEPTH)
        systems[f"{name}, dense"] = deep
        systems[f"{name} + BM25 by equal-weight RRF"] = reciprocal_rank_fusion(deep, by_words)
        systems[f"{name} + BM25, shipped fusion"] = shipped(asked, queries, documents, words)
    return {name: figures(ranked, asked.right) for name, ranked in systems.items()}


def figures(ranked: Sequence[Sequence[int]], right: Sequence[frozenset[int]]) -> Figures:
    """The mean of each measure over the questions."""
    named = [
        ([str(i) for i in found[:DEPTH]], frozenset(map(str, wanted)))
        for found, wanted in zip(ranked, right, strict=True)
    ]
    return {
        name: float(np.mean([measure(found, wanted) or 0.0 for found, wanted in named]))
        for name, measure in MEASURES.items()
    }


def _best(scores: Scores, depth: int, above: float = -np.inf) -> list[int]:
    """Positions of the highest scores, best first, ties by position."""
    depth = min(depth, len(scores))
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    order = np.flatnonzero((scores >= last) & (scores > above))
    return [int(i) for i in order[np.lexsort((order, -scores[order]))][:depth]]
