"""An index folder as a LlamaIndex retriever: checked against its manifest, then loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from index import cards as card_files
from index import health, lexical, manifest, relevance, rerank, split
from index.cards import Flashcard, deck_hash
from index.embedder import Embedder, embed_cards, open_embedder
from index.errors import IndexDamagedError, IndexMismatchError
from index.filters import CardFilter
from index.health import HealthProbe
from index.manifest import Manifest
from index.relevance import Judgement, Relevance
from index.rerank import Reranker, open_reranker
from index.search import Hit, Searcher
from index.split import Split
from index.store import Store
from index.text import clean

_CHUNK = 64  # cards between two reports of progress


class CardRetriever(BaseRetriever):
    """Hybrid retrieval over one generation of an index folder."""

    def __init__(
        self,
        searcher: Searcher,
        embedder: Embedder,
        probe: HealthProbe,
        relevance: Relevance,
        record: Manifest,
        top_k: int = 5,
        reranker: Reranker | None = None,
    ) -> None:
        super().__init__()
        self.manifest = record
        self.cards = searcher.cards
        self.embed_model = embedder.model
        self.probe = probe
        self.relevance = relevance
        self.top_k = top_k
        self.reranker = reranker
        self.folder: Path | None = None  # of the index, where it was opened from one
        self._searcher = searcher
        self._filter = CardFilter(searcher.cards)

    def hits(
        self,
        query: str,
        top_k: int | None = None,
        *,
        topics: frozenset[str] | None = None,
        decks: frozenset[str] | None = None,
    ) -> list[Hit]:
        """The best cards for a query, at most `top_k` (default: the retriever's own).

        Args:
            topics: take only cards of one of these topics (`filters.UNTOLD`: those without one);
                None takes all.
            decks: take only cards of one of these decks; None takes all.
        """
        return self._found(clean(query), top_k, topics, decks)[0]

    def judged(
        self,
        query: str,
        top_k: int | None = None,
        *,
        topics: frozenset[str] | None = None,
        decks: frozenset[str] | None = None,
    ) -> tuple[list[Hit], Judgement]:
        """The best cards, as `hits` finds them, and whether they answer the query."""
        query = clean(query)  # as the cards were: no lone surrogates, invisible or control codes
        wanted = top_k or self.top_k
        # The judgement was fitted on so many hits: fewer on show must not change it.
        hits, vector = self._found(query, max(relevance.HITS, wanted), topics, decks)
        health = self.probe.score(vector)
        return hits[:wanted], self.relevance.judge(query, health, hits, len(self.cards))

    def _found(
        self,
        query: str,
        top_k: int | None,
        topics: frozenset[str] | None,
        decks: frozenset[str] | None,
    ) -> tuple[list[Hit], list[float]]:
        """The hits for a clean query, and its vector."""
        vector = self.embed_model.get_query_embedding(query)
        allowed = self._filter.mask(topics, decks)
        wanted = top_k or self.top_k
        if self.reranker is None:
            return self._searcher.hits(query, vector, wanted, allowed), vector
        hits = self._searcher.hits(query, vector, max(rerank.DEPTH, wanted), allowed)
        return self.reranker.order(query, hits)[:wanted], vector

    @property
    def shared(self) -> object:
        """What a copy of this retriever has in common with it: one object for one set of cards."""
        return self._searcher

    def topics(self) -> dict[str, int]:
        """Cards by topic, the most frequent first; those without one under `filters.UNTOLD`."""
        return self._filter.topics()

    def decks(self) -> dict[str, int]:
        """Cards by deck, the largest first."""
        return self._filter.decks()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=node_of(hit.card), score=hit.score)
            for hit in self.hits(query_bundle.query_str)
        ]


def node_of(card: Flashcard) -> TextNode:
    """A card as a LlamaIndex node: the text is the card's, the fields are its metadata."""
    metadata = {
        "question": card.question,
        "answer": card.answer,
        "topic": card.topic,
        "source": card.source,
        "url": card.url,
        "deck": card.deck,
    }
    keys = list(metadata)
    return TextNode(
        id_=card.id,
        text=card.text,
        metadata=metadata,
        excluded_embed_metadata_keys=keys,
        excluded_llm_metadata_keys=keys,
    )


def open_index(
    folder: Path,
    embedder: Embedder | None = None,
    top_k: int = 5,
    reranker: str | None = None,
    vectors: str | None = None,
) -> CardRetriever:
    """Check an index folder against its manifest, then load it.

    Args:
        embedder: an embedder that is loaded already; by default the one that the index names.
        reranker: a cross-encoder by name or folder; by default nothing is reranked.
        vectors: the URI of a Milvus that holds the vectors; by default they are the folder's.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index in `folder`.
        IndexMismatchError: the embedder is not the one that made the vectors.
        EmbedderUnavailableError: the index's embedder cannot be loaded.
        ExpectedError: the reranker cannot be loaded.
    """
    record = manifest.read(folder)
    while True:
        try:
            opened = _open(folder, record, embedder, top_k, vectors)
        except IndexDamagedError:
            latest = manifest.read(folder)
            if latest.generation == record.generation:
                raise
            record = latest  # a build replaced the index while it was being read
        else:
            opened.folder = folder
            opened.reranker = open_reranker(reranker) if reranker else None
            return opened


def _open(
    folder: Path, record: Manifest, embedder: Embedder | None, top_k: int, vectors: str | None
) -> CardRetriever:
    manifest.verify(record, folder)
    embedder = embedder or open_embedder(record.embedder.name)
    if embedder.record != record.embedder:
        raise IndexMismatchError(
            f"the index in {str(folder)!r} was built with {_name(record.embedder)}, the embedder "
            f"here is {_name(embedder.record)}: rebuild it with 'python -m index build'"
        )
    generation = folder / record.generation
    try:
        with (generation / manifest.CARDS).open(encoding="utf-8") as lines:
            cards = list(card_files.load(lines))
        store = _store(generation, record, vectors)
        words = lexical.LexicalIndex(generation / manifest.BM25)
        probe = health.load(generation / manifest.HEALTH)
        judge = relevance.load((generation / manifest.RELEVANCE).read_text(encoding="utf-8"))
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        # Swept by a build since, refused by FAISS, or not what a build writes.
        raise manifest.damaged(generation, str(error) or repr(error), folder) from error
    if not len(cards) == store.size == record.cards:
        raise manifest.damaged(
            generation / manifest.VECTORS,
            f"{store.size:,} vectors for {len(cards):,} cards",
            folder,
        )
    searcher = Searcher(cards, store, words)
    return CardRetriever(searcher, embedder, probe, judge, record, top_k)


def _store(generation: Path, record: Manifest, vectors: str | None) -> Store:
    if vectors is None:
        return Store(generation / manifest.VECTORS)
    from index.milvus import MilvusStore

    store: Any = MilvusStore(vectors, record)
    return cast(Store, store)  # what a `Searcher` asks of it


def retriever_over(
    cards: Sequence[Flashcard],
    base: CardRetriever,
    name: str = "deck",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CardRetriever:
    """A retriever over other cards, all in memory: for a deck that one person brings along.

    What "close enough to answer" means is taken from `base`: both are compared by the
    same embedder, and a small deck has too few cards to learn it from.

    Args:
        cards: at least one, cleaned.
        base: an open index, whose embedder and judgement are used.
        name: the deck's, for the manifest.
        progress: told how many cards of how many have been embedded.
    """
    vectors = []
    progress(0, len(cards))
    for start in range(0, len(cards), _CHUNK):
        vectors.append(embed_cards(base.embed_model, cards[start : start + _CHUNK]))
        progress(min(start + _CHUNK, len(cards)), len(cards))
    words = lexical.LexicalIndex([card.text for card in cards])
    searcher = Searcher(cards, Store(np.concatenate(vectors)), words)
    made_of = deck_hash(cards)
    record = base.manifest.model_copy(
        update={
            "generation": made_of[:12],
            "cards": len(cards),
            "deck_hash": made_of,
            "decks": {name: len(cards)},
            "topics": dict(Counter(card.topic for card in cards if card.topic).most_common()),
            "files": {},
        }
    )
    embedder = Embedder(base.embed_model, base.manifest.embedder)
    return CardRetriever(
        searcher, embedder, base.probe, base.relevance, record, base.top_k, base.reranker
    )


def open_split(folder: Path) -> Split:
    """The split of the index in `folder`, after checking its files.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index in `folder`.
    """
    record = manifest.read(folder)
    manifest.verify(record, folder)
    path = folder / record.generation / manifest.SPLIT
    try:
        return split.load(path.read_text(encoding="utf-8"))
    except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise manifest.damaged(path, str(error) or repr(error), folder) from error


def _name(record: manifest.EmbedderRecord) -> str:
    return f"{record.name} ({record.revision}, {record.dimension} dimensions)"
