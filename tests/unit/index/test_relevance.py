from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index import crossencoder, health, relevance
from index.cards import Flashcard, make_card
from index.config import DEFAULT_EMBEDDER
from index.embedder import Embedder, open_embedder
from index.errors import EmbedderUnavailableError, IndexMismatchError
from index.lexical import tokens
from index.relevance import Logistic, Relevance, features
from index.search import Hit

GOUT = make_card(
    "What is gout?",
    "Gout is a painful arthritis in which crystals of uric acid form in the joints.",
)
LIVER = make_card(
    "What do liver function tests measure?",
    "Liver function tests measure enzymes and proteins in the blood to show how the liver works.",
)


def hit(card: Flashcard, score: float = 0.5) -> Hit:
    return Hit(card, score, score, 1, None)


def found(best: float) -> list[Hit]:
    return [hit(GOUT, best), hit(LIVER, 0.4), hit(LIVER, 0.35)]


@pytest.fixture(scope="module")
def judge() -> Relevance:
    return relevance.shipped()


@pytest.mark.parametrize(
    ("question", "card", "covered"),
    [
        ("What is gout?", GOUT, True),
        ("gout, what is that", GOUT, True),
        ("What do liver function tests measure?", LIVER, True),
        ("What does the spleen do?", GOUT, False),
        ("What is the most common cause of death in cats?", LIVER, False),
        ("Who won the football world cup in 1998?", GOUT, False),
    ],
)
def test_the_shipped_models_tell_the_card_from_its_neighbour(
    judge: Relevance, question: str, card: Flashcard, covered: bool
) -> None:
    about_health = -2.0 if "football" in question else 1.5
    score = 0.8 if covered else 0.45
    assert judge.judge(question, about_health, [hit(card, score)], 705).covered is covered


def test_a_likelier_card_gives_more_confidence(judge: Relevance) -> None:
    confidences = [
        judge.weigh(features("What is gout?", logit, 1.0, found(0.8), 705)).confidence
        for logit in (-6.0, -2.0, 0.0, 2.0, 6.0)
    ]
    assert confidences == sorted(confidences)
    assert confidences[0] < 0.6
    assert confidences[-1] > 0.8


@pytest.mark.parametrize(
    ("logit", "score", "in_scope", "covered"),
    [
        (3.0, 1.0, True, True),
        (-3.0, 1.0, True, False),  # about health, but another card's matter
        (-3.0, -3.0, False, False),
        (3.0, -0.3, True, True),  # odd wording, but a card that plainly answers
    ],
)
def test_scope_and_cover(logit: float, score: float, in_scope: bool, covered: bool) -> None:
    scope = Logistic((0.5, 1.0), 0.0, threshold=0.35)
    answer = Logistic((1.0, 0.0), 0.0, threshold=0.3)
    judged = Relevance(relevance.VERSION, "r", scope, answer, {}, {}).weigh([logit, score])
    assert (judged.in_scope, judged.covered) == (in_scope, covered)


def test_a_nearer_card_gives_more_confidence(judge: Relevance) -> None:
    confidences = [
        judge.weigh(features("What is gout?", 0.0, 1.0, found(score), 705)).confidence
        for score in (0.45, 0.6, 0.8)
    ]
    assert confidences == sorted(confidences)
    assert confidences[-1] > 2 * confidences[0]


def test_features_say_what_was_found() -> None:
    hits = [hit(LIVER, 0.6), hit(GOUT, 0.8), hit(GOUT, 0.4)]
    values = features("what do liver tests cost", 2.0, 1.5, hits, 1000)
    assert values == pytest.approx([2.0, 1.5, 0.8, 0.6, 2 / 3, 1.6, 5, 0.2, 3.0])
    assert features("gout", 0.0, 0.0, [hit(GOUT)], 10)[-1] == 2.85  # smaller than any fitted on


def test_no_hits_no_confidence(judge: Relevance) -> None:
    judged = judge.judge("gout", 5.0, [], 705)
    assert (judged.confidence, judged.in_scope, judged.covered) == (0.0, False, False)


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


def test_models_survive_saving(judge: Relevance) -> None:
    assert relevance.load(relevance.dump(judge)) == judge


@pytest.mark.parametrize("change", [{"version": 1}, {"crossencoder": "another"}])
def test_models_of_another_version_are_refused(
    judge: Relevance, change: dict[str, int | str]
) -> None:
    fields = {**json.loads(relevance.dump(judge)), **change}
    with pytest.raises(IndexMismatchError, match="rebuild it"):
        relevance.load(json.dumps(fields))


def test_the_calibration_is_of_the_shipped_model(judge: Relevance) -> None:
    assert judge.crossencoder == crossencoder.revision()
    assert replace(judge, version=relevance.VERSION) == judge


def test_long_and_odd_texts_are_read() -> None:
    reader = crossencoder.shipped()
    long = make_card("What is it?", "word " * 3000)
    odd = ("x " * 2000, "\u200f\U0001f489 \u0645\u0631\u062d\u0628\u0627", "?", "gout" * 500)
    assert all(np.isfinite(reader.logit(text, long)) for text in odd)


def test_the_end_of_a_long_answer_is_not_read() -> None:
    reader = crossencoder.shipped()
    words = " ".join(["word"] * crossencoder.ANSWER_WORDS)
    short, long = make_card("What is it?", words), make_card("What is it?", f"{words} gout")
    assert reader.logit("gout", short) == reader.logit("gout", long)


@pytest.fixture
def no_cache() -> Iterator[None]:
    crossencoder.shipped.cache_clear()
    yield
    crossencoder.shipped.cache_clear()


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_damaged_model_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    (tmp_path / crossencoder.NAME).mkdir()
    if content is not None:
        (tmp_path / crossencoder.NAME / crossencoder.MODEL).write_bytes(content)
    monkeypatch.setattr(crossencoder, "MODELS", tmp_path)
    with pytest.raises(EmbedderUnavailableError, match="git checkout"):
        crossencoder.shipped()


def test_the_kept_probe_is_reused_and_repaired(home: Path, hash_embedder: Embedder) -> None:
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
        assert np.array_equal(again.support, first.support)
    assert len(embedded) == 5 * count
    assert list((home / "embedders").iterdir()) == [kept]


def test_probe_survives_saving(tmp_path: Path, hash_embedder: Embedder) -> None:
    probe = health.prepare(hash_embedder)
    probe.save(tmp_path / "probe.npz")
    vector = hash_embedder.model.get_query_embedding("is gout contagious")
    assert health.load(tmp_path / "probe.npz").score(vector) == probe.score(vector)


def test_the_shipped_probe_is_that_of_the_shipped_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDCARDS_HOME", str(tmp_path))
    embedder = open_embedder(DEFAULT_EMBEDDER)
    probe = health.prepare(embedder)
    made = [path.name for path in tmp_path.rglob("health-*.npz")]
    assert not made, f"replace index/models/health-*.npz by {made[0]}, which is in {tmp_path}"
    score = {q: probe.score(embedder.model.get_query_embedding(q)) for q in (
        "what helps against a runny nose", "how do i change a bicycle tyre")}  # fmt: skip
    assert score["what helps against a runny nose"] > 0.5
    assert score["how do i change a bicycle tyre"] < -0.5


def test_shipped_questions_are_whole() -> None:
    asked = health.questions(health.QUESTIONS)
    assert len(asked["lay"]) == len(asked["plain"]) >= 100
    assert min(len(asked["health"]), len(asked["other"])) >= 100
    assert all(tokens(q) or q.strip() for texts in asked.values() for q in texts)
