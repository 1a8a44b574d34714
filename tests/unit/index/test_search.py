from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import lexical, store
from index.cards import Flashcard, make_card
from index.search import CANDIDATES, LEXICAL_WEIGHT, Hit, Searcher, _top
from index.store import Store

Open = Callable[[list[Flashcard], np.ndarray], Searcher]


@pytest.fixture(scope="module")
def open_searcher(tmp_path_factory: pytest.TempPathFactory) -> Open:
    def make(cards: list[Flashcard], vectors: np.ndarray) -> Searcher:
        folder = tmp_path_factory.mktemp("search")
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        assert store.write(unit.astype(np.float32), folder / "v.faiss") == "flat"
        lexical.write([card.text for card in cards], folder / "bm25")
        return Searcher(cards, Store(folder / "v.faiss"), lexical.LexicalIndex(folder / "bm25"))

    return make


def cards(n: int, answer: str = "An illness.") -> list[Flashcard]:
    return [make_card(f"What is disease{i}?", answer) for i in range(n)]


def random_vectors(n: int, seed: int = 0, dimension: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimension))


def unit(vector: np.ndarray) -> list[float]:
    values: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return values


def test_a_verbatim_question_finds_its_card(open_searcher: Open) -> None:
    deck, vectors = cards(50), random_vectors(50)
    searcher = open_searcher(deck, vectors)
    for i in (0, 17, 49):
        first = searcher.hits(deck[i].question, unit(vectors[i]), 3)[0]
        assert first.card == deck[i]
        assert first.score == pytest.approx(1, abs=1e-5)
        assert (first.dense_rank, first.lexical_rank) == (1, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([1, 2, 3, 40, 90]))
def test_what_always_holds(open_searcher: Open, seed: int, top_k: int, n: int) -> None:
    deck, vectors = cards(n, answer="disease1 disease2 illness"), random_vectors(n, seed)
    searcher = open_searcher(deck, vectors)
    query = unit(random_vectors(1, seed + 1)[0])
    hits = searcher.hits("disease1 illness", query, top_k)
    assert len(hits) == min(top_k, n)
    assert len({hit.card.id for hit in hits}) == len(hits)
    assert [h.rank_score for h in hits] == sorted((h.rank_score for h in hits), reverse=True)
    exact = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ np.array(query)
    for hit in hits:
        assert hit.score == pytest.approx(exact[deck.index(hit.card)], abs=1e-5)
        assert 0 <= hit.rank_score - hit.score <= LEXICAL_WEIGHT + 1e-6
    if top_k > 1:
        assert any(hit.dense_rank == 1 for hit in hits)
    assert searcher.hits("disease1 illness", query, top_k) == hits


def test_many_lexical_matches_do_not_drop_the_best_dense_hit(open_searcher: Open) -> None:
    deck = [make_card("What soothes an itch?", "Cool water.")]
    deck += [make_card(f"Rash number {i}: a rash?", "Rash.") for i in range(20)]
    near = [[1.0, 0.0]] + [[0.98, 0.2] for _ in range(20)]
    hits = open_searcher(deck, np.array(near)).hits("rash", [1.0, 0.0], 5)
    assert hits[0].card != deck[0]
    assert hits[-1].card == deck[0]


def test_ties_are_settled_by_id(open_searcher: Open) -> None:
    deck = [make_card(f"What is disease{i}?", "An illness.") for i in range(30)]
    same = np.ones((30, 4))
    order = [h.card.id for h in open_searcher(deck, same).hits("unknown", unit(same[0]), 30)]
    assert order == sorted(order)
    turned = open_searcher(deck[::-1], same).hits("unknown", unit(same[0]), 30)
    assert [h.card.id for h in turned] == order


def test_no_known_word_leaves_the_dense_order(open_searcher: Open) -> None:
    deck, vectors = cards(20), random_vectors(20)
    hits = open_searcher(deck, vectors).hits("xylophone", unit(vectors[3]), 5)
    assert [hit.dense_rank for hit in hits] == [1, 2, 3, 4, 5]
    assert all(hit.lexical_rank is None and hit.rank_score == hit.score for hit in hits)


def test_one_card(open_searcher: Open) -> None:
    deck = cards(1)
    searcher = open_searcher(deck, np.ones((1, 4)))
    for query in ("disease0", "xylophone", ""):
        (hit,) = searcher.hits(query, [0.5] * 4, 10)
        assert isinstance(hit, Hit)
        assert hit.card == deck[0]


def test_words_find_what_vectors_miss(open_searcher: Open) -> None:
    n = CANDIDATES * 3
    deck, vectors = cards(n), np.tile([1.0, 0.0], (n, 1))
    vectors[-1] = [0.95, 0.31]
    deck[-1] = make_card("What is haemochromatosis?", "Too much iron.")
    hits = open_searcher(deck, vectors).hits("haemochromatosis", [1.0, 0.0], 5)
    assert hits[0].card == deck[-1]
    assert hits[0].dense_rank is None


@pytest.mark.parametrize(
    ("scores", "depth", "order"),
    [
        ([0, 0, 0], 2, []),
        ([0, 3, 1, 2], 2, [1, 3]),
        ([1, 1, 1, 1, 2], 3, [4, 0, 1]),
        ([1, 0, 1], 9, [0, 2]),
        ([], 3, []),
    ],
)
def test_top(scores: list[float], depth: int, order: list[int]) -> None:
    assert _top(np.array(scores, dtype=np.float32), depth) == order


def test_large_indexes_are_inverted_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EXACT_LIMIT", 100)
    vectors = random_vectors(500)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    assert store.write(vectors, tmp_path / "v.faiss") == "ivf"
    opened = Store(tmp_path / "v.faiss")
    assert (opened.size, opened.dimension) == (500, 8)
    assert np.array_equal(opened.all_vectors(), vectors)
    lexical.write([card.text for card in cards(500)], tmp_path / "bm25")
    searcher = Searcher(cards(500), opened, lexical.LexicalIndex(tmp_path / "bm25"))
    assert searcher.hits("xylophone", vectors[7].tolist(), 1)[0].card == cards(500)[7]


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"could not write v\.faiss"):
        store.write(np.ones((1, 4), dtype=np.float32), tmp_path / "missing" / "v.faiss")
