"""Whether a system knows when not to answer: ranking, risk at each coverage, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.relevance import calibration_error


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how sure the system was, how often it was right."""

    low: float
    confidence: float
    right: float
    count: int


def auroc(confidences: Sequence[float], answerable: Sequence[bool]) -> float | None:
    """Chance that an answerable question gets the higher confidence than one that is not.

    Ties count half. None where one of the two kinds is absent.
    """
    if len(set(answerable)) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(list(answerable), list(confidences)))


def risk_coverage(
    confidences: Sequence[float], risks: Sequence[float]
) -> list[tuple[float, float]]:
    """(coverage, mean risk of what is answered) as ever less certain questions are answered.

    Within a tie the order is arbitrary, so each of a tie gets the tie's mean risk.
    """
    order = np.argsort(-np.asarray(confidences), kind="stable")
    sure = np.asarray(confidences, dtype=float)[order]
    risk = np.asarray(risks, dtype=float)[order]
    for value in np.unique(sure):
        risk[sure == value] = risk[sure == value].mean()
    counts = np.arange(1, len(risk) + 1)
    return [
        (float(n) / len(risk), float(mean))
        for n, mean in zip(counts, np.cumsum(risk) / counts, strict=True)
    ]


def aurc(confidences: Sequence[float], risks: Sequence[float]) -> float | None:
    """Area under the risk-coverage curve: the mean risk over all coverages; lower is better."""
    curve = risk_coverage(confidences, risks)
    return float(np.mean([risk for _, risk in curve])) if curve else None


def expected_calibration_error(
    confidences: Sequence[float], right: Sequence[bool], bins: int = 10
) -> float | None:
    """Mean gap between confidence and share of right answers over bins of equal width."""
    if not confidences:
        return None
    return calibration_error(np.asarray(confidences), np.asarray(right, dtype=float), bins)


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[Bin]:
    """The bins of the reliability diagram that hold an answer."""
    sure, good = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    places = np.minimum((sure * bins).astype(int), bins - 1)
    return [
        Bin(p / bins, float(sure[places == p].mean()), float(good[places == p].mean()), int(n))
        for p in range(bins)
        if (n := (places == p).sum())
    ]
