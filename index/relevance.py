"""Whether to answer: is this a health question, and does the best card answer it?

A cross-encoder reads the question beside the best card; two logistic models turn what it says, the
score of `HealthProbe` and how near the cards are into probabilities. They are fitted on questions
asked with their card in the deck and with it taken away (training/calibration.py), over a small
and a large deck, and ship with the cross-encoder, so a rebuild fits nothing. A cosine means
different things among 700 cards and among 30,000: the size of the deck is one of the features. The
index keeps a copy: its figures belong to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from index import crossencoder, lexical
from index.cards import Flashcard
from index.errors import IndexMismatchError
from index.search import Hit

VERSION = 5
HITS = 3  # whose cosines the features look at
_DECKS = (2.85, 4.44)  # logarithms of the sizes of the decks fitted on; nothing is known beyond
CALIBRATION = crossencoder.MODELS / crossencoder.NAME / "calibration.json"


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
    """The fitted models; both read `features`."""

    version: int
    crossencoder: str  # revision of the model that was calibrated
    scope: Logistic
    answer: Logistic
    fitted_on: dict[str, int]
    figures: dict[str, float]

    def judge(self, question: str, health: float, hits: Sequence[Hit], cards: int) -> Judgement:
        """Judge a question by its health score and its hits, best first, in a deck of `cards`."""
        if not hits:
            return Judgement(0.0, in_scope=False, covered=False)
        logit = crossencoder.shipped().logit(question, hits[0].card)
        return self.weigh(features(question, logit, health, hits, cards))

    def weigh(self, values: Sequence[float]) -> Judgement:
        """Judge by the features of a question."""
        confidence = self.answer.probability(values)
        in_scope = self.scope.probability(values) >= self.scope.threshold
        covered = in_scope and confidence >= self.answer.threshold
        return Judgement(confidence, in_scope, covered)


def features(
    question: str, logit: float, health: float, hits: Sequence[Hit], cards: int
) -> list[float]:
    """What the models read.

    The cross-encoder's logit, the health score, the best cosine, the mean of the best three, the
    share of the question's words in the best card, logit times cosine, the question's length in
    words, the lead of the best cosine, and the decimal logarithm of the deck's size.
    """
    cosines = sorted((hit.score for hit in hits[:HITS]), reverse=True)
    best = cosines[0]
    lead = best - cosines[1] if len(cosines) > 1 else 0.0
    return [
        logit,
        health,
        best,
        sum(cosines) / len(cosines),
        coverage(question, hits[0].card),
        logit * best,
        min(len(question.split()), 40),
        lead,
        float(np.clip(np.log10(cards), *_DECKS)),
    ]


def coverage(question: str, card: Flashcard) -> float:
    """Share of the question's stemmed content words that the card holds, 0 to 1."""
    asked = set(lexical.tokens(question))
    held = set(lexical.tokens(f"{card.topic or ''} {card.text}"))
    return len(asked & held) / len(asked) if asked else 0.0


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


@cache
def shipped() -> Relevance:
    """The models that ship with the cross-encoder, of the revision that is here."""
    return load(CALIBRATION.read_text(encoding="utf-8"))


def dump(relevance: Relevance) -> str:
    """The model as JSON."""
    return json.dumps(asdict(relevance))


def load(text: str) -> Relevance:
    """A model from `dump`.

    Raises:
        IndexMismatchError: it is of another version, or for another cross-encoder.
    """
    fields = json.loads(text)
    if fields["version"] != VERSION:
        raise IndexMismatchError(
            f"the index judges questions by model {fields['version']}, expected {VERSION}: rebuild "
            "it with 'python -m index build'"
        )
    if fields["crossencoder"] != crossencoder.revision():
        raise IndexMismatchError(
            f"the index was calibrated for cross-encoder {fields['crossencoder']}, here is "
            f"{crossencoder.revision()}: rebuild it with 'python -m index build'"
        )
    for name in ("scope", "answer"):
        parts = fields[name]
        fields[name] = Logistic(tuple(parts["weights"]), parts["bias"], parts["threshold"])
    return Relevance(**fields)
