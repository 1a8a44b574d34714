"""Fit what judges whether a card holds a sentence: `python -m training.support_judge`.

Boosted trees (Friedman, 2001; scikit-learn's) over the features of assistant/support_features.py,
on the hand-written pairs of training/data. On the pairs of the cards that assistant/support_reader
has not learnt from, a logistic regression weighs its word with that of trees that saw neither those
cards. The threshold is where the share of wrong sentences caught there reaches `_CAUGHT`; the
figures by kind are written beside the data.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from tqdm import tqdm

from assistant import support_reader
from assistant.support_features import NAMES, features, read_beside
from assistant.support_judge import MODEL
from assistant.support_numbers import short_units
from assistant.support_reader import token_pair
from index import token_vectors
from index.cards import make_card
from training import support_pairs
from training.support_pairs import PAIRS, Row

FIGURES = PAIRS.with_name("support_figures.md")
_CAUGHT = 0.9  # of the wrong ones: the goal; rules that nothing outvotes catch a few more
_SHARES = {"pairs": 0.5, "reworded": 0.2, "passages": 0.3}  # models copy more than they reword
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

logger = logging.getLogger(__name__)

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Table:
    """What is known of the pairs: features (pairs, features), the rest (pairs,)."""

    rows: Sequence[Row]
    features: Floats
    read: Floats  # the reader's logits
    labels: Floats
    weights: Floats
    unseen: np.ndarray[Any, np.dtype[np.bool_]]  # by the reader


def main() -> int:
    """Read the pairs, fit, weigh, measure, write the model and its figures."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    table = measured(support_pairs.with_strangers())
    counted = _counted(table)
    scores, model = weighed(table, counted)
    threshold = _threshold(table, scores)
    trees = _fitted(table, np.ones(len(table.rows), bool))
    weights = [*model.coef_[0], model.intercept_[0]]
    content = exported(trees, [round(float(w), 4) for w in weights], round(threshold, 4))
    MODEL.write_text(json.dumps(content), encoding="utf-8")
    FIGURES.write_text(figures(table, scores, threshold), encoding="utf-8")
    sys.stdout.write(f"{MODEL}\n")
    return 0


def measured(rows: Sequence[Row]) -> Table:
    """The pairs with what trees and reader go by; each source counts for its share."""
    encoder, reader = token_vectors.shipped(), support_reader.shipped()
    values, read = [], []
    for row in tqdm(rows, "reading", unit=" pairs", file=sys.stderr):
        card = make_card(row["question"], short_units(row["answer"]))
        (reading,) = read_beside(short_units(row["sentence"]), [card], encoder)
        values.append(features(reading))
        read.append(reader.logit(token_pair(reading)))
    sources = np.array([row["source"] for row in rows])
    shares = {source: share / np.mean(sources == source) for source, share in _SHARES.items()}
    return Table(
        rows=rows,
        features=np.array(values),
        read=np.array(read),
        labels=np.array([float(row["supported"]) for row in rows]),
        weights=np.array([shares[source] for source in sources]),
        unseen=np.array([support_pairs.held_out(row) for row in rows]),
    )


def _fitted(table: Table, which: Any) -> GradientBoostingClassifier:
    model = GradientBoostingClassifier(**_TREES)
    return model.fit(table.features[which], table.labels[which], sample_weight=table.weights[which])


def _counted(table: Table) -> Floats:
    """The trees' logits for the pairs that the reader has not seen, by trees that have not."""
    trees = _fitted(table, ~table.unseen)
    logits: Floats = trees.decision_function(table.features[table.unseen])
    return logits


def weighed(table: Table, counted: Floats) -> tuple[Floats, LogisticRegression]:
    """Probabilities for those pairs, cross-validated without a card in two folds; the weights."""
    both = np.column_stack([counted, table.read[table.unseen]])
    labels, weights = table.labels[table.unseen], table.weights[table.unseen]
    groups = [row["question"] for row in table.rows if support_pairs.held_out(row)]
    model = LogisticRegression()
    scores = cross_val_predict(
        model,
        both,
        labels,
        groups=groups,
        cv=GroupKFold(_FOLDS, shuffle=True, random_state=_SEED),
        params={"sample_weight": weights},
        method="predict_proba",
    )[:, 1]
    return scores, model.fit(both, labels, sample_weight=weights)


def _threshold(table: Table, scores: Floats) -> float:
    """Where the weighted share of wrong sentences below is `_CAUGHT`; strangers are too easy."""
    kinds = np.array([row["kind"] for row in table.rows])[table.unseen]
    wrong = (table.labels[table.unseen] == 0) & (kinds != support_pairs.STRANGER)
    order = np.argsort(scores[wrong])
    passed = np.cumsum(table.weights[table.unseen][wrong][order])
    return float(scores[wrong][order][np.searchsorted(passed, _CAUGHT * passed[-1])])


def exported(model: Any, weights: Sequence[float], threshold: float) -> dict[str, Any]:
    """The model as plain lists; the learning rate is multiplied into the leaves."""
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
                "value": np.where(leaf, model.learning_rate * tree.value[:, 0, 0], 0)
                .round(6)
                .tolist(),
            }
        )
    start = float(np.log(share / (1 - share)))
    return {
        "features": NAMES,
        "threshold": threshold,
        "weights": weights,
        "start": round(start, 6),
        "trees": trees,
    }


def figures(table: Table, scores: Floats, threshold: float) -> str:
    """A Markdown table of the shares judged rightly, by source and kind."""
    right: dict[tuple[str, bool, str], list[bool]] = defaultdict(list)
    rows = [row for row in table.rows if support_pairs.held_out(row)]
    for row, score in zip(rows, scores, strict=True):
        correct = bool(score >= threshold) == row["supported"]
        right[row["source"], row["supported"], row["kind"]].append(correct)
        if row["kind"] != support_pairs.STRANGER:
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
