"""The FAISS index: the only module that imports faiss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from llama_index.vector_stores.faiss import FaissVectorStore

Vectors = np.ndarray[Any, np.dtype[np.float32]]  # unit length, (cards, dimension)

METRIC = "inner product"
EXACT_LIMIT = 200_000  # up to here a scan of all vectors answers within milliseconds
_HNSW_NEIGHBOURS = 32
_HNSW_BUILD_DEPTH = 120
_HNSW_SEARCH_DEPTH = 128


def structure(cards: int) -> str:
    """The kind of FAISS index for a number of cards."""
    return "flat" if cards <= EXACT_LIMIT else "hnsw"


def write(vectors: Vectors, path: Path) -> str:
    """Build the index of unit vectors, write it, and return its structure."""
    kind = structure(len(vectors))
    dimension = vectors.shape[1]
    index: Any = faiss.IndexFlatIP(dimension)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, _HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_BUILD_DEPTH
        index.hnsw.efSearch = _HNSW_SEARCH_DEPTH
    index.add(vectors)
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # all that FAISS says of a disk that refuses
        raise OSError(f"FAISS could not write {path.name}") from error
    return kind


class Store:
    """A FAISS file opened for search, memory-mapped where its structure allows it."""

    def __init__(self, path: Path) -> None:
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        self.vectors_of = self._index.reconstruct  # position -> (dimension,)
        self.llama_store = FaissVectorStore(faiss_index=self._index)

    @property
    def size(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def all_vectors(self) -> Vectors:
        """Every stored vector, in order, (cards, dimension)."""
        vectors: Vectors = self._index.reconstruct_n(0, self.size)
        return vectors
