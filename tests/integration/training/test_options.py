"""Every option of a run trains, alone and with the others, and the adapter says that it did."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training import folder
from training.__main__ import main
from training.trainer import AnswerTrainer

pytestmark = pytest.mark.integration

STEP: dict[str, Any] = {"max_steps": 1, "validations": 1, "rows": {"max_tokens": 512, "limit": 12}}


@pytest.mark.filterwarnings("error:.*an autograd kernel was not registered")
def test_every_option_trains_on_a_quantised_base(
    shop: Any, quantisable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    out, record = shop.train(
        "options",
        base=quantisable,
        quantization="nf4",
        optimizer="paged_adamw_8bit",  # becomes AdamW where there is no CUDA
        packing=False,
        group_by_length=True,
        neftune_alpha=5.0,
        max_steps=4,
        validations=2,
        patience=1,
        batch=2,
        lora={"rank": 4, "rslora": True, "dora": True, "plus_ratio": 8, "modules": ["q_proj"]},
    )
    assert record["nf4"]
    assert record["optimizer"] == "adamw_torch"
    assert record["validation_loss"] <= record["validation_loss_before"]
    assert "the loss mask covers exactly the answer" in caplog.text
    adapter = json.loads((out / "adapter_config.json").read_text("utf-8"))
    assert adapter["use_dora"]
    assert adapter["use_rslora"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("rslora", {"lora": {"rank": 8, "rslora": True}}),
        ("dora", {"lora": {"rank": 8, "dora": True}}),
        ("loraplus", {"lora": {"rank": 8, "plus_ratio": 16}}),
        ("neftune", {"lora": {"rank": 8}, "neftune_alpha": 5.0}),
        ("list", {"lora": {"rank": 8, "modules": ["q_proj", "v_proj"]}}),
        ("linear", {"lora": {"rank": 8}, "schedule": "linear", "warmup": 1, "weight_decay": 0.01}),
    ],
)
def test_an_option_alone_trains_and_changes_the_adapter(
    name: str, changes: dict[str, Any], shop: Any
) -> None:
    from safetensors.torch import load_file

    few = {**STEP, "max_steps": 2}
    plain = shop.home / "plain"
    if not plain.exists():
        shop.train("plain", **few, lora={"rank": 8})
    out, record = shop.train(name, **few, **changes)
    assert record["steps"] == 2
    left, right = (load_file(run / folder.ADAPTER) for run in (plain, out))
    assert any((left[k] != right[k]).any() for k in left.keys() & right.keys())
    config = json.loads((out / "adapter_config.json").read_text("utf-8"))
    assert config["use_rslora"] == (name == "rslora")
    assert config["use_dora"] == (name == "dora")
    assert len(config["target_modules"]) == (2 if name == "list" else 7)


def test_loraplus_gives_b_the_higher_rate(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: set[tuple[bool, float]] = set()
    create = AnswerTrainer.create_optimizer

    def spy(self: AnswerTrainer, model: Any = None) -> Any:
        optimizer = create(self, model)
        names = {id(p): n for n, p in self.model.named_parameters()}  # type: ignore[union-attr]
        for group in optimizer.param_groups:
            rate = round(group["lr"], 9)
            rates.update(("lora_B" in names[id(p)], rate) for p in group["params"])
        return optimizer

    monkeypatch.setattr(AnswerTrainer, "create_optimizer", spy)
    shop.train("rates", **STEP, learning_rate=1e-3, lora={"plus_ratio": 16})
    assert rates == {(False, 1e-3), (True, 16e-3)}


def test_dialogues_can_be_added(shop: Any) -> None:
    deck = shop.home / "dialogues.jsonl"
    talks = [
        {"Patient": f"My {part} has hurt for {n} days, what is it?", "Doctor": f"Rest the {part}."}
        for n, part in enumerate(("knee", "elbow", "ankle", "wrist", "shoulder", "heel", "neck"))
    ]
    deck.write_text("".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8")
    changes = {**STEP, "rows": {"max_tokens": 512, "limit": 12, "dialogues": str(deck)}}
    _, record = shop.train("dialogues", **changes)
    counts = record["rows"]
    assert counts["training"]["dialogue"] >= 4
    assert counts["training"]["dialogue"] + counts["validation"].get("dialogue", 0) == len(talks)


def test_progress_names_loss_speed_memory_and_time_left(
    shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.train("shown", max_steps=6, validations=1)
    caught = capsys.readouterr()
    last = [line for line in caught.err.replace("\r", "\n").splitlines() if "training:" in line][-1]
    for part in ("loss=", "tokens/s=", "GB=", "validation=", "6/6", "<"):
        assert part in last
    assert caught.out.strip() == str(shop.home / "shown")


def test_what_memory_cannot_hold_is_said_with_what_to_change(
    shop: Any, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(AnswerTrainer, "training_step", full)
    assert main(shop.arguments(shop.recipe("full", batch=2, **STEP))) == 2
    line = said()
    assert "out of memory with batch 2 and rows of up to 512 tokens" in line
    assert "set batch 1 with accumulation 4" in line


def test_a_tracker_that_is_not_installed_is_said(
    shop: Any, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else find(name, *a)
    )
    assert main(shop.arguments(shop.recipe("tracked", trackers=["tensorboard", "wandb"]))) == 2
    assert "pip install wandb" in said()
