"""An index folder as a LlamaIndex retriever: checked against its manifest, then loaded."""

from __future__ import annotations

from pathlib import Path

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from index import cards as card_files
from index import health, lexical, manifest, relevance, split
from index.cards import Flashcard
from index.embedder import Embedder, open_embedder
from index.errors import IndexDamagedError, IndexMismatchError
from index.health import HealthProbe
from index.manifest import Manifest
from index.relevance import Judgement, Relevance
from index.search import Hit, Searcher
from index.split import Split
from index.store import Store
from index.text import clean


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
    ) -> None:
        super().__init__()
        self.manifest = record
        self.cards = searcher.cards
        self.embed_model = embedder.model
        self.probe = probe
        self.relevance = relevance
        self.top_k = top_k
        self._searcher = searcher

    def hits(self, query: str, top_k: int | None = None) -> list[Hit]:
        """The best cards for a query, at most `top_k` (default: the retriever's own)."""
        return self.judged(query, top_k)[0]

    def judged(self, query: str, top_k: int | None = None) -> tuple[list[Hit], Judgement]:
        """The best cards, and whether they answer the query."""
        query = clean(query)  # as the cards were: no lone surrogates, invisible or control codes
        vector = self.embed_model.get_query_embedding(query)
        hits = self._searcher.hits(query, vector, top_k or self.top_k)
        return hits, self.relevance.judge(query, self.probe.score(vector), hits)

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


def open_index(folder: Path, embedder: Embedder | None = None, top_k: int = 5) -> CardRetriever:
    """Check an index folder against its manifest, then load it.

    Args:
        embedder: an embedder that is loaded already; by default the one that the index names.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index in `folder`.
        IndexMismatchError: the embedder is not the one that made the vectors.
        EmbedderUnavailableError: the index's embedder cannot be loaded.
    """
    record = manifest.read(folder)
    while True:
        try:
            return _open(folder, record, embedder, top_k)
        except IndexDamagedError:
            latest = manifest.read(folder)
            if latest.generation == record.generation:
                raise
            record = latest  # a build replaced the index while it was being read


def _open(folder: Path, record: Manifest, embedder: Embedder | None, top_k: int) -> CardRetriever:
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
        store = Store(generation / manifest.VECTORS)
        words = lexical.LexicalIndex(generation / manifest.BM25)
        probe = health.load(generation / manifest.HEALTH)
        judge = relevance.load((generation / manifest.RELEVANCE).read_text(encoding="utf-8"))
    except (OSError, RuntimeError) as error:  # swept by a build since; FAISS: RuntimeError
        raise manifest.damaged(generation, str(error), folder) from error
    if not len(cards) == store.size == record.cards:
        raise manifest.damaged(
            generation / manifest.VECTORS,
            f"{store.size:,} vectors for {len(cards):,} cards",
            folder,
        )
    searcher = Searcher(cards, store, words)
    return CardRetriever(searcher, embedder, probe, judge, record, top_k)


def open_split(folder: Path) -> Split:
    """The split of the index in `folder`, after checking its files.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index in `folder`.
    """
    record = manifest.read(folder)
    manifest.verify(record, folder)
    return split.load((folder / record.generation / manifest.SPLIT).read_text(encoding="utf-8"))


def _name(record: manifest.EmbedderRecord) -> str:
    return f"{record.name} ({record.revision}, {record.dimension} dimensions)"
