from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import similar
from index.cards import make_card
from index.similar import PERMUTATIONS, Groups, answer_shingles, jaccard, pairs, question_shingles


def test_shingles() -> None:
    card = make_card("What is the cause of gout?", "Uric acid in the joints.")
    assert question_shingles(card) == {"cause", "gout"}
    assert answer_shingles(card) == {"uric acid in", "acid in the", "in the joints"}
    assert answer_shingles(make_card("question", "Uric acid")) == {"uric acid"}
    assert question_shingles(make_card("What is it?", "x")) == {"what", "is", "it"}


def test_jaccard() -> None:
    one, two = frozenset("abc"), frozenset("bcd")
    assert jaccard(one, two) == 0.5
    assert jaccard(one, one) == jaccard(frozenset(), frozenset()) == 1
    assert jaccard(one, frozenset()) == 0


def test_equal_sets_come_as_a_chain() -> None:
    same = frozenset(["gout"])
    assert list(pairs([same, frozenset(["flu"]), same, same], 0.9)) == [(0, 2), (2, 3)]


def test_none_and_one() -> None:
    assert list(pairs([], 0.5)) == []
    assert list(pairs([frozenset(["a"])], 0.5)) == []


word_sets = st.lists(
    st.frozensets(st.sampled_from([f"word{i}" for i in range(14)]), min_size=1, max_size=9),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(word_sets, st.sampled_from([0.3, 0.67, 1.0]))
def test_no_pair_below_the_threshold(sets: list[frozenset[str]], threshold: float) -> None:
    for left, right in pairs(sets, threshold):
        assert left < right
        assert jaccard(sets[left], sets[right]) >= threshold


@settings(max_examples=25, deadline=None)
@given(word_sets, st.randoms(use_true_random=False))
def test_the_same_groups_in_any_order(sets: list[frozenset[str]], chance: object) -> None:
    order = list(range(len(sets)))
    chance.shuffle(order)  # type: ignore[attr-defined]

    def grouped(positions: list[int]) -> set[frozenset[int]]:
        groups = Groups(len(positions))
        for i, j in pairs([sets[p] for p in positions], 0.67):
            groups.join(i, j)
        members: dict[int, set[int]] = {}
        for i, position in enumerate(positions):
            members.setdefault(groups.find(i), set()).add(position)
        return {frozenset(group) for group in members.values()}

    assert grouped(order) == grouped(list(range(len(sets))))


def test_groups_are_found_by_their_smallest_member() -> None:
    groups = Groups(6)
    groups.join(5, 3)
    groups.join(4, 5)
    groups.join(1, 4)
    assert [groups.find(i) for i in range(6)] == [0, 1, 2, 1, 1, 1]


@pytest.mark.parametrize("threshold", [0.3, 0.5695, 0.7225, 0.9])
def test_bands_are_those_of_datasketch(threshold: float) -> None:
    from datasketch import MinHashLSH

    theirs = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    assert similar._bands(threshold) == (theirs.b, theirs.r)


@settings(max_examples=20, deadline=None)
@given(word_sets)
def test_candidates_are_those_of_datasketch(sets: list[frozenset[str]]) -> None:
    from datasketch import MinHash, MinHashLSH

    distinct = list(dict.fromkeys(sets))
    made = MinHash.bulk([[w.encode() for w in s] for s in distinct], num_perm=64, seed=1)
    lsh = MinHashLSH(num_perm=64, params=(12, 5))
    theirs = set()
    for position, signature in enumerate(made):
        theirs |= {(other, position) for other in lsh.query(signature)}
        lsh.insert(position, signature)
    signatures = np.array([m.hashvalues for m in made], dtype=np.uint64).reshape(-1, 64)
    ours = list(similar._candidates(signatures, 12, 5))
    assert len(ours) == len(set(ours))
    assert set(ours) == theirs
