"""Runs on a tiny model: the loss falls, the folder is whole, a killed one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from index.retrieve import open_split
from training import folder
from training.__main__ import main
from training.config import load_config

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


# Of an unbroken run and of one that was killed and resumed: the same arithmetic in the same order.
SAME_LOSS = 1e-6


def test_a_run_lowers_the_validation_loss(unbroken: tuple[Path, dict[str, Any]]) -> None:
    _, record = unbroken
    assert record["validation_loss"] < record["validation_loss_before"] - 0.1
    assert record["bits_per_character"] < record["bits_per_character_before"]
    assert record["steps"] == 12
    assert record["rows"]["training"]["gold"] > record["rows"]["training"]["absent"] > 0


def test_the_folder_holds_what_an_adapter_must(
    unbroken: tuple[Path, dict[str, Any]], shop: Any
) -> None:
    out, record = unbroken
    held = {path.name for path in out.iterdir()}
    assert held >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "training.yaml",
        "run.json",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "log.jsonl",
        "loss.png",
    }
    assert not held & {"training_args.bin", "optimizer.pt"}
    stamp = open_split(shop.index).stamp
    assert load_config(str(out / "training.yaml")).split_stamp == stamp == record["split_stamp"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert stamp in card
    assert f"{record['validation_loss']:.4f}" in card
    assert "not medical advice" in card
    assert list((out / "tensorboard").iterdir())
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    assert len(config["target_modules"]) == 7
    assert "lm_head" not in config["target_modules"]


KILLED = """
import importlib.util, os, signal, sys
from index import retrieve
from training.__main__ import main
from training.trainer import Progress

spec = importlib.util.spec_from_file_location("doubles", "tests/conftest.py")
doubles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doubles)
retrieve.open_embedder = lambda name: doubles.make_hash_embedder()
step_end = Progress.on_step_end

def die(self, args, state, control, **fields):
    step_end(self, args, state, control, **fields)
    if state.global_step == 8:  # the last checkpoint is at step 6
        os.kill(os.getpid(), signal.SIGKILL)

Progress.on_step_end = die
sys.exit(main(sys.argv[1:]))
"""


def test_killed_and_resumed_ends_with_the_same_loss(
    shop: Any, unbroken: tuple[Path, dict[str, Any]]
) -> None:
    arguments = shop.arguments(shop.recipe("killed"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    broken = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert broken.returncode == -signal.SIGKILL, broken.stderr[-2000:]
    out = shop.home / "killed"
    assert not (out / folder.RECORD).exists()
    assert {p.name for p in (out / folder.CHECKPOINTS).iterdir()} >= {"checkpoint-6"}

    out, record = shop.train("killed", "--resume")
    expected = unbroken[1]
    assert record["resumed"]
    assert record["steps"] == expected["steps"]
    assert record["validation_loss"] == pytest.approx(expected["validation_loss"], abs=SAME_LOSS)
    assert record["training_loss"] == pytest.approx(expected["training_loss"], abs=SAME_LOSS)

    from safetensors.torch import load_file

    left, right = (load_file(run / folder.ADAPTER) for run in (out, unbroken[0]))
    assert left.keys() == right.keys()
    assert all((left[name] - right[name]).abs().max() < SAME_LOSS for name in left)


def test_an_adapter_can_be_trained_further(
    shop: Any, unbroken: tuple[Path, dict[str, Any]]
) -> None:
    _, record = shop.train("further", adapter=str(unbroken[0]), max_steps=2)
    before = unbroken[1]["validation_loss"]
    assert record["validation_loss_before"] == pytest.approx(before, abs=1e-4)


def test_the_estimate_starts_nothing(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shop.arguments(shop.recipe("estimated"), "--estimate")) == 0
    text = capsys.readouterr().out
    assert "memory       about" in text
    assert "tokens/s" in text
    assert not (shop.home / "estimated").exists()
