"""Whether gradients are computed twice to save memory is settled by what is free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training import estimate
from training.base import Hardware, skeleton
from training.config import RunConfig

MACHINE = Hardware("cpu", "fp32", nf4=False, optimizer="adamw_torch", checkpointing=True)


def settled(monkeypatch: pytest.MonkeyPatch, free: float, **fields: object) -> bool:
    from transformers import LlamaConfig

    shape = LlamaConfig(
        vocab_size=2000, hidden_size=128, intermediate_size=320, num_hidden_layers=24,
        num_attention_heads=4,
    )  # fmt: skip
    config = RunConfig.model_validate(fields)
    model, modules = skeleton(shape), ["q_proj", "v_proj"]
    monkeypatch.setattr(estimate, "free_memory", lambda _: free)
    asked = replace(MACHINE, checkpointing=config.gradient_checkpointing is not False)
    return estimate.settled(config, shape, model, modules, asked).checkpointing


def test_nothing_is_computed_twice_where_memory_is_ample(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled(monkeypatch, free=16e9) is False


def test_scarce_memory_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled(monkeypatch, free=1.5e9) is True


@pytest.mark.parametrize("chosen", [True, False])
def test_a_stated_choice_stands(monkeypatch: pytest.MonkeyPatch, chosen: bool) -> None:
    for free in (1.5e9, 16e9):
        assert settled(monkeypatch, free, gradient_checkpointing=chosen) is chosen
