from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index import health, relevance
from index.cards import Flashcard, make_card
from index.embedder import Embedder, embed
from index.errors import IndexMismatchError
from index.lexical import tokens
from index.relevance import Logistic, Relevance
from index.search import Hit

GOUT = make_card("What is gout?", "Swollen, painful joints.", topic="rheumatology")


def hit(card: Flashcard, score: float = 0.5) -> Hit:
    return Hit(card, score, score, 1, None)


def search_in(deck: list[Flashcard], embedder: Embedder) -> relevance.Search:
    vectors = embed(embedder.model, [card.text for card in deck])

    def search(question: str, vector: object) -> list[Hit]:
        scores = vectors @ np.asarray(vector)
        best = np.argsort(-scores)[: relevance.HITS]
        return [hit(deck[i], float(scores[i])) for i in best]

    return search


@pytest.mark.parametrize(
    ("question", "share"),
    [
        ("what is gout", 1.0),
        ("painful joint?", 1.0),
        ("rheumatology", 1.0),
        ("gout in the moon", 0.5),
        ("", 0.0),
        ("what is it", 0.0),
    ],
)
def test_coverage(question: str, share: float) -> None:
    assert relevance.coverage(question, GOUT) == share


def test_features_of_fewer_hits_than_looked_at() -> None:
    assert relevance.features("gout", [hit(GOUT, 0.4)], 1.5) == [0.4, 0.4, 1.0, 1.5]
    three = [hit(GOUT, s) for s in (0.2, 0.6, 0.1, 0.9)]
    assert relevance.features("gout", three, 0.0) == [0.6, pytest.approx(0.3), 1.0, 0.0]


@pytest.mark.parametrize(
    ("health", "cosine", "in_scope", "covered"),
    [
        (3.0, 0.9, True, True),
        (3.0, 0.2, True, False),  # about health, but nine times out of ten another card's matter
        (-3.0, 0.2, False, False),
        (-0.3, 0.9, True, True),  # odd wording, but a card that plainly answers
    ],
)
def test_scope_and_cover(health: float, cosine: float, in_scope: bool, covered: bool) -> None:
    scope = Logistic((0.0, 0.0, 0.0, 1.0), 0.0, threshold=0.6)
    answer = Logistic((10.0, 0.0, 0.0, 0.0), -5.0, threshold=0.01)
    judge = Relevance(relevance.VERSION, scope, answer, {}, {})
    judged = judge.judge("gout", health, [hit(GOUT, cosine)])
    assert (judged.in_scope, judged.covered) == (in_scope, covered)


@pytest.mark.parametrize("value", [-1e9, -1.0, 0.0, 1.0, 1e9])
def test_probabilities_stay_in_range(value: float) -> None:
    assert 0 <= Logistic((1.0,), 0.0, 0.5).probability([value]) <= 1


@pytest.mark.parametrize(
    ("probabilities", "outcomes", "error"),
    [
        ([0.0, 1.0, 1.0], [0, 1, 1], 0.0),
        ([1.0, 1.0], [0, 0], 1.0),
        ([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0], 0.0),
        ([0.5, 0.5], [1, 1], 0.5),
    ],
)
def test_calibration_error(probabilities: list[float], outcomes: list[int], error: float) -> None:
    found = relevance.calibration_error(np.array(probabilities), np.array(outcomes))
    assert found == pytest.approx(error)


def test_fitted_models_part_health_from_the_rest(hash_embedder: Embedder) -> None:
    lay = health.questions(health.QUESTIONS)["plain"]
    deck = [make_card(question, "Rest and fluids.") for question in lay]
    material = health.prepare(hash_embedder)
    judge = relevance.fit(search_in(deck, hash_embedder), hash_embedder, material)
    assert relevance.load(relevance.dump(judge)) == judge
    assert judge.fitted_on == {"lay questions": 8, "answered rightly": 8, "out of scope": 9}

    def confidence(question: str) -> float:
        vector = hash_embedder.model.get_query_embedding(question)
        hits = search_in(deck, hash_embedder)(question, vector)
        return judge.judge(question, material.probe.score(vector), hits).confidence

    assert confidence("how do i treat gout at home") > confidence("Who won the chess final?")


def test_no_hits_no_confidence() -> None:
    always = Logistic((0.0,) * 4, 9.0, 0.0)
    judge = Relevance(relevance.VERSION, always, always, {}, {})
    assert judge.judge("gout", 1.0, []).confidence == 0
    assert judge.judge("gout", 1.0, [hit(GOUT)]).covered


@pytest.mark.parametrize("size", [1, 3])
def test_decks_too_small_to_learn_from(hash_embedder: Embedder, size: int) -> None:
    deck = [make_card(f"What is thing{i}?", "Something else.") for i in range(size)]
    material = health.prepare(hash_embedder)
    judge = relevance.fit(search_in(deck, hash_embedder), hash_embedder, material)
    assert judge.fitted_on["answered rightly"] == 0
    judged = judge.judge("gout?", 0.0, [hit(deck[0], 0.1)])
    assert 0 <= judged.confidence <= 0.5


def test_models_of_another_version_are_refused() -> None:
    always = Logistic((0.0,), 0.0, 0.0)
    old = relevance.dump(Relevance(1, always, always, {}, {}))
    with pytest.raises(IndexMismatchError, match="rebuild it"):
        relevance.load(old)


def test_the_kept_material_is_reused_and_repaired(home: Path, hash_embedder: Embedder) -> None:
    embedded = hash_embedder.model.texts  # type: ignore[attr-defined]
    first = health.prepare(hash_embedder)
    count = len(embedded)
    health.prepare(hash_embedder)
    assert len(embedded) == count
    (kept,) = (home / "embedders").iterdir()
    whole = kept.read_bytes()
    for damage in (b"", b"no archive", whole[: len(whole) // 2], whole[:40]):
        kept.write_bytes(damage)
        again = health.prepare(hash_embedder)
        assert np.array_equal(again.scores["lay"], first.scores["lay"])
    assert len(embedded) == 5 * count
    assert list((home / "embedders").iterdir()) == [kept]


def test_probe_survives_saving(tmp_path: Path, hash_embedder: Embedder) -> None:
    probe = health.prepare(hash_embedder).probe
    probe.save(tmp_path / "probe.npz")
    vector = hash_embedder.model.get_query_embedding("is gout contagious")
    assert health.load(tmp_path / "probe.npz").score(vector) == probe.score(vector)


def test_shipped_questions_are_whole() -> None:
    asked = health.questions(health.QUESTIONS)
    assert len(asked["lay"]) == len(asked["plain"]) >= 100
    assert min(len(asked["health"]), len(asked["other"])) >= 100
    assert all(tokens(q) or q.strip() for texts in asked.values() for q in texts)
