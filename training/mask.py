"""The check at the start: the loss must be taken on the answers, and on nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from index.errors import ExpectedError
from training.rows import Row

logger = logging.getLogger(__name__)

_SHOWN = 60  # tokens before the answer


class WrongMaskError(ExpectedError):
    """The loss would be taken on something else than the answers."""


def check_mask(dataset: Any, rows: Sequence[Row], tokenizer: Any) -> None:
    """Compare what will be trained on, after every preparation, with the rows it came from.

    Raises:
        WrongMaskError: a sequence is not one of the rows, or its mask is not its answer.
    """
    expected = {tuple(row.ids): row for row in rows}
    shown = False
    seen = 0
    for item in dataset:
        for ids, labels in sequences(item):
            row = expected.get(tuple(ids))
            if row is None:
                raise WrongMaskError(
                    "a training sequence is none of the rows (it may be cut off): expected whole "
                    f"rows, got one that ends in {tokenizer.decode(ids[-12:])!r}; raise "
                    "rows.max_tokens"
                )
            if labels != row.labels:
                covered = tokenizer.decode([label for label in labels if label != -100])
                raise WrongMaskError(
                    f"the loss would be taken on {covered[:200]!r}: expected the answer "
                    f"{row.target[:200]!r}; this is a fault of the program, please report it"
                )
            if not shown:
                show(row, tokenizer)
                shown = True
            seen += 1
    if seen == 0:
        raise WrongMaskError("there is nothing to train on: expected rows; check rows and the deck")
    logger.info("the loss mask covers exactly the answer in all %s sequences", f"{seen:,}")


def sequences(item: Mapping[str, Any]) -> Iterator[tuple[list[int], list[int]]]:
    """The sequences of a prepared item, which holds several if it is a pack."""
    ids, labels = list(item["input_ids"]), list(item["labels"])
    start = 0
    for length in item.get("seq_lengths") or [len(ids)]:
        yield ids[start : start + length], labels[start : start + length]
        start += length


def show(row: Row, tokenizer: Any) -> None:
    """One example as it is trained on: the end of the prompt, masked, then the answer."""
    logger.info(
        "an example (%s, %d tokens masked, %d trained on):\n  masked:  ...%r\n  trained: %r",
        row.kind,
        len(row.prompt),
        len(row.answer),
        tokenizer.decode(row.prompt[-_SHOWN:]),
        tokenizer.decode(row.answer),
    )
