"""Pre-training: one linear script, resumable, the same on a CPU and on a GPU."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import ExpectedError
from training.pocket import tokens as token_files
from training.pocket.config import Schedule, Shape
from training.pocket.heads import set_copying_heads
from training.pocket.rows import ANSWER, CONTEXT
from training.pocket.tokenizer import ROLES
from training.pocket.tokens import Tokens
from training.precision import copy_weights, move_gradients, reader_of

logger = logging.getLogger(__name__)

CHECKPOINT, LOG, MODEL, RECORD = "checkpoint.pt", "log.csv", "model", "pretraining.json"
_SHARD = "15MB"  # of the saved weights
_COLUMNS = (
    "step", "tokens", "seconds", "learning_rate", "loss", "valid_answer", "valid_first",
    "tokens_per_s",
)  # fmt: skip


@dataclass
class Budget:
    """When to stop: after so many steps, or so many minutes of this call."""

    steps: int
    minutes: float


def train(
    data: Path,
    out: Path,
    shape: Shape,
    schedule: Schedule,
    budget: Budget,
    seed: int,
    start: Path | None = None,
) -> Path:
    """Train on a token file, from the last checkpoint if there is one; returns the model's folder.

    A checkpoint is written every few minutes and at the end, atomically. When the minutes are over
    before the steps, the checkpoint is all there is: call again to go on.

    Raises:
        ExpectedError: no rows, a checkpoint of another run, or nothing to start from.
    """
    import torch
    from transformers import AutoTokenizer

    rows, record = token_files.read(data)
    tokenizer = AutoTokenizer.from_pretrained(data / "tokenizer")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    begun, weights = _begun(start, tokenizer) if start else (None, None)
    torch.manual_seed(seed)
    model = fresh(shape, tokenizer, seed).to(device)  # fp32, what the optimizer changes
    if weights:
        model.load_state_dict(weights)
    compute = reader_of(model)  # reads and is read from
    optimizer = _optimizer(model, schedule)
    out.mkdir(parents=True, exist_ok=True)
    identity = {
        "rows": record["sha256"], "shape": shape.model_dump(), "schedule": schedule.model_dump(),
        "seed": seed, "start": begun,
    }  # fmt: skip
    done, seen, spent = _resume(out, identity, model, optimizer)
    held = range(len(rows) - schedule.validation_rows, len(rows))
    copy_weights(model, compute)
    batches = rows.batches(schedule.batch_tokens, seed, range(len(rows) - schedule.validation_rows))
    for _ in range(done):
        next(batches)  # the order depends on the seed alone
    started = saved = shown = time.monotonic()
    with (out / LOG).open("a", encoding="utf-8", newline="") as file:
        log = csv.writer(file)
        if not done:
            log.writerow(_COLUMNS)
        window: list[float] = []
        window_tokens = 0
        while done < budget.steps and time.monotonic() - started < 60 * budget.minutes:
            rate = learning_rate(done, budget.steps, schedule)
            for group in optimizer.param_groups:
                group["lr"] = rate
            ids, counts = _tensors(rows, next(batches), device)
            loss, z = _loss(compute, ids, counts, schedule)
            (loss + z).backward()
            move_gradients(compute, model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            copy_weights(model, compute)
            if not math.isfinite(loss.item()):
                raise ExpectedError(
                    f"the loss is {loss.item()} at step {done}: lower --learning-rate; the last "
                    f"checkpoint in {str(out)!r} is whole"
                )
            done, seen = done + 1, seen + ids.numel()
            window.append(loss.item())
            window_tokens += ids.numel()
            now = time.monotonic()
            if done % 100 == 0 or done == budget.steps:
                answer, first = evaluate(compute, rows, held, schedule, device)
                speed = window_tokens / (now - shown)
                total = round(spent + now - started, 1)
                mean = sum(window) / len(window)
                log.writerow([
                    done, seen, total, f"{rate:.2e}", f"{mean:.4f}", f"{answer:.4f}",
                    f"{first:.4f}", round(speed),
                ])  # fmt: skip
                file.flush()
                logger.info(
                    "step %d of %d, %.2f M tokens: loss %.3f, validation %.3f, first token %.2f, "
                    "%d tokens/s",
                    done, budget.steps, seen / 1e6, mean, answer, first, speed,
                )  # fmt: skip
                window, window_tokens, shown = [], 0, time.monotonic()
            if now - saved > 240:
                _save(out, identity, model, optimizer, (done, seen, spent + now - started))
                saved = now
    _save(out, identity, model, optimizer, (done, seen, spent + time.monotonic() - started))
    folder = out / MODEL
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=_SHARD)
    tokenizer.save_pretrained(folder)
    facts = {**identity, "steps": done, "of": budget.steps, "tokens": seen, "data": record}
    (folder / RECORD).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return folder


def _begun(start: Path, tokenizer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an earlier run was, and its weights: its last checkpoint's, or its model's."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    if (start / CHECKPOINT).exists():
        state = torch.load(start / CHECKPOINT, map_location="cpu", weights_only=True)
        return {**state["identity"], "steps": state["at"][0]}, state["model"]
    record = start / RECORD
    if not record.exists():
        raise ExpectedError(
            f"expected a {CHECKPOINT} or a model with its {RECORD} in {str(start)!r}, found "
            "neither: --start takes the --out of an earlier run or the model that it wrote"
        )
    if AutoTokenizer.from_pretrained(start).get_vocab() != tokenizer.get_vocab():
        raise ExpectedError(
            f"the model in {str(start)!r} has another tokenizer than the token file: 'prepare' it "
            "from the same corpora and indexes"
        )
    facts = json.loads(record.read_text(encoding="utf-8"))
    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    kept = ("rows", "shape", "schedule", "seed", "start", "steps")
    return {name: facts[name] for name in kept}, model.state_dict()


def fresh(shape: Shape, tokenizer: Any, seed: int) -> Any:
    """A new Llama with the copying heads in place."""
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(shape.llama())
    # What the layers add at the start is small beside what the heads write.
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.mul_(0.2)
        layer.mlp.down_proj.weight.data.mul_(0.2)
    marker = tokenizer.convert_tokens_to_ids(ROLES[2])
    tail = len(tokenizer(f"</s>\n{ROLES[2]}\n", add_special_tokens=False)["input_ids"])
    set_copying_heads(model, marker, tail, seed)
    return model


def learning_rate(step: int, steps: int, schedule: Schedule) -> float:
    """Warm-up, constant, then down to nothing with the square root of what is left."""
    decay = max(1, round(steps * schedule.decay))
    rise = min(1.0, (step + 1) / max(1, schedule.warmup))
    gone = max(0, step - (steps - decay)) / decay
    return schedule.learning_rate * rise * (1 - math.sqrt(gone))


def evaluate(
    model: Any, rows: Tokens, held: range, schedule: Schedule, device: str
) -> tuple[float, float]:
    """Mean loss of the answers' tokens, and the share of answers whose first token is right."""
    import torch

    losses, firsts = [], []
    model.eval()
    with torch.inference_mode():
        for batch in _once(rows, held, schedule.batch_tokens):
            ids, counts = _tensors(rows, batch, device)
            hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
            wanted = counts[:, 1:] == ANSWER
            logits = model.lm_head(hidden[wanted]).float()
            targets = ids[:, 1:][wanted]
            losses.append(torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
            opening = wanted & (counts[:, :-1] != ANSWER)
            firsts.append((logits.argmax(-1) == targets)[opening[wanted]].float())
    model.train()
    return torch.cat(losses).mean().item(), torch.cat(firsts).mean().item()


def _once(rows: Tokens, held: range, size: int) -> Iterator[list[int]]:
    batches = rows.batches(size, 0, held)
    left = len(held)
    while left > 0:
        batch = next(batches)
        left -= len(batch)
        yield batch


def _tensors(rows: Tokens, batch: list[int], device: str) -> tuple[Any, Any]:
    """Ids and counts, (rows, longest), padded at the end with what counts nothing."""
    import torch

    pairs = [rows.row(i) for i in batch]
    longest = max(len(ids) for ids, _ in pairs)
    ids = torch.full((len(pairs), longest), 2, dtype=torch.long)
    counts = torch.zeros((len(pairs), longest), dtype=torch.uint8)
    for at, (row, count) in enumerate(pairs):
        ids[at, : len(row)] = torch.from_numpy(row.astype("int64"))
        counts[at, : len(count)] = torch.from_numpy(count)
    return ids.to(device), counts.to(device)


def _loss(model: Any, ids: Any, counts: Any, schedule: Schedule) -> tuple[Any, Any]:
    """Weighted mean cross-entropy, and the z-loss that keeps logits from drifting.

    Padding stands at the end, where causal attention lets no real token see it, so no mask is
    needed. The output layer is computed only where the loss counts.
    """
    import torch

    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    targets, kinds = ids[:, 1:], counts[:, 1:]
    used = kinds > 0
    logits = model.lm_head(hidden[used]).float()
    opens = (kinds == ANSWER) & (counts[:, :-1] != ANSWER)
    weights = torch.where(kinds[used] == CONTEXT, schedule.context_weight, 1.0)
    weights[opens[used]] = schedule.opening_weight
    each = torch.nn.functional.cross_entropy(logits, targets[used], reduction="none")
    loss = (each * weights).sum() / weights.sum()
    z = schedule.z_loss * logits.logsumexp(-1).square().mean()
    return loss, z


def _optimizer(model: Any, schedule: Schedule) -> Any:
    import torch

    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.95), fused=True)


def _save(
    out: Path, identity: dict[str, Any], model: Any, optimizer: Any, at: tuple[int, int, float]
) -> None:
    import torch

    new = out / f"{CHECKPOINT}.new"
    state = {
        "identity": identity, "at": at, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }  # fmt: skip
    torch.save(state, new)
    os.replace(new, out / CHECKPOINT)


def _resume(
    out: Path, identity: dict[str, Any], model: Any, optimizer: Any
) -> tuple[int, int, float]:
    import torch

    path = out / CHECKPOINT
    if not path.exists():
        return 0, 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["identity"] != identity:
        raise ExpectedError(
            f"the checkpoint {str(path)!r} is of another run (rows, shape, schedule or seed "
            "differ): go on with the same ones, or give another --out"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    step, seen, spent = state["at"]
    logger.info("going on from step %d", step)
    return int(step), int(seen), float(spent)
