"""Two processes train what one trains, with the base whole in each or sharded between them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training import folder

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
FSDP = ROOT / "training" / "fsdp.yaml"
# accelerate shards on accelerators only. On a CPU this lifts that one condition; what then shards,
# trains, gathers and saves is accelerate's and torch's own code, over gloo.
CHILD = """
import importlib.util, os, sys
import accelerate.state
from accelerate.utils import DistributedType
from index import retrieve
from training import run
from training.__main__ import main

spec = importlib.util.spec_from_file_location("doubles", "tests/conftest.py")
doubles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doubles)
retrieve.open_embedder = lambda name: doubles.make_hash_embedder()
prepare = accelerate.state.AcceleratorState.__init__

def shard_on_cpu(self, *args, fsdp_plugin=None, **fields):
    prepare(self, *args, fsdp_plugin=fsdp_plugin, **fields)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

accelerate.state.AcceleratorState.__init__ = shard_on_cpu
save = run._save

def count(trainer, where):
    save(trainer, where)
    parts = [p.to_local() if hasattr(p, "to_local") else p for p in trainer.model.parameters()]
    held, whole = (sum(p.numel() for p in ps) for ps in (parts, trainer.model.parameters()))
    (where / f"held-{os.environ['RANK']}").write_text(str(held / whole))

run._save = count
sys.exit(main(sys.argv[1:]))
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def of_accelerate() -> dict[str, str]:
    """What `accelerate launch --config_file training/fsdp.yaml` sets for its processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    options = ["--config_file", str(FSDP), "-m", "training", "run", "default"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args(options))
    assert arguments.use_fsdp
    assert arguments.num_processes == 2
    made: dict[str, str] = prepare_multi_gpu_env(arguments)
    return {k: v for k, v in made.items() if k.startswith(("FSDP_", "ACCELERATE_"))}


def launch(arguments: list[str], **more: str) -> None:
    """Both processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            cwd=ROOT,
            env=environment(RANK=str(n), LOCAL_RANK=str(n), LOCAL_WORLD_SIZE="2", **common, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    try:
        said = [process.communicate(timeout=600) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [p.returncode for p in processes] == [0, 0], said[0][1][-3000:] + said[1][1][-3000:]
    out = arguments[arguments.index("--out") + 1]
    assert [text.strip() for text, _ in said] == [out, ""]


CHANGES: dict[str, Any] = {
    "quantization": "nf4",
    "lora": {"rank": 8, "dropout": 0.0},
    "max_steps": 4,
    "validations": 2,
    "trackers": [],
}


@pytest.fixture(scope="module")
def alone(shop: Any, quantisable: Path) -> dict[bool, dict[str, Any]]:
    """The records of one process that takes the rows of both.

    Patience keeps the best adapter; where the model is sharded, the last one stays.
    """
    return {
        sharded: shop.train(
            alone_name(sharded),
            base=quantisable,
            accumulation=2,
            **CHANGES,
            **({} if sharded else {"patience": 2}),
        )[1]
        for sharded in (True, False)
    }


def alone_name(sharded: bool) -> str:
    return "alone-last" if sharded else "alone-best"


@pytest.mark.parametrize("sharded", [True, False])
def test_two_processes_train_what_one_trains(
    sharded: bool, alone: dict[bool, dict[str, Any]], shop: Any, quantisable: Path
) -> None:
    from safetensors.torch import load_file

    name = "sharded" if sharded else "whole"
    recipe = shop.recipe(name, accumulation=1, patience=2, **CHANGES)
    launch(shop.arguments(recipe, base=quantisable), **(of_accelerate() if sharded else {}))
    out = shop.home / name
    held = [float((out / f"held-{n}").read_text()) for n in range(2)]
    assert sum(held) == pytest.approx(1 if sharded else 2, abs=0.01)
    record = json.loads((out / folder.RECORD).read_text(encoding="utf-8"))
    assert record["nf4"]
    for key in ("validation_loss_before", "validation_loss", "training_loss"):
        assert record[key] == pytest.approx(alone[sharded][key], abs=1e-4)
    own, expected = (
        load_file(run / folder.ADAPTER) for run in (out, shop.home / alone_name(sharded))
    )
    assert own.keys() == expected.keys()
    assert all(own[k].shape == expected[k].shape for k in own)
    # Adam divides by the gradient's size: where that is near zero, rounding decides the step.
    assert max(float((own[k] - expected[k]).abs().max()) for k in own) < 2e-3
