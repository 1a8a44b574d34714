"""Rows that share a sequence do not see each other: packed or not, the loss is the same."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from training import base
from training.rows import Row, Rows
from training.run import make_trainer

pytestmark = pytest.mark.integration

SAME = 1e-5  # relative; fp32, and sums in another order


def make(shop: Any, adapter: Path, rows: list[Row], tokenizer: Any, where: Path, **fields: Any):  # type: ignore[no-untyped-def]
    """A trainer without dropout, whose adapter is one that was trained."""
    import torch

    config = shop.config(adapter=str(adapter), rows={"max_tokens": 1024}, batch=2, **fields)
    machine = base.hardware(config)
    model = base.load_model(config, machine)
    trainer = make_trainer(config, model, tokenizer, [], machine, Rows(rows), Rows(rows[:1]), where)
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return trainer


def loss_and_gradient(trainer: Any) -> tuple[float, Any]:
    """Of all that the trainer would train on, summed over the answers' tokens."""
    import torch

    trainer.model.train()
    total = 0.0
    for inputs in trainer.get_train_dataloader():
        loss = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=1)
        loss.backward()
        total += float(loss.detach())
    parts = [p.grad.flatten() for p in trainer.model.parameters() if p.requires_grad]
    return total, torch.cat(parts)


def alone(model: Any, rows: list[Row], see_each_other: bool = False) -> tuple[float, Any]:
    """The same by plain cross-entropy, row by row; or as one text, which is the fault."""
    import torch

    model.zero_grad()
    model.get_base_model().set_attn_implementation("sdpa")  # transformers' own, as a reference
    total = torch.zeros(())
    pieces = [(row.ids, row.labels) for row in rows]
    if see_each_other:
        joined = [list(chain.from_iterable(part)) for part in zip(*pieces, strict=True)]
        pieces = [(joined[0], joined[1])]
    for ids, labels in pieces:
        logits = model(torch.tensor([ids])).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(
            logits, torch.tensor(labels[1:]), reduction="sum"
        )
    total.backward()
    return float(total.detach()), torch.cat(
        [p.grad.flatten() for p in model.parameters() if p.requires_grad]
    )


@pytest.mark.parametrize("gradient_checkpointing", [True, False])
def test_packed_and_unpacked_loss_are_those_of_the_rows_alone(
    gradient_checkpointing: bool,
    rows: tuple[list[Row], list[Row], Any],
    unbroken: tuple[Path, dict[str, Any]],
    shop: Any,
    tmp_path: Path,
) -> None:
    some, tokenizer = rows[0][:12], rows[2]
    expected: tuple[float, Any] | None = None
    for packing in (True, False):
        trainer = make(
            shop,
            unbroken[0],
            some,
            tokenizer,
            tmp_path,
            packing=packing,
            gradient_checkpointing=gradient_checkpointing,
        )
        if packing:
            lengths = trainer.train_dataset["seq_lengths"]
            assert max(map(len, lengths)) > 1
            assert sum(map(len, lengths)) == len(some)
        loss, gradient = loss_and_gradient(trainer)
        if expected is None:
            expected = alone(trainer.model, some)
            mixed, _ = alone(trainer.model, some[:3], see_each_other=True)
            apart, _ = alone(trainer.model, some[:3])
            assert abs(mixed - apart) > 100 * SAME * apart  # so the fault would be seen
        assert loss == pytest.approx(expected[0], rel=SAME)
        assert (gradient - expected[1]).norm() < 10 * SAME * expected[1].norm()
