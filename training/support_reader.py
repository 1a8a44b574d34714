"""Teach a small transformer whether a card states a sentence: `python -m training support-reader`.

    python -m training support-reader --embedder DIR --out DIR [--start WEIGHTS] [--minutes N]

It learns on the hand-written pairs of training/data and on made-up ones (`support_drill`). The
pairs of every fifth card stay out: on them it is measured. Afterwards
`python -m training.support_judge` weighs it anew.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from assistant import support_reader
from assistant.support_reader import card_side
from training import pair_fit, support_drill, support_pairs
from training.pair_fit import Floats
from training.pair_model import Pair, PairClassifier, read_start, save_int8
from training.support_pairs import Row

logger = logging.getLogger(__name__)

LAYERS = 6
_WEIGHTS = "weights.pt"
_BATCH = 32
_DRILLED = 3_000  # cards that are made up, of eight pairs each
_SEED = 20260801


def main(argv: Sequence[str] | None = None) -> int:
    """Read, train, measure, convert; prints the model's file."""
    parser = argparse.ArgumentParser(
        prog="training support-reader",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--embedder", type=Path, required=True, help="checkpoint to start from")
    parser.add_argument("--out", type=Path, required=True, help="keeps the weights")
    parser.add_argument("--start", type=Path, help="weights of an earlier run, to go on from")
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--rate", type=float, default=1e-4)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(_SEED)
    model = PairClassifier(options.embedder, LAYERS, support_reader.MAX_TOKENS)
    if options.start:
        read_start(model, options.start)
    rows = [*support_pairs.with_strangers(), *support_drill.pairs(_DRILLED, _SEED)]
    pairs = as_read(rows)
    seen = [pair for pair, row in zip(pairs, rows, strict=True) if not support_pairs.held_out(row)]
    logger.info("%s pairs to learn from, %s not", f"{len(seen):,}", f"{len(rows) - len(seen):,}")
    started = time.monotonic()
    pair_fit.teach(
        model,
        pair_fit.endless(seen, _BATCH, _SEED),
        options.rate,
        lambda _: (time.monotonic() - started) / (60 * options.minutes),
    )
    torch.save(model.state_dict(), options.out / _WEIGHTS)
    save_int8(model, support_reader.MODEL)
    for name, auroc in measured(model, rows, pairs).items():
        logger.info("%s, cards not seen: AUROC %.3f", name, auroc)
    sys.stdout.write(f"{support_reader.MODEL}\n")
    return 0


def as_read(rows: Sequence[Row]) -> list[Pair]:
    """Each sentence beside what is read of its card."""
    readings = support_pairs.readings(rows)
    return [
        Pair(reading.sentence, card_side(reading), row["supported"])
        for row, reading in zip(rows, readings, strict=True)
    ]


def measured(model: PairClassifier, rows: Sequence[Row], pairs: Sequence[Pair]) -> dict[str, float]:
    """The AUROC on the pairs of cards not learnt from, by source.

    Made-up wrong sentences are left out: they are too easy.
    """
    from sklearn.metrics import roc_auc_score

    some = [
        i
        for i, row in enumerate(rows)
        if support_pairs.held_out(row) and row["kind"] not in support_pairs.EASY
    ]
    scores: Floats = pair_fit.logits(model, [pairs[i] for i in some])
    figures = {}
    for source in sorted({rows[i]["source"] for i in some}):
        part = [n for n, i in enumerate(some) if rows[i]["source"] == source]
        labels = [rows[some[n]]["supported"] for n in part]
        figures[source] = float(roc_auc_score(labels, scores[part]))
    return figures
