"""Find near-duplicate cards: MinHash candidates, confirmed by the exact Jaccard similarity.

MinHash (Broder, 1997, https://doi.org/10.1109/SEQUEN.1997.666900) rather than embeddings,
because the result decides the split and must be the same on every machine: word hashes are,
the last bits of a neural network are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from index.cards import Flashcard
from index.text import content_words, words

Shingles = frozenset[str]
Signatures = npt.NDArray[np.unsignedinteger[Any]]  # (sets, permutations)

PERMUTATIONS = 64
SHINGLE_WORDS = 3


def question_shingles(card: Flashcard) -> Shingles:
    """The content words of the question: what it asks and about what, in any order."""
    return frozenset(content_words(card.question)) or frozenset(words(card.question))


def answer_shingles(card: Flashcard) -> Shingles:
    """Runs of three words of the answer; shorter answers are one shingle."""
    answer = words(card.answer)
    if len(answer) <= SHINGLE_WORDS:
        return frozenset([" ".join(answer)])
    runs = range(len(answer) - SHINGLE_WORDS + 1)
    return frozenset(" ".join(answer[i : i + SHINGLE_WORDS]) for i in runs)


def jaccard(left: Shingles, right: Shingles) -> float:
    """Size of the intersection over size of the union; 1 for two empty sets."""
    common = len(left & right)
    union = len(left) + len(right) - common
    return common / union if union else 1.0


def pairs(sets: Sequence[Shingles], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of sets whose Jaccard similarity is at least `threshold`.

    Identical sets come as a chain (first with second, second with third ...), which joins them
    all without listing the square of their number. MinHash may miss a pair near the threshold;
    none below it is ever returned.
    """
    by_content: defaultdict[Shingles, list[int]] = defaultdict(list)
    for position, shingles in enumerate(sets):
        by_content[shingles].append(position)
    for members in by_content.values():
        yield from pairwise(members)
    distinct = [content for content in by_content if content]
    if len(distinct) < 2:
        return
    for i, j in _candidates(_signatures(distinct), *_bands(threshold * 0.85)):
        if jaccard(distinct[i], distinct[j]) >= threshold:
            left, right = by_content[distinct[i]][0], by_content[distinct[j]][0]
            yield min(left, right), max(left, right)


def _signatures(sets: Sequence[Shingles]) -> Signatures:
    """MinHash signatures of sets that are not empty.

    A set's signature is the least of its members': each distinct shingle is hashed once, and not
    once in every set that has it.
    """
    from datasketch import MinHash  # half a second, which only a build needs

    rows: dict[str, int] = {}
    members = [[rows.setdefault(shingle, len(rows)) for shingle in content] for content in sets]
    alone = ([shingle.encode()] for shingle in rows)
    made = MinHash.generator(alone, num_perm=PERMUTATIONS, seed=1)
    of_shingle = np.stack([signature.hashvalues for signature in made])
    return np.stack([of_shingle[of_set].min(axis=0) for of_set in members])


def _candidates(signatures: Signatures, bands: int, rows: int) -> Iterator[tuple[int, int]]:
    """Pairs of signatures that agree in all rows of some band.

    The same as `MinHashLSH` finds, but for all at once: it spends most of its time on storage.
    """
    bounds = [slice(start, start + rows) for start in range(0, bands * rows, rows)]
    parts = [np.ascontiguousarray(signatures[:, bound]) for bound in bounds]
    keys = [part.view(f"V{rows * part.itemsize}").ravel().tolist() for part in parts]
    buckets: list[defaultdict[bytes, list[int]]] = [defaultdict(list) for _ in range(bands)]
    for position, of_position in enumerate(zip(*keys, strict=True)):
        alike: set[int] = set()
        for bucket, key in zip(buckets, of_position, strict=True):
            alike.update(members := bucket[key])
            members.append(position)
        yield from ((other, position) for other in alike)


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows for which pairs are found least often wrongly, either way.

    What `MinHashLSH` chooses for a threshold, which takes it 0.7 s.
    """
    similarity = (np.arange(2000) + 0.5) / 2000
    below = similarity < threshold
    best, chosen = np.inf, (1, PERMUTATIONS)
    for bands in range(1, PERMUTATIONS + 1):
        for rows in range(1, PERMUTATIONS // bands + 1):
            missed = (1 - similarity**rows) ** bands
            error = float(np.where(below, 1 - missed, missed).sum())
            if error < best:
                best, chosen = error, (bands, rows)
    return chosen


class Groups:
    """Disjoint sets over the positions 0 to n - 1 (union-find with path halving)."""

    def __init__(self, n: int) -> None:
        self._parent: npt.NDArray[np.int64] = np.arange(n)

    def find(self, i: int) -> int:
        """The smallest member of the set of `i`."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    def join(self, i: int, j: int) -> None:
        """Unite the sets of `i` and `j`."""
        i, j = self.find(i), self.find(j)
        self._parent[max(i, j)] = min(i, j)
