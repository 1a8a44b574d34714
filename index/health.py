"""Is a message about health? A support vector machine over the query vector.

With the radial kernel it lets 6 % of lay health questions go at the level where 5 % of other
messages pass; a linear probe loses 10 %, a small neural network 12 % (five-fold, 4,600 questions).
It depends on the embedder and the fitting questions alone. That of the shipped embedder ships; for
another one it is fitted once and kept. After a change to either, `python -m index build` leaves the
new one in MEDCARDS_HOME/embedders, and a test says which file to put into index/models.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from index.embedder import Embedder, embed
from index.paths import home
from index.store import Vectors

logger = logging.getLogger(__name__)

QUESTIONS = Path(__file__).parent / "questions"
SHIPPED = Path(__file__).parent / "models"
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
    # Opened here: np.load leaves a file open that proves to be no archive.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return HealthProbe(arrays["support"], arrays["weights"], float(arrays["bias"]))


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


def prepare(embedder: Embedder) -> HealthProbe:
    """The probe of an embedder: the shipped one, that of an earlier build, or else a fitted one."""
    asked = questions(QUESTIONS)
    flat = [text for texts in asked.values() for text in texts]
    key = json.dumps([embedder.record.model_dump(), flat, _GAMMA, _COST])
    name = f"health-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    path = home() / "embedders" / name
    for kept in (SHIPPED / name, path):
        # Missing, or damaged.
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, BadZipFile):
            return load(kept)
    logger.info("learning from %s questions what is about health (once)", f"{len(flat):,}")
    probe = _fit(embed(embedder.model, flat), len(flat) - len(asked["other"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")  # another build may do the same
    probe.save(partial)
    partial.replace(path)
    return probe


def _fit(vectors: Vectors, health: int) -> HealthProbe:
    """The probe of unit vectors (n, dimension), the first `health` of which are about health."""
    from sklearn.svm import SVC

    machine = SVC(C=_COST, gamma=_GAMMA, class_weight="balanced")
    machine.fit(vectors, np.arange(len(vectors)) < health)
    return HealthProbe(
        machine.support_vectors_.astype(np.float32),
        machine.dual_coef_[0].astype(np.float32),
        float(machine.intercept_[0]),
    )
