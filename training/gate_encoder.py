"""Teach a small transformer to tell the kinds of messages apart, for the safety gate.

It starts from stock MiniLM, a sentence model that knows English; its word vectors and first layers
stay as they are, so their states are computed once and only what lies above is trained.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import AutoTokenizer

from assistant.safety.score import CLASSES
from index import onnx_export
from training import pair_model
from training.embedder_data import typo
from training.precision import (
    copy_weights,
    move_gradients,
    reader_of,
    reading_dtype,
    without_denormals,
)

logger = logging.getLogger(__name__)

FROZEN = 2  # of the six layers
MAX_TOKENS = 128
_EPOCHS = 4
_BATCH = 32
_RATE = 2e-4
_WARMUP = 0.1
_SMOOTHING = 0.05
_SLIPS = 0.5  # share of the messages whose second form has a slip of the finger
SETTINGS = (FROZEN, MAX_TOKENS, _EPOCHS, _BATCH, _RATE, _WARMUP, _SMOOTHING, _SLIPS)

Logits = np.ndarray[Any, np.dtype[np.float32]]
States = list[torch.Tensor]  # (tokens, hidden) of each message


class MessageEncoder(nn.Module):
    """BERT over one message; the head sees the first token, the mean and the maximum of all."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.bert = pair_model.backbone(checkpoint)
        for part in (self.bert.embeddings, *self.bert.encoder.layer[:FROZEN]):
            part.requires_grad_(False)
        self.drop = nn.Dropout(0.1)
        # Not nn.Linear: ONNX's shape inference stumbles over its transposed weight.
        self.weight = nn.Parameter(
            torch.randn(3 * self.bert.config.hidden_size, len(CLASSES)) * 0.02
        )
        self.bias = nn.Parameter(torch.zeros(len(CLASSES)))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits (1, classes) of one message, (1, tokens)."""
        hidden = self.bert.embeddings(input_ids)
        for layer in self.bert.encoder.layer:
            hidden = layer(hidden)
        seen = torch.cat([hidden[:, 0], hidden.mean(1), hidden.max(1).values], dim=-1)
        logits: torch.Tensor = seen @ self.weight + self.bias
        return logits

    def lower(self, texts: Sequence[str]) -> States:
        """The states after the frozen layers; they never change."""
        states: States = []
        self.eval()
        with torch.inference_mode():
            for text in tqdm(texts, unit=" messages", desc="frozen layers"):
                ids = self._tokenizer(text, truncation=True, max_length=MAX_TOKENS)["input_ids"]
                hidden = self.bert.embeddings(torch.tensor([ids]))
                for layer in self.bert.encoder.layer[:FROZEN]:
                    hidden = layer(hidden)
                states.append(hidden[0].clone())
        return states

    def upper(self, states: States) -> torch.Tensor:
        """Logits (messages, classes) from the states after the frozen layers."""
        hidden = nn.utils.rnn.pad_sequence(states, batch_first=True)  # (batch, tokens, hidden)
        lengths = torch.tensor([len(state) for state in states])
        real = torch.arange(hidden.shape[1]) < lengths[:, None]  # (batch, tokens)
        unread = (~real[:, None, None, :]).to(hidden.dtype) * pair_model.NO_TOKEN
        for layer in self.bert.encoder.layer[FROZEN:]:
            hidden = layer(hidden, attention_mask=unread)
        mask = real[:, :, None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        highest = hidden.masked_fill(~mask, pair_model.NO_TOKEN).max(1).values
        seen = self.drop(torch.cat([hidden[:, 0], mean, highest], dim=-1))
        logits: torch.Tensor = seen @ self.weight + self.bias
        return logits


def with_slips(texts: Sequence[str], seed: int) -> list[str]:
    """Each message once more, some with a slip of the finger."""
    draw = random.Random(seed)
    return [typo(text, draw, _SLIPS) for text in texts]


@without_denormals()
def tune(
    checkpoint: Path, states: States, slipped: States, labels: Any, rows: Any, seed: int
) -> MessageEncoder:
    """Train on the messages at `rows`; `slipped` are the states of `with_slips`."""
    torch.manual_seed(seed)
    model = MessageEncoder(checkpoint)
    tuned = [p for p in model.parameters() if p.requires_grad]
    compute = reader_of(model).train()
    half = reading_dtype()
    optimizer = torch.optim.AdamW(tuned, lr=_RATE, weight_decay=0.01)
    loss_of = nn.CrossEntropyLoss(label_smoothing=_SMOOTHING)
    draw = random.Random(seed)
    plan = [
        batch
        for epoch in range(_EPOCHS)
        for batch in _batches(rows.tolist(), states, slipped if epoch % 2 else states, draw)
    ]
    started, total = time.monotonic(), 0.0
    bar = tqdm(plan, unit=" batches", desc="training")
    for step, batch in enumerate(bar):
        done = step / len(plan)
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(done / _WARMUP, (1 - done) / (1 - _WARMUP))
        copy_weights(model, compute)
        logits = compute.upper([state.to(half) for _, state in batch])
        loss = loss_of(logits.float(), torch.tensor([labels[i] for i, _ in batch]))
        loss.backward()
        move_gradients(compute, model)
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        total += loss.item()
        if step % 50 == 49:
            bar.set_postfix(loss=f"{total / 50:.3f}")
            total = 0.0
    logger.info("trained on %d messages in %.0f s", len(rows), time.monotonic() - started)
    return model.eval()


def _batches(
    rows: list[int], states: States, seen: States, draw: random.Random
) -> Iterator[list[tuple[int, torch.Tensor]]]:
    """Batches of like length in random order."""
    order = sorted(rows, key=lambda i: (len(states[i]), draw.random()))
    batches = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
    draw.shuffle(batches)
    for batch in batches:
        yield [(i, seen[i]) for i in batch]


def logits(model: MessageEncoder, states: States) -> Logits:
    """What the model says of each message, (messages, classes)."""
    order = sorted(range(len(states)), key=lambda i: len(states[i]))
    out = np.zeros((len(states), len(CLASSES)), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            part = order[start : start + 64]
            out[part] = model.upper([states[i] for i in part]).numpy()
    return out


def save(model: MessageEncoder, target: Path) -> None:
    """Write the model as int8 ONNX: `input_ids` int64 (1, tokens) to `logits` (1, classes)."""
    ids = torch.randint(1000, 2000, (1, 9))
    tokens = torch.export.Dim("tokens", min=2, max=512)
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "fp32.onnx"
        onnx_export.write(model, {"input_ids": ids}, {"input_ids": {1: tokens}}, "logits", whole)
        onnx_export.quantize(whole, target)
