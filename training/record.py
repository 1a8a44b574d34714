"""What a finished run says of itself: data, versions and figures."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from training.base import Hardware
from training.config import RunConfig
from training.rows import Rows
from training.source import Source

_PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")


def describe(
    trainer: Any,
    config: RunConfig,
    machine: Hardware,
    opened: Source,
    training: Rows,
    validation: Rows,
) -> dict[str, Any]:
    """Data, versions and figures of a run that has ended."""
    from training.trainer import Progress, peak_memory

    history = trainer.state.log_history
    validations = [entry for entry in history if "eval_loss" in entry]
    progress = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Progress))
    speeds = sorted(progress.tokens_per_second)
    first = validations[0] if validations else None
    last = _kept(trainer, validations)
    weights = list(trainer.model.parameters())
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "split_stamp": config.split_stamp,
        "deck_hash": opened.record.deck_hash,
        "decks": opened.record.decks,
        "index_generation": opened.record.generation,
        "rows": {"training": training.counts(), "validation": validation.counts()},
        "left_out": dict(training.left_out + validation.left_out),
        "train_ids": training.card_ids(),
        "training_tokens": training.tokens,
        "steps": trainer.state.global_step,
        "training_loss": _mean_of_last([e["loss"] for e in history if "loss" in e]),
        "validation_loss_before": first and first["eval_loss"],
        "validation_loss": last and last["eval_loss"],
        "bits_per_character_before": first and first["eval_bits_per_character"],
        "bits_per_character": last and last["eval_bits_per_character"],
        "trainable_parameters": sum(p.numel() for p in weights if p.requires_grad),
        "tokens_per_second": round(speeds[len(speeds) // 2], 1) if speeds else None,
        "peak_memory_bytes": peak_memory(),
        "device": machine.device,
        "precision": machine.precision,
        "nf4": machine.nf4,
        "optimizer": machine.optimizer,
        "packages": {name: version(name) for name in _PACKAGES},
    }


def validated_at_the_end(trainer: Any) -> bool:
    """Whether the saved weights have a validation loss already."""
    steps = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    return trainer.args.load_best_model_at_end or steps[-1:] == [trainer.state.global_step]


def _kept(trainer: Any, validations: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The validation of the weights that were saved: the best, or the last."""
    if trainer.args.load_best_model_at_end and validations:
        return min(validations, key=lambda entry: float(entry["eval_loss"]))
    return validations[-1] if validations else None


def _mean_of_last(losses: list[float], share: float = 0.1) -> float | None:
    kept = losses[-max(1, round(len(losses) * share)) :]
    return sum(kept) / len(kept) if kept else None
