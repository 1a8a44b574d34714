"""The run's folder, which is the adapter's: what it must hold, and what may go on in it.

adapter_model.safetensors  adapter_config.json   the adapter
training.yaml                                    the resolved run, with the split's stamp
run.json                                         data, versions and figures
tokenizer files, chat_template.jinja             what it was trained with
README.md                                        the model card
log.jsonl  loss.png                              how the loss went
checkpoints/  tensorboard/                       not part of what is published
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from index.errors import ExpectedError
from index.paths import home
from training.config import RunConfig, dump, parse, read_yaml

CONFIG = "training.yaml"
RECORD = "run.json"
LOG = "log.jsonl"
PLOT = "loss.png"
ADAPTER = "adapter_model.safetensors"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
_STATE = "trainer_state.json"
# What a resumed run may change without becoming another run.
_FREE = ("check_memory", "trackers", "index")


class RunFolderError(ExpectedError):
    """The folder holds another run, or not the one that was asked for."""


def default_folder(config: RunConfig) -> Path:
    """Where a run goes when no `--out` is given."""
    return home() / "runs" / config.name


def find_checkpoint(folder: Path, config: RunConfig, resume: bool) -> Path | None:
    """The checkpoint that a run in `folder` goes on from; None to start from the beginning.

    Args:
        config: the run, with the stamp of the index's split.

    Raises:
        RunFolderError: the folder holds a run and `resume` is off, or holds a different one.
    """
    written = folder / CONFIG
    if not written.exists():
        return None
    if not resume:
        raise RunFolderError(
            f"{str(folder)!r} holds a run already: go on with it by --resume, or give another --out"
        )
    before = parse(read_yaml(written), written)
    for key, value in config:
        if key not in _FREE and getattr(before, key) != value:
            what = (
                "for another split of the cards" if key == "split_stamp" else f"with another {key}"
            )
            raise RunFolderError(
                f"{str(folder)!r} was started {what} ({getattr(before, key)!r}, now {value!r}): "
                "resume it as it was, or start anew with another --out"
            )
    return last_checkpoint(folder)


def start(folder: Path, config: RunConfig) -> None:
    """Write down what is run, so that it can be resumed as it was.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(dump(config), encoding="utf-8")
    except OSError as error:
        raise RunFolderError(
            f"cannot write to {str(folder)!r} ({error.strerror}): give another --out"
        ) from error


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; broken ones are removed."""
    found = sorted(
        (folder / CHECKPOINTS).glob("checkpoint-*"),
        key=lambda path: int(path.name.rpartition("-")[2]),
        reverse=True,
    )
    for path in found:
        if _whole(path):
            return path
        shutil.rmtree(path, ignore_errors=True)  # another process of the run may do the same
    return None


def _whole(checkpoint: Path) -> bool:
    """The trainer's state is written last: a checkpoint that was cut off has none."""
    try:
        json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (checkpoint / ADAPTER).exists()


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Data, versions and figures of a finished run."""
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")


def read_run(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Configuration and record of a finished run.

    Raises:
        RunFolderError: there is none in `folder`, or it has not finished.
    """
    for name in (CONFIG, RECORD, ADAPTER):
        if not (folder / name).is_file():
            raise RunFolderError(
                f"no finished run at {str(folder)!r} (no {name}): expected the folder that "
                "'python -m training run' printed; if it was interrupted, finish it with --resume"
            )
    config = parse(read_yaml(folder / CONFIG), folder / CONFIG)
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return config, record


def write_log(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """The log as JSON lines, and the losses as a plot."""
    with (folder / LOG).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in history)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="." if key != "loss" else "")
    axes.set(xlabel="step", ylabel="loss, nats per answer token")
    axes.legend()
    figure.savefig(folder / PLOT, dpi=120)
