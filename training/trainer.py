"""TRL's `SFTTrainer`, with an exact validation loss, LoRA+ and a progress line.

Importing this module imports torch: only a run does.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from bitsandbytes.nn.modules import Linear4bit
from peft.optimizers import create_loraplus_optimizer
from torch.distributed.tensor import DTensor
from tqdm import tqdm
from transformers import TrainerCallback
from trl.trainer.sft_trainer import SFTTrainer

from training.rows import Row

GIGABYTE = 1e9


class AnswerTrainer(SFTTrainer):
    """Trains on answers.

    The validation loss is the mean over all answer tokens. The Trainer's own is a mean of means
    over batches, which changes with the batch size and cannot be turned into bits.
    """

    def __init__(
        self,
        *args: Any,
        validation: Sequence[Row],
        tokens_at_once: int,
        plus_ratio: float | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._validation = validation
        self._tokens_at_once = tokens_at_once
        self._plus_ratio = plus_ratio

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; the bar is closed whatever happens, so that an error has a line of its own."""
        try:
            return super().train(*args, **kwargs)
        finally:
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, Progress):
                    callback.close()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Loss in nats a token and bits a character over the validation rows."""
        del eval_dataset, ignore_keys
        loss, bits = self.measure(self._validation)
        metrics = {
            f"{metric_key_prefix}_loss": loss,
            f"{metric_key_prefix}_bits_per_character": bits,
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    @torch.no_grad()
    def measure(self, rows: Sequence[Row]) -> tuple[float, float]:
        """Loss in nats a token and bits a character of the answers, the end of turn included."""
        model: Any = self.model_wrapped
        tokenizer: Any = self.processing_class
        evaluation_mode(model)
        total, tokens = 0.0, 0
        for batch in batches(rows, self._tokens_at_once, tokenizer.pad_token_id):
            inputs = {name: tensor.to(self.args.device) for name, tensor in batch.items()}
            with self.accelerator.autocast():
                outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            total -= float(outputs.log_probs.double().sum())
            tokens += int(outputs.label_mask.sum())
        characters = sum(len(row.target) for row in rows)
        return total / tokens, total / math.log(2) / characters

    def create_optimizer(self, model: Any = None) -> Any:
        """The configured optimizer; LoRA+ gives the B matrices a higher learning rate."""
        if self.optimizer is None and self._plus_ratio is not None:
            adapted: Any = self.model
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, adapted)
            self.optimizer = create_loraplus_optimizer(
                adapted,
                kind,
                loraplus_lr_ratio=self._plus_ratio,
                loraplus_weight_decay=self.args.weight_decay,
                **options,
            )
        return super().create_optimizer(model)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the adapter. One that is sharded is put together by all processes first."""
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)
            return
        adapted: Any = self.model
        weights = {n: w.detach() for n, w in adapted.named_parameters() if w.requires_grad}
        whole = {n: _together(w) for n, w in weights.items()}
        if self.args.should_save:
            self._save(output_dir, state_dict=whole)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Nothing: the card is made from the finished run, not for each checkpoint."""


def _together(weight: Any) -> Any:
    """The whole of a weight that may be sharded; every process must ask."""
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def evaluation_mode(model: Any) -> None:
    """Turn dropout off, and leave 4-bit layers as they are.

    In evaluation mode, on a CPU with AVX512-BF16, bitsandbytes repacks a 4-bit weight for a kernel
    without a gradient, and uses that for the training that follows: it would learn next to nothing.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.training = True


def batches(rows: Sequence[Row], tokens_at_once: int, pad: int) -> Iterator[dict[str, Any]]:
    """Padded batches of rows of like length, each at most `tokens_at_once` unless one row is."""
    waiting: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if waiting and len(row.ids) * (len(waiting) + 1) > tokens_at_once:
            yield collate(waiting, pad)
            waiting = []
        waiting.append(row)
    if waiting:
        yield collate(waiting, pad)


def collate(rows: Sequence[Row], pad: int) -> dict[str, Any]:
    """Rows as tensors, padded on the right."""
    length = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), length), pad)  # (rows, tokens)
    labels = torch.full((len(rows), length), -100)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        labels[i, : len(row.ids)] = torch.tensor(row.labels)
        mask[i, : len(row.ids)] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


class Progress(TrainerCallback):
    """A bar on stderr with loss, tokens a second, memory and, as the bar itself, the time left."""

    def __init__(self) -> None:
        self.tokens_per_second: list[float] = []
        self._bar: Any = None
        self._tokens = 0.0
        self._time = 0.0
        self._fields: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the bar where the run starts, which is not 0 after a resume."""
        if not state.is_world_process_zero:
            return
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc="training",
            unit=" steps",
            file=sys.stderr,
            mininterval=1 if sys.stderr.isatty() else 15,
            dynamic_ncols=True,
        )
        self._time = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step more."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_evaluate(self, args: Any, state: Any, control: Any, **fields: Any) -> None:
        """Show the validation loss; its time is not the training's."""
        self._fields["validation"] = f"{fields['metrics']['eval_loss']:.4f}"
        self._time = time.monotonic()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Show loss, speed and memory."""
        if self._bar is None or not logs or "loss" not in logs:
            return
        now = time.monotonic()
        tokens = float(logs.get("num_tokens", 0))
        if tokens > self._tokens and now > self._time:
            speed = (tokens - self._tokens) / (now - self._time)
            self.tokens_per_second.append(speed)
            self._fields["tokens/s"] = f"{speed:,.0f}"
        self._tokens, self._time = tokens, now
        self._fields["loss"] = f"{float(logs['loss']):.4f}"
        self._fields["GB"] = f"{peak_memory() / GIGABYTE:.2f}"
        self._bar.set_postfix(self._fields)

    def close(self) -> None:
        """End the bar's line."""
        if self._bar is not None:
            self._bar.close()


def peak_memory() -> int:
    """The most bytes held so far: on the GPU if there is one, else by this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
