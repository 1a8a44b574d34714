"""Find near-duplicate cards: MinHash candidates, confirmed by the exact Jaccard similarity.

MinHash (Broder, 1997, https://doi.org/10.1109/SEQUEN.1997.666900) rather than embeddings,
because the result decides the split and must be the same on every machine: word hashes are,
the last bits of a neural network are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

from index.cards import Flashcard
from index.text import content_words, words

Shingles = frozenset[str]

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
    union = len(left | right)
    return len(left & right) / union if union else 1.0


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
    signatures = MinHash.bulk(
        ([s.encode() for s in sorted(content)] for content in distinct),
        num_perm=PERMUTATIONS,
        seed=1,
    )
    lsh = MinHashLSH(threshold=threshold * 0.85, num_perm=PERMUTATIONS)
    for position, signature in enumerate(signatures):
        for other in sorted(lsh.query(signature)):
            if jaccard(distinct[position], distinct[other]) >= threshold:
                left, right = by_content[distinct[other]][0], by_content[distinct[position]][0]
                yield min(left, right), max(left, right)
        lsh.insert(position, signature, check_duplication=False)


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
