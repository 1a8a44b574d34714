"""Vectors in large numbers that lie as real ones do, to measure an index of a size yet to come.

Uniform noise would be the wrong test: all of its points are equally far from each other, which no
text's vectors are, and a graph finds its way among them badly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from index.store import Vectors

_BASES = 10_000  # real vectors that the others are made from
_NEIGHBOURS = 10
_SPREAD = 0.5  # of 0.3, 0.5, 0.7 and 1 the nearest to the cosines of a real deck of 27,286 cards
_BLOCK = 20_000


def vectors_like(real: Vectors, n: int, seed: int) -> Vectors:
    """`n` unit vectors, (n, dimension), drawn around `real` ones.

    Each is a real vector moved part of the way to one of its nearest neighbours and then by the
    difference of two other neighbours, so that clusters and the directions within them are those
    of the real vectors (as SMOTE does it, Chawla et al., 2002, https://doi.org/10.1613/jair.953).
    """
    return np.concatenate(list(blocks_like(real, n, seed)))


def blocks_like(real: Vectors, n: int, seed: int) -> Iterator[Vectors]:
    """The same in pieces, for indexes that would not fit into memory twice."""
    chance = np.random.default_rng(seed)
    bases = real[chance.permutation(len(real))[:_BASES]]
    near = _neighbours(bases)
    for start in range(0, n, _BLOCK):
        size = min(_BLOCK, n - start)
        base, ends = chance.integers(len(bases), size=(2, size))
        to, away = chance.integers(near.shape[1], size=(2, size))
        share = chance.random((size, 1), dtype=np.float32)
        drawn = bases[base] + share * (bases[near[base, to]] - bases[base])
        drawn += _SPREAD * (bases[near[ends, away]] - bases[ends])
        yield drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _neighbours(vectors: Vectors) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Positions of each vector's nearest neighbours, itself left out, (vectors, neighbours)."""
    wanted = min(_NEIGHBOURS, len(vectors) - 1)
    found = []
    for start in range(0, len(vectors), 1000):
        cosines = vectors[start : start + 1000] @ vectors.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -2
        found.append(np.argpartition(-cosines, wanted - 1, axis=1)[:, :wanted])
    return np.concatenate(found)
