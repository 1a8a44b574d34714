"""Fit what judges whether a card holds a sentence: `python -m training.support_judge`.

Boosted trees (Friedman, 2001; scikit-learn's) over the features of assistant/support_features.py,
on the hand-written pairs of training/data. On the pairs of the cards that assistant/support_reader
has not learnt from, a logistic regression weighs its word with that of trees that have not either.
The threshold is where the share of wrong sentences caught there reaches `_CAUGHT`; the figures by
kind are written beside the data.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from assistant import support_reader
from assistant.support_features import NAMES, features
from assistant.support_judge import MODEL
from training import support_pairs
from training.support_pairs import PAIRS, Row

FIGURES = PAIRS.with_name("support_figures.md")
_CAUGHT = 0.9  # of the wrong ones: the goal; rules that nothing outvotes catch a few more
_SHARES = {
    "pairs": 0.4,
    "reworded": 0.1,
    "passages": 0.2,
    "twins": 0.3,
}  # copied more than reworded
_FOLDS = 5
_SEED = 20260801
_TREES: dict[str, Any] = {
    "n_estimators": 300,
    "max_depth": 4,
    "learning_rate": 0.05,
    "subsample": 0.7,
    "max_features": 0.4,
    "min_samples_leaf": 12,
    "random_state": _SEED,
}

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Table:
    """Pairs and their features (pairs, features)."""

    rows: Sequence[Row]
    features: Floats

    def part(self, which: Flags) -> Table:
        """The pairs for which the flags, (pairs,), are set."""
        rows = [row for row, flag in zip(self.rows, which, strict=True) if flag]
        return Table(rows, self.features[which])

    @property
    def labels(self) -> Floats:
        """1 where the card holds the sentence, (pairs,)."""
        return np.array([float(row["supported"]) for row in self.rows])

    @property
    def weights(self) -> Floats:
        """Each source counts for its share, (pairs,)."""
        sources = np.array([row["source"] for row in self.rows])
        shares = {source: share / np.mean(sources == source) for source, share in _SHARES.items()}
        return np.array([shares[source] for source in sources])


def main() -> int:
    """Read the pairs, fit, weigh, measure, write the model and its figures."""
    table, heard = measured(support_pairs.with_strangers())
    unseen = np.array([support_pairs.held_out(row) for row in table.rows])
    fresh = table.part(unseen)
    counted = _fitted(table.part(~unseen)).decision_function(fresh.features)
    scores, model = weighed(fresh, counted, heard)
    threshold = _threshold(fresh, scores)
    content = exported(_fitted(table), model, threshold)
    MODEL.write_text(json.dumps(content), encoding="utf-8")
    FIGURES.write_text(figures(fresh, scores, threshold), encoding="utf-8")
    sys.stdout.write(f"{MODEL}\n")
    return 0


def measured(rows: Sequence[Row]) -> tuple[Table, Floats]:
    """The features that the trees go by, and the reader's logits of the pairs held out from it."""
    reader = support_reader.shipped()
    values, heard = [], []
    for row, reading in zip(rows, support_pairs.readings(rows), strict=True):
        values.append(features(reading))
        if support_pairs.held_out(row):
            heard.append(reader.logit(reading))
    return Table(rows, np.array(values)), np.array(heard)


def _fitted(table: Table) -> GradientBoostingClassifier:
    model = GradientBoostingClassifier(**_TREES)
    return model.fit(table.features, table.labels, sample_weight=table.weights)


def weighed(fresh: Table, counted: Floats, heard: Floats) -> tuple[Floats, LogisticRegression]:
    """Probabilities of the pairs, cross-validated without a card in two folds; the weights.

    Args:
        fresh: pairs that neither reader nor trees have seen.
        counted: the trees' logits for them.
        heard: the reader's.
    """
    both = np.column_stack([counted, heard])
    model = LogisticRegression()
    scores = cross_val_predict(
        model,
        both,
        fresh.labels,
        groups=[row["question"] for row in fresh.rows],
        cv=GroupKFold(_FOLDS, shuffle=True, random_state=_SEED),
        params={"sample_weight": fresh.weights},
        method="predict_proba",
    )[:, 1]
    return scores, model.fit(both, fresh.labels, sample_weight=fresh.weights)


def _threshold(fresh: Table, scores: Floats) -> float:
    """Where the weighted share of wrong sentences below is `_CAUGHT`; made-up ones are too easy."""
    easy = np.array([row["kind"] in support_pairs.EASY for row in fresh.rows])
    wrong = (fresh.labels == 0) & ~easy
    order = np.argsort(scores[wrong])
    passed = np.cumsum(fresh.weights[wrong][order])
    return float(scores[wrong][order][np.searchsorted(passed, _CAUGHT * passed[-1])])


def exported(model: Any, weighing: LogisticRegression, threshold: float) -> dict[str, Any]:
    """The model as plain lists; learning rate and weight are multiplied into the leaves."""
    counted, heard = weighing.coef_[0]
    share = float(model.init_.class_prior_[1])
    trees = []
    for (fitted,) in model.estimators_:
        tree = fitted.tree_
        leaf = tree.children_left < 0
        trees.append(
            {
                "feature": np.where(leaf, -1, tree.feature).tolist(),
                "threshold": np.where(leaf, 0, tree.threshold).round(6).tolist(),
                "left": tree.children_left.tolist(),
                "right": tree.children_right.tolist(),
                "value": np.where(leaf, counted * model.learning_rate * tree.value[:, 0, 0], 0)
                .round(6)
                .tolist(),
            }
        )
    start = weighing.intercept_[0] + counted * np.log(share / (1 - share))
    return {
        "features": NAMES,
        "threshold": round(threshold, 4),
        "reader": round(float(heard), 6),
        "start": round(float(start), 6),
        "trees": trees,
    }


def figures(fresh: Table, scores: Floats, threshold: float) -> str:
    """A Markdown table of the shares judged rightly, by source and kind."""
    right: dict[tuple[str, bool, str], list[bool]] = defaultdict(list)
    for row, score in zip(fresh.rows, scores, strict=True):
        correct = bool(score >= threshold) == row["supported"]
        right[row["source"], row["supported"], row["kind"]].append(correct)
        if row["kind"] not in support_pairs.EASY:
            right[row["source"], row["supported"], "all"].append(correct)
    lines = [
        f"On the cards that trees and reader have not seen; threshold {threshold:.3f}.",
        "",
        "| pairs | label | kind | judged rightly |",
        "|---|---|---|---|",
    ]
    for (source, supported, kind), values in sorted(right.items()):
        label = "good" if supported else "wrong"
        lines.append(f"| {source} | {label} | {kind} | {np.mean(values):.2f} of {len(values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
