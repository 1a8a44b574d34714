"""Teach a cross-encoder pairs of texts, and ask it."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from training.pair_model import Pair, PairClassifier
from training.precision import copy_weights, move_gradients, reader_of, without_denormals

logger = logging.getLogger(__name__)

Floats = np.ndarray[Any, np.dtype[np.float64]]

_WARMUP = 100  # steps
_TOLD = 100  # steps between two lines in the log


@without_denormals()
def teach(
    model: PairClassifier,
    batches: Iterator[list[Pair]],
    learning_rate: float,
    spent: Callable[[int], float],
) -> None:
    """Train in place until `spent`, the share of the run that is over at a step, reaches 1.

    The learning rate rises for a hundred steps and falls to zero at the run's end.
    """
    tuned = [p for p in model.parameters() if p.requires_grad]
    compute = reader_of(model).train()
    optimizer = torch.optim.AdamW(tuned, lr=learning_rate, weight_decay=0.01)
    total = 0.0
    for step, batch in enumerate(batches):
        done = spent(step)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / _WARMUP) * (1 - done)
        wanted = torch.tensor([float(pair.true) for pair in batch])
        copy_weights(model, compute)
        loss = binary_cross_entropy_with_logits(compute(**compute.encode(batch)).float(), wanted)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        move_gradients(compute, model)
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        total += loss.item()
        if step % _TOLD == _TOLD - 1:
            logger.info("step %d, %.0f %% done, loss %.3f", step + 1, 100 * done, total / _TOLD)
            total = 0.0


def endless(pairs: Sequence[Pair], size: int, seed: int) -> Iterator[list[Pair]]:
    """Batches of like length without end, in another order in each pass."""
    draw = random.Random(seed)
    pool = list(pairs)
    while True:
        draw.shuffle(pool)
        for start in range(0, len(pool), 20 * size):
            part = sorted(pool[start : start + 20 * size], key=_length)
            batches = [part[i : i + size] for i in range(0, len(part), size)]
            draw.shuffle(batches)
            yield from batches


def logits(model: PairClassifier, pairs: Sequence[Pair]) -> Floats:
    """What the model says of each pair, (pairs,)."""
    order = sorted(range(len(pairs)), key=lambda i: _length(pairs[i]))
    out = np.zeros(len(pairs))
    compute = reader_of(model).eval()
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            part = order[start : start + 32]
            out[part] = compute(**compute.encode([pairs[i] for i in part])).float().numpy()
    return out


def _length(pair: Pair) -> int:
    return len(pair.first) + len(pair.second)
