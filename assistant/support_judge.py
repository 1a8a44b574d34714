"""The probability that a card holds a sentence, of fitted trees and the reader together.

Fitted by training/support_judge.py on hand-written pairs; kept as JSON, so nothing is unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from assistant.support_features import NAMES

MODEL = Path(__file__).parent / "support_judge.json"


@dataclass(frozen=True, slots=True)
class Tree:
    """A regression tree as parallel lists; a leaf has feature -1, and only its value counts."""

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]

    def __call__(self, row: Sequence[float]) -> float:
        node = 0
        while (feature := self.feature[node]) >= 0:
            below = row[feature] <= self.threshold[node]
            node = self.left[node] if below else self.right[node]
        return self.value[node]


@dataclass(frozen=True, slots=True)
class Judge:
    """A logit: the sum of the trees and of the reader's, weighed; held from `threshold` on."""

    start: float
    trees: tuple[Tree, ...]
    reader: float  # the weight of its word
    threshold: float

    def probability(self, row: Sequence[float], read: float) -> float:
        """Of the values of `NAMES` and of the logit of `support_reader`."""
        logit = self.start + sum(tree(row) for tree in self.trees) + self.reader * read
        return 1 / (1 + math.exp(-logit))


def read_judge(path: Path = MODEL) -> Judge:
    """A fitted judge.

    Raises:
        ValueError: it was fitted on other features than this version computes.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if tuple(content["features"]) != NAMES:
        raise ValueError(
            f"{path.name} was fitted on other features: run 'python -m training.support_judge'"
        )
    trees = tuple(Tree(**tree) for tree in content["trees"])
    return Judge(content["start"], trees, content["reader"], content["threshold"])


@cache
def shipped() -> Judge:
    """The judge of this package, read once."""
    return read_judge()
