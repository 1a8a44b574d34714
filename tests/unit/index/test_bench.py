"""The benchmark's own arithmetic: sets, systems, synthetic vectors, tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from index import store
from index.bench import quality, report, sets, speed
from index.bench.sets import QuestionSet
from index.bench.synthetic import vectors_like
from index.cards import make_card
from index.errors import ExpectedError

CARDS = [
    make_card("What is croup?", "A barking cough."),
    make_card("What is gout?", "A painful joint."),
    make_card("What is gout?", "Crystals of uric acid."),
]


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def unit(vectors: np.ndarray) -> np.ndarray:
    rows: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows.astype(np.float32)


# --- Sets


def test_question_to_answer(tmp_path: Path) -> None:
    deck = write_lines(
        tmp_path / "deck.jsonl",
        {"question": "What is croup?", "answer": "A cough."},
        {"question": "What is a cold?", "answer": "A cough."},
        {"question": "What is croup?", "answer": "A narrow throat."},
        {"question": "Blank?", "answer": " "},
    )
    asked = sets.question_to_answer(str(deck))
    assert asked.name == "deck: question to answer"
    assert [card.answer for card in asked.documents] == ["A cough.", "A narrow throat."]
    assert asked.questions == ("What is croup?", "What is a cold?")
    assert asked.right == ({0, 1}, {0})


def test_questions_of_cards(tmp_path: Path) -> None:
    deck = write_lines(
        tmp_path / "deck.jsonl",
        {"id": "r1", "question": "What is  croup?", "answer": "A barking cough."},
    )
    path = write_lines(
        tmp_path / "asked.jsonl",
        {"question": "barking child", "standin_id": "r1"},
        {"question": "sore toe", "card_id": CARDS[2].id},
    )
    asked = sets.questions_of_cards(path, str(deck), CARDS)
    assert asked.right == ({0}, {1, 2})  # both cards ask what gout is


@pytest.mark.parametrize(
    "row",
    [
        {"question": "sore toe"},
        {"question": "sore toe", "card_id": "unknown"},
        {"question": "sore toe", "standin_id": "unknown"},
        {"card_id": CARDS[0].id},
        ["sore toe"],
    ],
)
def test_questions_of_no_card(tmp_path: Path, row: object) -> None:
    path = write_lines(tmp_path / "asked.jsonl", row)
    with pytest.raises(ExpectedError, match=r"asked\.jsonl.*expected"):
        sets.questions_of_cards(path, "starter", CARDS)


def test_no_file_of_questions(tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text("{")
    for name in ("asked.jsonl", "missing.jsonl"):
        with pytest.raises(ExpectedError, match="as JSONL"):
            sets.questions_of_cards(tmp_path / name, "starter", CARDS)


def test_subset() -> None:
    right = tuple(frozenset([i]) for i in (2, 0, 1))
    whole = QuestionSet("all", tuple(CARDS), ("a", "b", "c"), right)
    part, kept = whole.subset(1, questions=1)
    assert kept == [0, 2]
    assert part.documents == (CARDS[0], CARDS[2])
    assert (part.questions, part.right) == (("a",), ({1},))
    assert whole.subset(99, questions=99) == (whole, [0, 1, 2])


# --- Systems


def test_rankings() -> None:
    asked = QuestionSet(
        "all", tuple(CARDS), ("uric acid crystals", "xylophone"), (frozenset([2]), frozenset([0]))
    )
    words = quality.words_of(asked)
    assert quality.bm25(asked, words) == [[2], []]
    documents = unit(np.array([[1.0, 0.1], [0.6, 0.8], [0.0, 1.0]]))
    queries = unit(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert quality.dense(queries, documents) == [[2, 1, 0], [0, 1, 2]]
    assert quality.dense(queries, documents, depth=1) == [[2], [0]]
    found = quality.compare(asked, (queries, documents), (queries[::-1], documents))
    assert found["stock, dense"]["nDCG@10"] == 1
    assert found["tuned, dense"]["recall@1"] == 0
    assert found["BM25"]["MRR@10"] == 0.5
    assert found["stock + BM25, shipped fusion"]["nDCG@10"] == 1
    assert found["tuned, dense"]["MRR@10"] == pytest.approx(1 / 3)


def test_reciprocal_rank_fusion_by_hand() -> None:
    # 1/61 + 1/62 for a card that is first and second; 1/61 + 1/63 for one first and third.
    fused = quality.reciprocal_rank_fusion([[5, 7, 9]], [[9, 5]])
    assert fused == [[5, 9, 7]]
    assert quality.reciprocal_rank_fusion([[3], []], [[], [4]]) == [[3], [4]]


def test_many_ties_keep_the_best() -> None:
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    documents = unit(np.array([[1.0, 1.0]] * 50 + [[1.0, 0.0]]))
    assert quality.dense(queries, documents)[0] == [50, *range(9)]


# --- Speed


def test_synthetic_vectors_lie_as_real_ones() -> None:
    chance = np.random.default_rng(0)
    centres = np.repeat(chance.standard_normal((20, 32)), 30, axis=0)
    real = unit(centres + 0.3 * chance.standard_normal((600, 32)))
    made = vectors_like(real, 2000, seed=1)
    assert made.shape == (2000, 32)
    assert made.dtype == np.float32
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert np.array_equal(made, vectors_like(real, 2000, seed=1))
    assert not np.array_equal(made, vectors_like(real, 2000, seed=2))

    def nearest(vectors: np.ndarray) -> float:
        cosines = vectors @ real.T
        return float(np.median(np.sort(cosines, axis=1)[:, -5]))

    noise = unit(chance.standard_normal((2000, 32)))
    assert nearest(made) == pytest.approx(nearest(real), abs=0.1)
    assert nearest(noise) < nearest(made) - 0.2


def test_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EXACT_LIMIT", 500)
    real = unit(np.random.default_rng(0).standard_normal((300, 16)))
    found = speed.large(real, 3000)
    assert found["structure"] == "ivf"
    assert found["parameters"]["probed"] < found["parameters"]["lists"]
    assert found["recall@10 against exact"] >= 0.95
    assert 0 < found["p50 ms"] <= found["p95 ms"]


def test_exact_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_BLOCK", 64)
    chance = np.random.default_rng(0)
    vectors, queries = unit(chance.standard_normal((300, 8))), unit(chance.standard_normal((5, 8)))
    expected = [set(np.argsort(-(vectors @ query))[:10].tolist()) for query in queries]
    assert speed._exact(vectors, queries) == expected


# --- Report


def test_tables_and_plot(tmp_path: Path) -> None:
    figures = dict.fromkeys(quality.MEASURES, 0.5)
    better = {**figures, "nDCG@10": 0.75}
    results = {
        "machine": {"date": "2026-01-01", "cores": 2, "processor": "x", "python": "3.11"},
        "options": {"deck": "starter"},
        "sets": {
            "asked": {
                "questions": 3,
                "documents": 1200,
                "systems": {"BM25": figures, "tuned, dense": better},
                "int8": {"questions": 2, "documents": 9, "stock call": figures, "int8": better},
            }
        },
        "latency": {"cards": 1200, "p50 ms": 3.0, "p95 ms": 9.0},
        "memory MB": None,
        "embedding": {
            "stock cards/s": 50.0,
            "our cards/s": 150.0,
            "ratio": 3.0,
            "lowest ratio": 2.9,
            "highest ratio": 3.1,
            "ratio, whole alone": 2.8,
        },
    }
    text = report.markdown(results)
    assert "| BM25 | **0.5000** | **0.5000** | **0.5000** | **0.5000** | 0.5000 |" in text
    assert "## asked: 3 questions, 1,200 documents" in text
    assert "| ratio, median and range of rounds | 3.00 (2.90 to 3.10) |" in text
    assert "| ratio for the card alone | 2.80 |" in text
    assert "peak memory" not in text
    report.plot(results, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
