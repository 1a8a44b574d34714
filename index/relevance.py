"""How likely the best card answers the question: a calibrated probability, and when to refuse.

A logistic model over what retrieval saw. It is fitted when an index is built, because cosines mean
different things in a deck of 700 cards and in one of 30,000, and is stored with the index. The
fitting questions are the project's own (index/questions): how laypeople ask beside how flashcards
ask, and questions that no medical deck answers. None of them is part of a test set.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from index import lexical
from index.cards import Flashcard
from index.embedder import Embedder, embed
from index.paths import home
from index.search import Hit
from index.store import Vectors

logger = logging.getLogger(__name__)

VERSION = 1
FEATURES = ("best cosine", "mean of the best three", "share of words in the best card", "health")
QUESTIONS = Path(__file__).parent / "questions"
_SAME_QUESTION = 0.72  # cosine from which a card answers a flashcard-style question
_REFUSE_OUT_OF_SCOPE = 0.97  # share of the out-of-scope questions that the threshold must refuse
_LOSE_AT_MOST = 0.04  # share of the rightly answered that it may refuse to that end
_FOLDS = 5

Search = Callable[[str, Sequence[float]], list[Hit]]


@dataclass(frozen=True)
class Relevance:
    """A fitted model. `health` is a linear probe on the query vector: is this about health?"""

    version: int
    weights: tuple[float, ...]
    bias: float
    threshold: float
    health_weights: tuple[float, ...]
    health_bias: float
    fitted_on: dict[str, int]
    figures: dict[str, float]

    def health(self, vector: Sequence[float]) -> float:
        """Log-odds that a question is about health, from its unit vector."""
        return float(np.dot(self.health_weights, vector)) + self.health_bias

    def confidence(self, question: str, vector: Sequence[float], hits: Sequence[Hit]) -> float:
        """Probability, 0 to 1, that the best hit answers the question; 0 without hits."""
        if not hits:
            return 0.0
        values = features(question, hits, self.health(vector))
        return _sigmoid(float(np.dot(self.weights, values)) + self.bias)


def features(question: str, hits: Sequence[Hit], health: float) -> list[float]:
    """The values of `FEATURES` for a question and its hits, best first."""
    cosines = [hit.score for hit in hits[:3]]
    return [max(cosines), sum(cosines) / len(cosines), coverage(question, hits[0].card), health]


def coverage(question: str, card: Flashcard) -> float:
    """Share of the question's stemmed content words that the card holds, 0 to 1."""
    asked = set(lexical.tokens(question))
    held = set(lexical.tokens(f"{card.topic or ''} {card.text}"))
    return len(asked & held) / len(asked) if asked else 0.0


def fit(search: Search, embedder: Embedder) -> Relevance:
    """Fit the model for an index.

    Args:
        search: the hits of the index for a question and its vector.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    material = _questions()
    vectors = _embedded(material, embedder)
    about_health = np.concatenate([vectors["lay"], vectors["plain"], vectors["health"]])
    probe_x = np.concatenate([about_health, vectors["other"]])
    probe_y = np.array([1] * len(about_health) + [0] * len(vectors["other"]))
    probe = LogisticRegression(C=10.0, max_iter=1000, class_weight="balanced")
    # Out-of-fold values: in-sample ones would look more certain than those of new questions.
    scored = cross_val_predict(probe, probe_x, probe_y, cv=_FOLDS, method="decision_function")
    probe.fit(probe_x, probe_y)
    of_lay = scored[: len(vectors["lay"])]
    of_other = scored[len(about_health) :]

    rows: list[list[float]] = []
    right: list[int] = []
    for i, question in enumerate(material["lay"]):
        hits = search(question, vectors["lay"][i].tolist())
        rows.append(features(question, hits, float(of_lay[i])))
        best = embed(embedder.model, [hits[0].card.question])[0]
        right.append(int(float(best @ vectors["plain"][i]) >= _SAME_QUESTION))
    for i, question in enumerate(material["other"]):
        hits = search(question, vectors["other"][i].tolist())
        rows.append(features(question, hits, float(of_other[i])))
        right.append(0)
    x, y = np.array(rows), np.array(right)
    model = LogisticRegression(C=10.0, max_iter=1000)
    out_of_fold = cross_val_predict(model, x, y, cv=_FOLDS, method="predict_proba")[:, 1]
    model.fit(x, y)
    threshold = _threshold(
        out_of_fold[: len(of_lay)][y[: len(of_lay)] == 1], out_of_fold[len(of_lay) :]
    )
    return Relevance(
        version=VERSION,
        weights=tuple(model.coef_[0].tolist()),
        bias=float(model.intercept_[0]),
        threshold=threshold,
        health_weights=tuple(np.round(probe.coef_[0], 5).tolist()),
        health_bias=float(probe.intercept_[0]),
        fitted_on={
            "lay questions": len(of_lay),
            "answered rightly": int(y.sum()),
            "out of scope": len(of_other),
        },
        figures={
            "calibration error": calibration_error(out_of_fold, y),
            "out of scope refused": float((out_of_fold[len(of_lay) :] < threshold).mean()),
            "rightly answered refused": float(
                (out_of_fold[: len(of_lay)][y[: len(of_lay)] == 1] < threshold).mean()
            ),
        },
    )


def _threshold(right: Any, other: Any) -> float:
    """The refusal threshold: refuse out-of-scope questions, but lose few that are answered."""
    wanted = float(np.quantile(other, _REFUSE_OUT_OF_SCOPE))
    allowed = float(np.quantile(right, _LOSE_AT_MOST)) if len(right) else wanted
    return min(wanted, allowed)


def calibration_error(probabilities: Any, outcomes: Any, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width (Naeini et al., 2015)."""
    places = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            gap = abs(np.mean(outcomes[inside]) - np.mean(probabilities[inside]))
            error += float(gap) * float(inside.mean())
    return error


def dump(relevance: Relevance) -> str:
    """The model as JSON."""
    return json.dumps(asdict(relevance))


def load(text: str) -> Relevance:
    """A model from `dump`."""
    fields = json.loads(text)
    for name in ("weights", "health_weights"):
        fields[name] = tuple(fields[name])
    return Relevance(**fields)


@cache
def _questions() -> dict[str, list[str]]:
    """The fitting questions by kind: lay and plain (paired), health, other."""
    lay: list[str] = []
    plain: list[str] = []
    for path in sorted((QUESTIONS / "lay").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            lay.append(row["lay"])
            plain.append(row["plain"])
    found = {"lay": lay, "plain": plain}
    for kind in ("health", "other"):
        lines = (QUESTIONS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
        found[kind] = [json.loads(line)["question"] for line in lines]
    return found


def _embedded(material: dict[str, list[str]], embedder: Embedder) -> dict[str, Vectors]:
    """The vectors of the fitting questions, kept for the next build with the same embedder."""
    flat = [text for texts in material.values() for text in texts]
    key = json.dumps([embedder.record.model_dump(), flat])
    path = home() / "embedders" / f"questions-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    try:
        vectors: Vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        logger.info("embedding %s questions to calibrate refusal (once)", f"{len(flat):,}")
        vectors = embed(embedder.model, flat)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, vectors, allow_pickle=False)
        partial.replace(path)
    split: dict[str, Vectors] = {}
    start = 0
    for kind, texts in material.items():
        split[kind] = vectors[start : start + len(texts)]
        start += len(texts)
    return split


def _sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -50, 50))))
