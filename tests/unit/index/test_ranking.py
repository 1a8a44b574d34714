"""Retrieval metrics by hand and against scikit-learn or a count."""

from __future__ import annotations

import random

import numpy as np
import pytest

from index.ranking import ndcg_at, recall_at, reciprocal_rank


def test_by_hand() -> None:
    ranked = ["a", "b", "c", "d"]
    assert recall_at(1, ranked, {"b"}) == 0
    assert recall_at(2, ranked, {"b", "d"}) == 0.5
    assert recall_at(1, ranked, {"a", "b"}) == 1  # more than one cannot stand first
    assert reciprocal_rank(ranked, {"c"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranked, {"z"}) == 0
    assert ndcg_at(10, ranked, {"a"}) == 1
    assert ndcg_at(10, ranked, {"b"}) == pytest.approx(1 / np.log2(3))


@pytest.mark.parametrize("measure", [lambda r, i: recall_at(3, r, i), reciprocal_rank])
def test_nothing_relevant_is_no_measurement(measure: object) -> None:
    assert measure(["a"], set()) is None  # type: ignore[operator]
    assert ndcg_at(10, ["a"], set()) is None


def test_ndcg_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import ndcg_score

    rng = random.Random(0)
    for _ in range(100):
        ids = [str(i) for i in range(15)]
        rng.shuffle(ids)
        relevant = set(rng.sample(ids, rng.randint(1, 5)))
        truth = np.array([[float(i in relevant) for i in ids]])
        scores = np.array([[float(len(ids) - place) for place in range(len(ids))]])
        expected = ndcg_score(truth, scores, k=10)
        assert ndcg_at(10, ids, relevant) == pytest.approx(expected)


def test_reciprocal_rank_agrees_with_a_count() -> None:
    rng = random.Random(0)
    for _ in range(50):
        ids = [str(i) for i in range(8)]
        rng.shuffle(ids)
        wanted = rng.choice(ids)
        assert reciprocal_rank(ids, {wanted}) == 1 / (ids.index(wanted) + 1)
