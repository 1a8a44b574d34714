"""Turn the cross-encoder's logits into probabilities, and choose the thresholds of refusal.

    python -m training calibration --index DIR ... --reworded DIR SET [DECK] --other FILE

The questions are validation-side cards in their own words and hand-written lay questions about
cards of the index `DIR` (`SET`: rows with `question` and `card_id`, or `standin_id`, the `id` of a
row of `DECK`), each asked with its card in the deck and without; hand-written lay questions of no
card; questions of which a reader said whether a card answers them (`training/data/lay_cards.jsonl`:
lay people's, beside starter cards; `asked_cards.jsonl`: learners' and patients', written without
sight of any deck, beside what was found for them in both decks); and messages of no medical kind.
Writes `calibration.json` beside the model.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index import crossencoder, relevance
from index.cards import card_id
from index.config import DEFAULT_EMBEDDER
from index.crossencoder import CrossEncoder
from index.embedder import Embedder, embed, open_embedder
from index.health import QUESTIONS
from index.leave_out import Found, LeaveOut, open_leave_out
from index.relevance import Logistic, Relevance, calibration_error
from index.retrieve import open_split
from training.crossencoder_data import read_jsonl

logger = logging.getLogger(__name__)

_CARDS = 300  # of the validation side of each index
# People rarely ask in a card's own words, but most of the rows do; and of the many questions that
# were written without sight of a deck, hardly any is covered.
_WEIGHTS = {"lay": 3.0, "asked": 0.3}
_FOLDS = 5
_READ = {"judged": "lay_cards.jsonl", "asked": "asked_cards.jsonl"}  # by a reader
_PEOPLES = ("lay", "hand", *_READ)  # kinds of questions in people's own words
KINDS = ("own", *_PEOPLES, "other")
LAY = QUESTIONS / "lay"
_DATA = Path(__file__).parent / "data"
_HAND = 700  # of the hand-written questions, over each index
# Cosines of a hand-written question's plain form with the found card's question.
_NOT_THE_SAME, _THE_SAME = 0.5, 0.82
_LOSE_RIGHT = 0.05  # share of the lay questions with the right card found that may be refused
_REFUSE_OTHER = 0.97  # share of the messages of no medical kind that must be refused


@dataclass(frozen=True)
class Seen:
    """One question with its best card: what the models read, and what was true of it."""

    features: tuple[float, ...]
    right: bool
    kind: str  # of KINDS
    group: str  # questions of one card stay in one fold


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and write; prints the figures."""
    parser = argparse.ArgumentParser(
        prog="training calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--index", dest="indexes", type=Path, action="append", required=True)
    parser.add_argument("--reworded", type=Path, nargs="+", action="append", default=[])
    parser.add_argument("--other", type=Path, required=True, help="JSONL of messages to refuse")
    parser.add_argument("--model", type=Path, default=crossencoder.MODELS / crossencoder.NAME)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    model = CrossEncoder(options.model / crossencoder.MODEL)
    embedder = open_embedder(DEFAULT_EMBEDDER)
    seen: list[Seen] = []
    for folder in options.indexes:
        leave = open_leave_out(folder)
        seen += _own(leave, folder, model)
        seen += _other(leave, options.other, model)
        seen += _hand(leave, model, embedder)
        for kind, name in _READ.items():
            seen += _judged(leave, _DATA / name, kind, model)
        for of, questions, *deck in options.reworded:
            if of == folder:
                seen += _lay(leave, questions, deck[0] if deck else None, model)
        logger.info("%s: %s questions so far", folder, f"{len(seen):,}")
    fitted = fit(seen, crossencoder.revision(options.model))
    target = options.model / relevance.CALIBRATION.name
    target.write_text(relevance.dump(fitted) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(fitted.figures, indent=1) + "\n")
    return 0


def _own(leave: LeaveOut, folder: Path, model: CrossEncoder) -> Iterator[Seen]:
    cards = open_split(folder).select(leave.cards, "validation")
    for card in random.Random(0).sample(cards, min(_CARDS, len(cards))):
        for removed in (False, True):
            found = leave.found(card.question, card.id, removed=removed)
            yield _seen(found, "own", model, len(leave.cards), right=found.right and not removed)


def _other(leave: LeaveOut, questions: Path, model: CrossEncoder) -> Iterator[Seen]:
    for row in read_jsonl(questions):
        found = leave.found(row["question"])
        yield _seen(found, "other", model, len(leave.cards), right=False)


def _hand(leave: LeaveOut, model: CrossEncoder, embedder: Embedder) -> Iterator[Seen]:
    """Hand-written lay questions whose subject the deck plainly has, or plainly has not."""
    rows = [row for path in sorted(LAY.glob("*.jsonl")) for row in read_jsonl(path)]
    rows = random.Random(1).sample(rows, min(_HAND, len(rows)))
    plain = embed(embedder.model, [row["plain"] for row in rows])
    hits = [leave.found(row["lay"]) for row in rows]
    best = embed(embedder.model, [found.hits[0].card.question for found in hits])
    for found, likeness in zip(hits, (plain * best).sum(axis=1).tolist(), strict=True):
        if not _NOT_THE_SAME <= likeness <= _THE_SAME:
            right = likeness > _THE_SAME
            yield _seen(found, "hand", model, len(leave.cards), right=right)


def _judged(leave: LeaveOut, path: Path, kind: str, model: CrossEncoder) -> Iterator[Seen]:
    """Questions beside the card that a reader compared them with, where the deck has it."""
    ids = {card.question: card.id for card in leave.cards}
    held = {card.id for card in leave.cards}
    for row in read_jsonl(path):
        card = row["card_id"] if "card_id" in row else ids.get(row["card"])
        if card not in held:
            continue
        found = leave.found(row["lay"], card)
        if not row["answers"]:  # nor does a card near it
            yield _seen(found, kind, model, len(leave.cards), right=False)
        elif found.right:  # of another card nobody said whether it answers
            yield _seen(found, kind, model, len(leave.cards), right=True)


def _lay(
    leave: LeaveOut, questions: Path, deck: Path | None, model: CrossEncoder
) -> Iterator[Seen]:
    rows = read_jsonl(deck) if deck else []
    ids = {row["id"]: card_id(row["question"], row["answer"]) for row in rows}
    for row in read_jsonl(questions):
        card = row.get("card_id") or ids[row["standin_id"]]
        for removed in (False, True):
            found = leave.found(row["question"], card, removed=removed)
            yield _seen(found, "lay", model, len(leave.cards), right=found.right and not removed)


def _seen(found: Found, kind: str, model: CrossEncoder, cards: int, *, right: bool) -> Seen:
    logit = model.logit(found.question, found.hits[0].card)
    values = relevance.features(found.question, logit, found.health, found.hits, cards)
    return Seen(tuple(values), right, kind, found.question)


def fit(seen: Sequence[Seen], revision: str) -> Relevance:
    """The models of `index.relevance`; every figure is of questions that its model has not seen."""
    x = np.array([s.features for s in seen])
    right = np.array([s.right for s in seen])
    kind = np.array([s.kind for s in seen])
    weights = np.array([_WEIGHTS.get(s.kind, 1.0) for s in seen])
    groups = np.array([s.group for s in seen])
    answer, confidence = _fit(x, right, weights, groups)
    scope, scope_p = _fit(x, kind != "other", np.minimum(weights, 1.0), groups)
    scope_threshold = float(np.quantile(scope_p[kind == "other"], _REFUSE_OTHER))
    found = right & np.isin(kind, _PEOPLES if np.isin(kind, _PEOPLES).any() else ("own",))
    threshold = float(np.quantile(confidence[found], _LOSE_RIGHT))
    refused = (confidence < threshold) | (scope_p < scope_threshold)
    figures = {"calibration error": calibration_error(confidence, right)}
    for name in KINDS:
        inside = kind == name
        if inside.any():
            figures[f"{name}: calibration error"] = calibration_error(
                confidence[inside], right[inside]
            )
            figures[f"{name}: refused, right card"] = _share(refused[inside & right])
            figures[f"{name}: refused, other card"] = _share(refused[inside & ~right])
    return Relevance(
        version=relevance.VERSION,
        crossencoder=revision,
        scope=Logistic(*scope, scope_threshold),
        answer=Logistic(*answer, threshold),
        fitted_on={name: int((kind == name).sum()) for name in KINDS},
        figures={name: round(value, 4) for name, value in figures.items()},
    )


def _fit(x: Any, y: Any, weights: Any, groups: Any) -> tuple[tuple[tuple[float, ...], float], Any]:
    """Weights and bias of a logistic model, and its out-of-fold probabilities."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=2000))
    out = np.zeros(len(y))
    for train, test in GroupKFold(_FOLDS, shuffle=True, random_state=0).split(x, y, groups):
        model.fit(x[train], y[train], logisticregression__sample_weight=weights[train])
        out[test] = model.predict_proba(x[test])[:, 1]
    model.fit(x, y, logisticregression__sample_weight=weights)
    scale, logistic = model[0], model[1]
    slopes = logistic.coef_[0] / scale.scale_
    return (tuple(slopes.tolist()), float(logistic.intercept_[0] - slopes @ scale.mean_)), out


def _share(which: Any) -> float:
    return float(which.mean()) if len(which) else 0.0
