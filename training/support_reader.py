"""Teach a small network whether a card states a sentence: `python -m training support-reader`.

    python -m training support-reader --out DIR

It learns on the hand-written pairs of training/data, over the token vectors of the shipped embedder
(`reader_model`). The pairs of every fifth card stay out: on them it is measured. Afterwards
`python -m training.support_judge` weighs it anew.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from assistant import support_reader
from assistant.support_reader import TokenPair, token_pair
from training import support_pairs
from training.pair_fit import Floats
from training.precision import without_denormals
from training.reader_model import Reader, collate, save_onnx
from training.support_pairs import Row

logger = logging.getLogger(__name__)

_WEIGHTS = "weights.pt"
_BATCH = 32
_RATE = 1e-3
_WARMUP = 100  # steps
_LEAST = 0.02  # of the rate, at the end
_SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read, train, measure, convert; prints the model's file."""
    parser = argparse.ArgumentParser(
        prog="training support-reader",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="keeps the weights")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    rows = support_pairs.with_strangers()
    pairs = [_halved(token_pair(reading)) for reading in support_pairs.readings(rows)]
    labels = np.array([row["supported"] for row in rows])
    seen = [i for i, row in enumerate(rows) if not support_pairs.held_out(row)]
    model = teach([pairs[i] for i in seen], labels[seen], options.epochs)
    torch.save(model.state_dict(), options.out / _WEIGHTS)
    for source, auroc in _measured(model, rows, pairs).items():
        logger.info("%s, cards not seen: AUROC %.3f", source, auroc)
    save_onnx(model, support_reader.MODEL)
    sys.stdout.write(f"{support_reader.MODEL}\n")
    return 0


def _halved(pair: TokenPair) -> TokenPair:
    """In 16 bit: 25,000 pairs take 2.5 GB so."""
    half = np.float16
    return TokenPair(pair.sentence.astype(half), pair.card.astype(half), pair.part)


@without_denormals()
def teach(pairs: Sequence[TokenPair], labels: Floats, epochs: int) -> Reader:
    """A reader that has seen the pairs so many times; the rate falls to its least at the end."""
    torch.manual_seed(_SEED)
    draw = random.Random(_SEED)
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
    steps = epochs * -(-len(pairs) // _BATCH)
    step = 0
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for batch in tqdm(_batches(pairs, draw), f"epoch {epoch + 1}", file=sys.stderr):
            for group in optimizer.param_groups:
                left = max(_LEAST, 1 - step / steps)
                group["lr"] = _RATE * min(1.0, (step + 1) / _WARMUP) * left
            wanted = torch.tensor(labels[batch], dtype=torch.float32)
            logits = model(*collate([pairs[i] for i in batch]))
            loss = binary_cross_entropy_with_logits(logits, wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(batch)
            step += 1
        logger.info("epoch %d, loss %.3f", epoch + 1, total / len(pairs))
    return model.eval()


def _batches(pairs: Sequence[TokenPair], draw: random.Random) -> list[list[int]]:
    """Batches of like length, in random order."""
    order = draw.sample(range(len(pairs)), len(pairs))
    pools = [order[i : i + 20 * _BATCH] for i in range(0, len(order), 20 * _BATCH)]
    batches = []
    for pool in pools:
        pool.sort(key=lambda i: len(pairs[i].sentence) + len(pairs[i].card))
        batches += [pool[i : i + _BATCH] for i in range(0, len(pool), _BATCH)]
    draw.shuffle(batches)
    return batches


def logits(model: Reader, pairs: Sequence[TokenPair]) -> Floats:
    """What the model says of each pair, (pairs,)."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].sentence) + len(pairs[i].card))
    out = np.zeros(len(pairs))
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            out[part] = model(*collate([pairs[i] for i in part])).numpy()
    return out


def _measured(model: Reader, rows: Sequence[Row], pairs: Sequence[TokenPair]) -> dict[str, float]:
    """The AUROC on the pairs of cards that it did not learn from, by where they come from."""
    from sklearn.metrics import roc_auc_score

    some = [i for i, row in enumerate(rows) if support_pairs.held_out(row)]
    scores = dict(zip(some, logits(model, [pairs[i] for i in some]), strict=True))
    figures = {}
    for source in sorted({row["source"] for row in rows}):
        part = [i for i in some if rows[i]["source"] == source]
        labels = [rows[i]["supported"] for i in part]
        figures[source] = float(roc_auc_score(labels, [scores[i] for i in part]))
    return figures
