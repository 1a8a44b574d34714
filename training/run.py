"""One training run, from top to bottom: checks, rows, model, trainer, adapter folder."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from index.errors import ExpectedError
from training import base, estimate, folder, mask, source
from training.base import Hardware
from training.card import write_card
from training.config import RunConfig
from training.record import describe, validated_at_the_end
from training.rows import Rows

logger = logging.getLogger(__name__)

_LOUD = (
    "accelerate",
    "bitsandbytes",
    "datasets",
    "gguf",
    "httpx",
    "matplotlib",
    "peft",
    "transformers",
    "trl",
)


class OutOfMemoryError(ExpectedError):
    """The run does not fit in memory; the message says what to change."""


def train(config: RunConfig, out: Path | None = None, resume: bool = False) -> Path:
    """Train an adapter and return its folder.

    Raises:
        ExpectedError: anything that can be known before training is checked before training.
    """
    quiet_libraries()
    started = time.monotonic()
    stamp = source.check_stamp(config)
    config = config.model_copy(update={"split_stamp": stamp})
    _check_trackers(config)
    model_config = base.base_config(config.base)
    tokenizer = base.load_tokenizer(config.base)
    skeleton = base.skeleton(model_config)
    modules = base.target_modules(config, skeleton)
    if config.adapter:
        base.check_adapter(config.adapter, stamp)
    machine = base.hardware(config)
    machine = estimate.settled(config, model_config, skeleton, modules, machine)
    base.check_quantisable(config, skeleton, machine)
    where = out or folder.default_folder(config)
    checkpoint = folder.find_checkpoint(where, config, resume)
    if config.check_memory:
        estimate.require_memory(config, model_config, skeleton, modules, machine)

    opened = source.open_source(config)
    training, validation = source.build_rows(config, opened, tokenizer)
    _report_rows("training", training)
    _report_rows("validation", validation)

    with _explaining_memory(config):
        model = base.load_model(config, machine)
        trainer = make_trainer(
            config, model, tokenizer, modules, machine, training, validation, where
        )
        mask.check_mask(trainer.train_dataset, training.rows, tokenizer)
        if trainer.is_world_process_zero():
            folder.start(where, config)
        if checkpoint:
            logger.info("going on from %s", checkpoint.name)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if validation.rows and not validated_at_the_end(trainer):
            trainer.evaluate()
        if trainer.args.load_best_model_at_end:
            best = trainer.state.best_global_step
            logger.info("the best validation loss was at step %s: that adapter is kept", best)
        _save(trainer, where)

    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(where)
        record = describe(trainer, config, machine, opened, training, validation)
        record["seconds"] = round(time.monotonic() - started, 1)
        record["resumed"] = checkpoint is not None
        folder.write_log(where, trainer.state.log_history)
        write_card(where, config, record)
        folder.write_record(where, record)
    return where


def make_trainer(
    config: RunConfig,
    model: Any,
    tokenizer: Any,
    modules: list[str],
    machine: Hardware,
    training: Rows,
    validation: Rows,
    where: Path,
) -> Any:
    """The trainer of a run, ready to start."""
    from datasets import Dataset, disable_progress_bars
    from peft import LoraConfig, PeftModel
    from transformers import EarlyStoppingCallback
    from transformers.trainer_callback import PrinterCallback

    from training.trainer import AnswerTrainer, Progress

    disable_progress_bars()
    adapter = None
    if config.adapter:
        model = PeftModel.from_pretrained(model, config.adapter, is_trainable=True)
    else:
        adapter = LoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=modules,
            use_rslora=config.lora.rslora,
            use_dora=config.lora.dora,
            task_type="CAUSAL_LM",
        )
    rows = Dataset.from_dict(
        {
            "input_ids": [row.ids for row in training.rows],
            "labels": [row.labels for row in training.rows],
        }
    )
    callbacks: list[Any] = [Progress()]
    if config.patience and validation.rows:
        callbacks.append(EarlyStoppingCallback(config.patience))
    trainer = AnswerTrainer(
        model=model,
        args=_arguments(config, machine, where, bool(validation.rows)),
        train_dataset=rows,
        # Only asked whether it is there: the validation loss is taken from the rows themselves.
        eval_dataset=rows.select([0]) if validation.rows else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=callbacks,
        validation=validation.rows,
        tokens_at_once=config.rows.max_tokens * max(config.batch, 2),
        plus_ratio=config.lora.plus_ratio,
    )
    adapted: Any = trainer.model
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    # TRL turns the adapter of a quantised base to bf16. It has few weights, fp16 training cannot
    # scale bf16 gradients, and late small updates vanish in 8 bits of mantissa: keep it in fp32.
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def _arguments(config: RunConfig, machine: Hardware, where: Path, validate: bool) -> Any:
    from trl.trainer.sft_config import SFTConfig

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(where / folder.TENSORBOARD)
    # A sharded model is not put back to an earlier state: there the last adapter is kept.
    keep_best = validate and config.patience is not None and not base.sharded()
    share = 1 / config.validations if config.validations > 1 else 1 - 1e-9
    return SFTConfig(
        output_dir=str(where / folder.CHECKPOINTS),
        run_name=config.name,
        seed=config.seed,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        per_device_train_batch_size=config.batch,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup if config.warmup < 1 else int(config.warmup),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim=machine.optimizer,
        neftune_noise_alpha=config.neftune_alpha,
        bf16=machine.precision == "bf16",
        fp16=machine.precision == "fp16",
        use_cpu=machine.device == "cpu",
        gradient_checkpointing=machine.checkpointing,
        packing=config.packing,
        # The rows fit already. Without packing nothing may cut them, answers least of all.
        max_length=config.rows.max_tokens if config.packing else None,
        completion_only_loss=False,  # the rows come with their labels
        train_sampling_strategy="group_by_length" if config.group_by_length else "random",
        # Shares of the steps: how many there are is known once the rows are packed.
        eval_steps=share,
        save_steps=share,
        logging_steps=0.01,
        eval_strategy="steps" if validate else "no",
        eval_on_start=validate,
        save_strategy="steps",
        save_total_limit=2,
        load_best_model_at_end=keep_best,
        metric_for_best_model="eval_loss" if validate else None,
        greater_is_better=False if validate else None,
        restore_callback_states_from_checkpoint=True,
        report_to=list(config.trackers) or "none",
        disable_tqdm=True,
        dataloader_pin_memory=machine.device == "cuda",
    )


def _save(trainer: Any, where: Path) -> None:
    """The adapter, written by all processes together where its weights are sharded."""
    trainer.save_model(str(where))
    for name in ("training_args.bin", "README.md"):
        (where / name).unlink(missing_ok=True)


def _report_rows(side: str, made: Rows) -> None:
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in sorted(made.counts().items()))
    logger.info("%s rows: %s (%s)", side, f"{len(made.rows):,}", kinds or "none")
    for reason, n in made.left_out.items():
        logger.warning("%s %s rows left out: %s", f"{n:,}", side, reason)


def _check_trackers(config: RunConfig) -> None:
    from importlib.util import find_spec

    for name in config.trackers:
        if find_spec(name) is None:
            raise ExpectedError(
                f"trackers names {name!r}, which is not installed: pip install {name}, or take it "
                "out of trackers"
            )


@contextmanager
def _explaining_memory(config: RunConfig) -> Iterator[None]:
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not known and "can't allocate memory" not in str(error):
            raise
        raise OutOfMemoryError(
            f"out of memory with batch {config.batch} and rows of up to {config.rows.max_tokens} "
            f"tokens; {estimate.advice(config)}; then go on with --resume or start anew"
        ) from error


def quiet_libraries() -> None:
    """Leave the log to this package: what the libraries say at INFO is not for its readers."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    # TRL still uses names that transformers is about to rename.
    for name in ("transformers", "trl"):
        warnings.filterwarnings("ignore", category=FutureWarning, module=name)
