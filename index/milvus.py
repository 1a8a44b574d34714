"""The vectors of an index in Milvus: the only module that knows it.

`milvus-lite`, a folder on this disk, and a cluster have one interface: the URI decides. The cards,
their words and the judgement stay in the index folder, which each replica has a copy of; only the
vectors move. A collection belongs to one generation of one index and never changes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from index.errors import ExpectedError, IndexMissingError
from index.filters import Mask
from index.manifest import Manifest
from index.store import EXACT_LIMIT, Vectors

_BATCH = 1_000  # vectors in one request
_FEW = 4_096  # positions that a filter may name
_MOST = 16_384  # hits that Milvus gives at most
_FIELD = "embedding"
_GRAPH = {"index_type": "HNSW", "M": 32, "efConstruction": 120}


class MilvusStore:
    """Vectors of one generation, searched where they are; in the place of `index.store.Store`."""

    def __init__(self, uri: str, record: Manifest) -> None:
        """Open the collection of an index.

        Raises:
            IndexMissingError: there is none, or not the whole of it.
            ExpectedError: Milvus cannot be reached, or its client is not installed.
        """
        self.dimension = record.embedder.dimension
        self._name = collection_of(record)
        place = _place(uri)
        advice = f"fill it with 'python -m index publish --vectors {place} --index DIR'"
        with _reached(uri):
            client = _client(uri)
            if not client.has_collection(self._name):
                raise IndexMissingError(f"no collection {self._name!r} at {place}: {advice}")
            self.llama_store = _opened(uri, self._name, self.dimension)
            client.load_collection(self._name)
            counted = client.query(self._name, filter="", output_fields=["count(*)"])
            self.size = int(counted[0]["count(*)"])
            if self.size != record.cards:
                raise IndexMissingError(
                    f"the collection {self._name!r} at {place} holds {self.size:,} of "
                    f"{record.cards:,} vectors: {advice}"
                )
        self._uri = uri
        self._client = client

    def nearest(
        self, vector: Sequence[float], depth: int, allowed: Mask | None = None
    ) -> list[tuple[int, float]]:
        """As `Store.nearest`: positions and cosines of the nearest, the nearest first."""
        if allowed is None:
            return self._search(vector, min(depth, _MOST))
        depth = min(depth, held := int(np.count_nonzero(allowed)))
        if not depth:
            return []
        if held > _FEW:  # most of what is near is allowed: look a little wider, then leave out
            wide = min(_MOST, 2 * depth * self.size // held)
            found = [pair for pair in self._search(vector, wide) if allowed[pair[0]]]
            if len(found) >= depth:
                return found[:depth]
        found = []
        positions = np.flatnonzero(allowed)
        for start in range(0, held, _FEW):
            names = ", ".join(f'"{i}"' for i in positions[start : start + _FEW])
            found += self._search(vector, depth, f"id in [{names}]")
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:depth]

    def vectors_of(self, position: int) -> Vectors:
        """The vector at a position, (dimension,)."""
        with _reached(self._uri):
            (row,) = self._client.get(self._name, ids=[str(position)], output_fields=[_FIELD])
        return np.asarray(row[_FIELD], dtype=np.float32)

    def _search(
        self, vector: Sequence[float], depth: int, only: str = ""
    ) -> list[tuple[int, float]]:
        query = VectorStoreQuery(query_embedding=list(vector), similarity_top_k=depth)
        with _reached(self._uri):
            found = self.llama_store.query(query, string_expr=only)
        pairs = zip(found.ids or [], found.similarities or [], strict=True)
        return [(int(i), float(cosine)) for i, cosine in pairs]


def collection_of(record: Manifest) -> str:
    """The collection's name: another generation, or another index, has another one."""
    return f"medcards_{record.generation}"


def publish(vectors: Vectors, record: Manifest, uri: str) -> str:
    """Write the vectors of an index into a collection of their own; returns its name.

    Who serves an older generation goes on with that one's collection. One that a killed run left
    half filled is refused by its readers, and made anew by the next run.

    Raises:
        ExpectedError: Milvus cannot be reached or written, or its client is not installed.
    """
    name = collection_of(record)
    with _reached(uri):
        store = _opened(uri, name, vectors.shape[1], overwrite=True, exact=len(vectors))
        for start in range(0, len(vectors), _BATCH):
            rows = enumerate(vectors[start : start + _BATCH], start)
            store.add([TextNode(id_=str(i), text="", embedding=row.tolist()) for i, row in rows])
        _client(uri).flush(name)
    return name


def _opened(uri: str, name: str, dimension: int, overwrite: bool = False, exact: int = 0) -> Any:
    try:
        from llama_index.vector_stores.milvus import MilvusVectorStore
    except ImportError as error:
        raise _not_installed(error) from error
    kind = {"index_type": "FLAT"} if exact <= EXACT_LIMIT else _GRAPH
    return MilvusVectorStore(
        uri=uri,
        collection_name=name,
        dim=dimension,
        similarity_metric="IP",  # of unit vectors: the cosine
        embedding_field=_FIELD,
        overwrite=overwrite,
        index_config=kind,
        batch_size=_BATCH,
        consistency_level="Strong",
        use_async_client=False,
    )


def _client(uri: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise _not_installed(error) from error
    return MilvusClient(uri=uri)


def _not_installed(error: ImportError) -> ExpectedError:
    return ExpectedError(f"vectors in Milvus need {error.name}: pip install 'medcards[scale]'")


def _place(uri: str) -> str:
    """A URI as messages quote it, for they end in logs: without its user and password."""
    return uri.rpartition("@")[2]


@contextlib.contextmanager
def _reached(uri: str) -> Iterator[None]:
    """Whatever the client raises, in one line; it quotes neither the URI's password nor a trace."""
    try:
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        yield
    except (MilvusException, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise ExpectedError(
            f"Milvus at {_place(uri)} does not do what is asked ({told}): expected a "
            "server's http://HOST:19530 or a folder for milvus-lite that ends in .db"
        ) from error
