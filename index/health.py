"""Is a message about health? A support vector machine over the query vector.

With the radial kernel it lets 6 % of lay health questions go at the level where 5 % of other
messages pass; a linear probe loses 10 %, a small neural network 12 % (five-fold, 4,600 questions).
It depends on the embedder alone, so it is fitted once for each embedder and kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from index.embedder import Embedder, embed
from index.paths import home
from index.store import Vectors

logger = logging.getLogger(__name__)

QUESTIONS = Path(__file__).parent / "questions"
FOLDS = 5
_GAMMA = 1.0
_COST = 3.0


@dataclass(frozen=True)
class HealthProbe:
    """Support vectors (n, dimension), their weights (n,) and the bias."""

    support: Vectors
    weights: Vectors
    bias: float

    def score(self, vector: Sequence[float]) -> float:
        """Signed distance from the border for a unit vector; positive means health."""
        # For unit vectors |x - s|^2 = 2 - 2 x.s
        near = np.exp(_GAMMA * (2.0 * (self.support @ np.asarray(vector, np.float32)) - 2.0))
        return float(near @ self.weights) + self.bias

    def save(self, path: Path) -> None:
        """Write as plain NumPy arrays."""
        np.savez(path, support=self.support, weights=self.weights, bias=np.float64(self.bias))


def load(path: Path) -> HealthProbe:
    """A probe from `HealthProbe.save`."""
    with np.load(path, allow_pickle=False) as arrays:
        return HealthProbe(arrays["support"], arrays["weights"], float(arrays["bias"]))


@dataclass(frozen=True)
class Material:
    """The fitting questions by kind with their vectors, and the probe's out-of-fold scores.

    Kinds: `lay` and `plain` (paired), `health`, and `other`, which no medical deck answers.
    """

    questions: Mapping[str, list[str]]
    vectors: Mapping[str, Vectors]
    scores: Mapping[str, Vectors]
    probe: HealthProbe


@cache
def questions(folder: Path) -> dict[str, list[str]]:
    """The project's fitting questions, by kind."""
    rows = [row for path in sorted((folder / "lay").glob("*.jsonl")) for row in _rows(path)]
    found = {"lay": [row["lay"] for row in rows], "plain": [row["plain"] for row in rows]}
    for kind in ("health", "other"):
        found[kind] = [row["question"] for row in _rows(folder / f"{kind}.jsonl")]
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def prepare(embedder: Embedder) -> Material:
    """Embed the fitting questions and fit the probe, or take both from an earlier build."""
    asked = questions(QUESTIONS)
    flat = [text for texts in asked.values() for text in texts]
    key = json.dumps([embedder.record.model_dump(), flat, _GAMMA, _COST, FOLDS])
    path = home() / "embedders" / f"health-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    try:
        # Opened here: np.load leaves a file open that proves to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            vectors, scores = arrays["vectors"], arrays["scores"]
            probe = HealthProbe(arrays["support"], arrays["weights"], float(arrays["bias"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # missing, or damaged
        logger.info("learning from %s questions what is about health (once)", f"{len(flat):,}")
        vectors = embed(embedder.model, flat)
        probe, scores = _fit(vectors, len(flat) - len(asked["other"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")  # another build may do the same
        np.savez(
            partial,
            vectors=vectors,
            scores=scores,
            support=probe.support,
            weights=probe.weights,
            bias=np.float64(probe.bias),
        )
        partial.replace(path)
    return Material(asked, _by_kind(asked, vectors), _by_kind(asked, scores), probe)


def _by_kind(asked: Mapping[str, list[str]], flat: Vectors) -> dict[str, Vectors]:
    parts: dict[str, Vectors] = {}
    start = 0
    for kind, texts in asked.items():
        parts[kind] = flat[start : start + len(texts)]
        start += len(texts)
    return parts


def _fit(vectors: Vectors, health: int) -> tuple[HealthProbe, Any]:
    """The probe, and out-of-fold scores; the first `health` vectors are about health.

    In-sample scores would look more certain than those of questions still to come.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC

    y = np.arange(len(vectors)) < health
    machine = SVC(C=_COST, gamma=_GAMMA, class_weight="balanced")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(machine, vectors, y, cv=folds, method="decision_function")
    machine.fit(vectors, y)
    probe = HealthProbe(
        machine.support_vectors_.astype(np.float32),
        machine.dual_coef_[0].astype(np.float32),
        float(machine.intercept_[0]),
    )
    return probe, scores.astype(np.float32)
