from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import store
from index.cards import make_card
from index.errors import ExpectedError
from index.filters import UNTOLD, CardFilter, resolve
from index.store import Store

CARDS = [
    make_card("What is croup?", "A barking cough.", topic="child", deck="one"),
    make_card("What is gout?", "A painful joint.", topic="joint", deck="one"),
    make_card("What is colic?", "Crying for hours.", topic="child", deck="two"),
    make_card("What is a stye?", "A sore eyelid."),
]


def named(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("topics", "decks", "held"),
    [
        (named("child"), None, [0, 2]),
        (named("child", "joint"), None, [0, 1, 2]),
        (None, named("one"), [0, 1]),
        (named("child"), named("one"), [0]),
        (named("joint"), named("two"), []),
        (named(UNTOLD), None, [3]),
        (None, named(UNTOLD), [3]),
        (named("nothing"), None, []),
        (named(), None, []),
    ],
)
def test_mask(topics: frozenset[str] | None, decks: frozenset[str] | None, held: list[int]) -> None:
    mask = CardFilter(CARDS).mask(topics, decks)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == held


def test_counts() -> None:
    cards = CardFilter(CARDS)
    assert cards.mask(None, None) is None
    assert list(cards.topics().items()) == [("child", 2), ("joint", 1), (UNTOLD, 1)]
    assert list(cards.decks().items()) == [("one", 2), ("two", 1), (UNTOLD, 1)]
    assert CardFilter([]).topics() == {}


def test_names_as_typed() -> None:
    counts = {"Heart": 3, "heart": 1, "Lung": 2}
    assert resolve("topic", None, counts) is None
    assert resolve("topic", ["HEART", "lung"], counts) == {"Heart", "heart", "Lung"}
    with pytest.raises(ExpectedError, match=r"no card of the topic 'hart': .* 'heart'.*info"):
        resolve("topic", ["hart"], counts)


N = 400


@pytest.fixture(scope="module", params=["flat", "ivf"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, np.ndarray]]:
    vectors = np.random.default_rng(3).standard_normal((N, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("filtered") / "v.faiss"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "EXACT_LIMIT", 100 if request.param == "ivf" else N)
        assert store.write(vectors, path) == request.param
        yield Store(path), vectors


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]), st.integers(1, 60))
def test_as_many_as_the_filter_holds(
    opened: tuple[Store, np.ndarray], seed: int, share: float, depth: int
) -> None:
    opened_store, vectors = opened
    chance = np.random.default_rng(seed)
    allowed = chance.random(N) < share
    query = vectors[seed % N]
    found = opened_store.nearest(query.tolist(), depth, allowed)
    exact = sorted(np.flatnonzero(allowed), key=lambda i: -float(vectors[i] @ query))[:depth]
    assert len(found) == len(exact)
    assert all(allowed[i] for i, _ in found)
    assert [c for _, c in found] == sorted((c for _, c in found), reverse=True)
    if allowed.sum() <= store.EXACT_LIMIT:  # scanned
        assert [i for i, _ in found] == exact
