"""The FAISS index: the only module that imports faiss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery
from llama_index.vector_stores.faiss import FaissVectorStore

from index.filters import Mask

_faiss: Any = faiss  # its type information leaves out what is made by SWIG
Vectors = np.ndarray[Any, np.dtype[np.float32]]  # unit length, (cards, dimension)

_MAPPED = faiss.IO_FLAG_MMAP_IFC

METRIC = "inner product"
EXACT_LIMIT = 200_000  # up to here a scan of all vectors answers within milliseconds
_LISTS = 4.0  # times the root of the number of vectors, as FAISS's guidelines have it
_PROBE = 1 / 16  # of the lists are read for a query
_TRAINED_ON = 40  # vectors for each list
_ITERATIONS = 8  # of k-means


def structure(cards: int) -> str:
    """The kind of FAISS index for a number of cards.

    Above the limit inverted lists rather than a graph (HNSW): they are built in a fraction of its
    time, the same from the same vectors, and can be scanned whole where a filter holds few cards.
    """
    return "flat" if cards <= EXACT_LIMIT else "ivf"


def parameters(cards: int) -> dict[str, int]:
    """How a large index is divided and how much of it a query reads; nothing for a scan."""
    if structure(cards) == "flat":
        return {}
    lists = round(_LISTS * cards**0.5)
    return {"lists": lists, "probed": math.ceil(lists * _PROBE)}


def write(vectors: Vectors, path: Path) -> str:
    """Build the index of unit vectors, write it, and return its structure."""
    index = _built(vectors)
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # all that FAISS says of a disk that refuses
        raise OSError(f"FAISS could not write {path.name}") from error
    return structure(len(vectors))


def _built(vectors: Vectors) -> Any:
    dimension = vectors.shape[1]
    index: Any = faiss.IndexFlatIP(dimension)
    if structure(len(vectors)) == "ivf":
        chosen = parameters(len(vectors))
        centres = index
        metric = faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexIVFFlat(centres, dimension, chosen["lists"], metric)
        index.cp.niter = _ITERATIONS
        index.cp.max_points_per_centroid = _TRAINED_ON
        index.cp.min_points_per_centroid = 1  # it would warn of fewer than 39
        index.cp.spherical = True
        index.nprobe = chosen["probed"]
        index.train(vectors)
    index.add(vectors)
    if structure(len(vectors)) == "ivf":
        index.make_direct_map()  # from a position to its vector
    return index


class Store:
    """Vectors opened for search: a FAISS file, mapped into memory, or vectors in memory."""

    def __init__(self, source: Path | Vectors) -> None:
        self._index: Any = (
            faiss.read_index(str(source), _MAPPED) if isinstance(source, Path) else _built(source)
        )
        self.vectors_of = self._index.reconstruct  # position -> (dimension,)
        self._lists = isinstance(self._index, faiss.IndexIVF)
        self.llama_store = FaissVectorStore(faiss_index=self._index)

    @property
    def size(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def nearest(
        self, vector: Sequence[float], depth: int, allowed: Mask | None = None
    ) -> list[tuple[int, float]]:
        """Positions and cosines of the `depth` nearest to a unit vector, the nearest first.

        Args:
            allowed: the positions that may be found; fewer than `depth` come only where it holds
                fewer.
        """
        if allowed is None:
            found = self.llama_store.query(
                VectorStoreQuery(query_embedding=list(vector), similarity_top_k=depth)
            )
            pairs = zip(found.ids or [], found.similarities or [], strict=True)
            return [(int(i), float(cosine)) for i, cosine in pairs]
        depth = min(depth, held := int(np.count_nonzero(allowed)))
        if not depth:
            return []
        selector = _faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        row = np.asarray([vector], dtype=np.float32)
        if not self._lists:
            search = _faiss.SearchParameters(sel=selector)
            return _pairs(*self._index.search(row, depth, params=search))
        if held > EXACT_LIMIT:
            search = _faiss.SearchParametersIVF(sel=selector, nprobe=self._index.nprobe)
            chosen = _pairs(*self._index.search(row, depth, params=search))
            if len(chosen) == depth:
                return chosen
        # The lists near the query may hold few that are allowed: read all lists.
        search = _faiss.SearchParametersIVF(sel=selector, nprobe=self._index.nlist)
        return _pairs(*self._index.search(row, depth, params=search))

    def all_vectors(self) -> Vectors:
        """Every stored vector, in order, (cards, dimension)."""
        vectors: Vectors = self._index.reconstruct_n(0, self.size)
        return vectors


def _pairs(cosines: Vectors, positions: Any) -> list[tuple[int, float]]:
    found = zip(positions[0].tolist(), cosines[0].tolist(), strict=True)
    return [(i, cosine) for i, cosine in found if i >= 0]  # -1: nothing more was found
