"""Whether to answer: is this a health question, and how likely does the best card answer it?

Two logistic models over what retrieval saw, fitted when an index is built, because cosines mean
different things in a deck of 700 cards and in one of 30,000, and stored with the index. The
fitting questions are the project's own (index/questions): how laypeople ask beside how flashcards
ask, and messages that no medical deck answers. None of them is part of a test set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from index import lexical
from index.cards import Flashcard
from index.embedder import Embedder, embed
from index.errors import IndexMismatchError
from index.health import FOLDS, Material
from index.search import Hit

VERSION = 3
HITS = 3  # that the features look at
_SAME_QUESTION = 0.62  # cosine from which a card speaks to a flashcard-style question
_REFUSE_OUT_OF_SCOPE = 0.96  # share of the out-of-scope questions that must be refused
_FLOOR = 0.1  # a card that is wrong nine times out of ten is no answer
_CLEAR = 0.4  # no out-of-scope question of the fitting set comes near (highest 0.3)
_LOSE_RIGHT = 0.02  # share of the rightly answered that may be refused as not covered

Search = Callable[[str, Sequence[float]], list[Hit]]


@dataclass(frozen=True)
class Logistic:
    """Weights and bias of a logistic model, and the probability below which it says no."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, values: Sequence[float]) -> float:
        """0 to 1."""
        logit = float(np.dot(self.weights, values)) + self.bias
        return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))


@dataclass(frozen=True)
class Judgement:
    """Whether a question is about health, whether the deck covers it, and how sure that is.

    `confidence` is the probability, 0 to 1, that the best card answers the question.
    """

    confidence: float
    in_scope: bool
    covered: bool


@dataclass(frozen=True)
class Relevance:
    """The fitted models of an index.

    `scope` and `answer` read `features`.
    """

    version: int
    scope: Logistic
    answer: Logistic
    fitted_on: dict[str, int]
    figures: dict[str, float | None]  # None: nothing to measure it on

    def judge(self, question: str, health: float, hits: Sequence[Hit]) -> Judgement:
        """Judge a question by its health score and its hits, best first."""
        if not hits:
            return Judgement(0.0, in_scope=False, covered=False)
        values = features(question, hits, health)
        scope, answer = self.scope.probability(values), self.answer.probability(values)
        confidence = scope * answer
        in_scope = scope >= self.scope.threshold or confidence >= _CLEAR
        covered = in_scope and answer >= self.answer.threshold and confidence >= _FLOOR
        return Judgement(confidence, in_scope, covered)


def features(question: str, hits: Sequence[Hit], health: float) -> list[float]:
    """Best cosine, mean of the best three, share of the question's words in the best card, and
    the score of `HealthProbe`."""
    cosines = [hit.score for hit in hits[:HITS]]
    return [max(cosines), sum(cosines) / len(cosines), coverage(question, hits[0].card), health]


def coverage(question: str, card: Flashcard) -> float:
    """Share of the question's stemmed content words that the card holds, 0 to 1."""
    asked = set(lexical.tokens(question))
    held = set(lexical.tokens(f"{card.topic or ''} {card.text}"))
    return len(asked & held) / len(asked) if asked else 0.0


def fit(search: Search, embedder: Embedder, material: Material) -> Relevance:
    """Fit the models for an index.

    Every probability that a threshold or a figure rests on is out of fold: of a question that its
    model has not seen.

    Args:
        search: the hits of the index for a question and its vector.
    """
    lay_hits, lay = _seen(search, material, "lay")
    _, other = _seen(search, material, "other")
    found = embed(embedder.model, [hits[0].card.question for hits in lay_hits])
    right = (found * material.vectors["plain"]).sum(axis=1) >= _SAME_QUESTION

    scope, scope_p = _fit(np.concatenate([lay, other]), [1] * len(lay) + [0] * len(other))
    answer, answer_p = _fit(lay, right)
    scope_threshold = float(np.quantile(scope_p[len(lay) :], _REFUSE_OUT_OF_SCOPE))
    answer_threshold = float(np.quantile(answer_p[right], _LOSE_RIGHT)) if right.any() else 0.0
    confidence = scope_p[: len(lay)] * answer_p
    return Relevance(
        version=VERSION,
        scope=Logistic(*scope, scope_threshold),
        answer=Logistic(*answer, answer_threshold),
        fitted_on={
            "lay questions": len(lay),
            "answered rightly": int(right.sum()),
            "out of scope": len(other),
        },
        figures={
            "calibration error": calibration_error(confidence, right),
            "out of scope refused": _share(scope_p[len(lay) :] < scope_threshold),
            "health taken for out of scope": _share(scope_p[: len(lay)] < scope_threshold),
            "not covered refused": _share(answer_p[~right] < answer_threshold),
        },
    )


def _seen(search: Search, material: Material, kind: str) -> tuple[list[list[Hit]], Any]:
    """Hits and features of the questions of a kind."""
    asked = material.questions[kind]
    hits = [search(q, v.tolist()) for q, v in zip(asked, material.vectors[kind], strict=True)]
    return hits, np.array(list(map(features, asked, hits, material.scores[kind].tolist())))


def _fit(x: Any, y: Any) -> tuple[tuple[tuple[float, ...], float], Any]:
    """Weights and bias of a logistic model, and its out-of-fold probabilities."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    y = np.asarray(y, dtype=int)
    if min(y.sum(), len(y) - y.sum()) < FOLDS:
        # A deck that answers none, or all, of the questions: nothing to learn but how often.
        rate = (y.sum() + 1) / (len(y) + 2)
        bias = float(np.log(rate / (1 - rate)))
        return ((0.0,) * x.shape[1], bias), np.full(len(y), rate)
    model = LogisticRegression(C=10.0, max_iter=2000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    probabilities = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    model.fit(x, y)
    return (tuple(model.coef_[0].tolist()), float(model.intercept_[0])), probabilities


def _share(which: Any) -> float | None:
    return float(which.mean()) if len(which) else None


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
    if fields["version"] != VERSION:
        raise IndexMismatchError(
            f"the index judges questions by model {fields['version']}, expected {VERSION}: rebuild "
            "it with 'python -m index build'"
        )
    for name in ("scope", "answer"):
        parts = fields[name]
        fields[name] = Logistic(tuple(parts["weights"]), parts["bias"], parts["threshold"])
    return Relevance(**fields)
