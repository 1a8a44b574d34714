"""A small network that compares a sentence with a card, over the embedder's token vectors.

Each token of the sentence is set beside what it attends to in the card (Parikh et al., A
decomposable attention model, 2016; Chen et al., ESIM, 2017). Transformer layers then read the
comparisons in their order. In these layers two tokens also know how far apart they are in the
sentence, how far apart their counterparts are in the card, and whether those share a sentence
there: so an exchange of roles can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from assistant.support_reader import TokenPair
from index import onnx_export
from training.pair_model import NO_TOKEN

DIMENSION = 384  # of a token vector
MAX_SENTENCE = 256  # tokens; a text of the embedder has no more
_WIDTH = 128
_LAYERS = 2
_HEADS = 4
_DROPOUT = 0.2
_RELATIONS = 6
_TOLD = 8  # values that a head reads of relations
_PARTS = 12  # sentences of a card that are told apart
_SHARPNESS = (12.0, 30.0)  # of the learned attention at the start, and of the plain one
_LOUDER = 4.0  # the values of a unit vector are small


class Batch(NamedTuple):
    """Sentences beside cards, padded; `part` is the number of the card's sentence, 0 its question.

    Shapes: `sentence` (batch, S, 384), `said` (batch, S), `card` (batch, T, 384), `written` and
    `part` (batch, T). `said` and `written` are True where there is a token.
    """

    sentence: torch.Tensor
    said: torch.Tensor
    card: torch.Tensor
    written: torch.Tensor
    part: torch.Tensor


class _Layer(nn.Module):
    """Self-attention over the sentence, biased by relations, which its heads read as well."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.LayerNorm(_WIDTH)
        self.projected = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.relation_key = nn.Linear(_RELATIONS, _TOLD)
        self.bias = nn.Linear(_TOLD, _HEADS)
        self.relation_value = nn.Linear(_RELATIONS, _TOLD)
        self.joined = nn.Linear(_WIDTH + _HEADS * _TOLD, _WIDTH)
        self.between = nn.LayerNorm(_WIDTH)
        self.wide = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.narrow = nn.Linear(2 * _WIDTH, _WIDTH)
        self.drop = nn.Dropout(_DROPOUT)

    def forward(self, x: torch.Tensor, said: torch.Tensor, relations: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        size = width // _HEADS
        query, key, value = (
            self.projected(self.before(x))
            .view(batch, tokens, 3, _HEADS, size)
            .permute(2, 0, 3, 1, 4)
        )  # (batch, heads, tokens, size) each
        logits = query @ key.transpose(-1, -2) / math.sqrt(size)
        logits = logits + self.bias(torch.tanh(self.relation_key(relations))).permute(0, 3, 1, 2)
        share = logits.masked_fill(~said[:, None, None, :], NO_TOKEN).softmax(-1)
        heard = (share @ value).transpose(1, 2).reshape(batch, tokens, width)
        told = torch.tanh(self.relation_value(relations))  # (batch, tokens, tokens, told)
        related = torch.einsum("bhij,bijr->bihr", share, told).reshape(batch, tokens, -1)
        x = x + self.drop(self.joined(torch.cat([heard, related], -1)))
        inner = functional.gelu(self.wide(self.between(x)))
        out: torch.Tensor = x + self.drop(self.narrow(inner))
        return out


class Reader(nn.Module):
    """One logit: whether the card states the sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS).log())
        self.narrowed = nn.Linear(DIMENSION, _WIDTH)
        self.sought = nn.Linear(DIMENSION, DIMENSION, bias=False)
        nn.init.eye_(self.sought.weight)
        self.compared = nn.Linear(8 * _WIDTH + 4, _WIDTH)
        self.position = nn.Parameter(torch.randn(MAX_SENTENCE, _WIDTH) * 0.02)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.verdict = nn.Sequential(
            nn.LayerNorm(2 * _WIDTH),
            nn.Dropout(_DROPOUT),
            nn.Linear(2 * _WIDTH, _WIDTH),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_WIDTH, 1),
        )
        self.drop = nn.Dropout(_DROPOUT)

    def forward(
        self,
        sentence: torch.Tensor,
        said: torch.Tensor,
        card: torch.Tensor,
        written: torch.Tensor,
        part: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (batch,) of what `Batch` describes."""
        absent = (~written)[:, None, :] * NO_TOKEN
        asked = (part == 0)[:, None, :].to(sentence.dtype)  # (batch, 1, T)
        likeness = sentence @ card.transpose(1, 2) + absent  # (batch, S, T)
        learned = self.sought(sentence) @ card.transpose(1, 2) + absent
        plain = (likeness * self.sharpness[1].exp()).softmax(-1)
        mine, theirs = self.narrowed(self.drop(sentence) * _LOUDER), self.narrowed(card * _LOUDER)
        compared = []
        for share in ((learned * self.sharpness[0].exp()).softmax(-1), plain):
            found = share @ theirs
            compared += [mine, found, (mine - found).abs(), mine * found]
        nearest = likeness.max(-1).values
        in_answer = (likeness + asked * NO_TOKEN).max(-1).values.clamp(min=-1)
        from_question = (plain * asked).sum(-1)
        told = torch.stack([nearest, in_answer, plain.max(-1).values, from_question], -1)
        x = self.compared(torch.cat([*compared, told], -1)) + self.position[: sentence.shape[1]]
        relations = _relations(plain, nearest, part)
        for layer in self.layers:
            x = layer(x, said, relations)
        real = said[..., None]
        mean = (x * real).sum(1) / real.sum(1)
        highest = x.masked_fill(~real, NO_TOKEN).max(1).values
        logits: torch.Tensor = self.verdict(torch.cat([mean, highest], -1)).squeeze(-1)
        return logits


def _relations(plain: torch.Tensor, nearest: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """How each two tokens stand to each other, (batch, S, S, relations)."""
    batch, size, width = plain.shape
    own = torch.arange(size, device=plain.device, dtype=plain.dtype)
    here = (own[None, :] - own[:, None])[None].expand(batch, -1, -1)
    place = plain @ torch.arange(width, device=plain.device, dtype=plain.dtype)  # (batch, S)
    there = place[:, None, :] - place[:, :, None]
    parts = functional.one_hot(part.clamp(max=_PARTS - 1), _PARTS).to(plain.dtype)
    stands = plain @ parts  # (batch, S, parts)
    sure = nearest.clamp(0, 1)
    return torch.stack(
        [
            (here / 6).clamp(-2, 2),
            (there / 6).clamp(-2, 2),
            (here / 2).clamp(-1, 1) * (there / 2).clamp(-1, 1),
            (there.abs() / 20).clamp(0, 2),
            stands @ stands.transpose(1, 2),
            sure[:, None, :] * sure[:, :, None],
        ],
        -1,
    )


class _Alone(nn.Module):
    """The reader for one sentence and card without padding, as it is served."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(
        self, sentence: torch.Tensor, card: torch.Tensor, part: torch.Tensor
    ) -> torch.Tensor:
        said = torch.ones_like(sentence[:, 0], dtype=torch.bool)[None]
        written = torch.ones_like(part, dtype=torch.bool)[None]
        logit: torch.Tensor = self.reader(sentence[None], said, card[None], written, part[None])[0]
        return logit


def save_onnx(model: Reader, target: Path) -> None:
    """Write the model: inputs `sentence` (S, 384), `card` (T, 384), `part` (T,), output `logit`."""
    said = {0: torch.export.Dim("said", min=1, max=MAX_SENTENCE)}
    written = {0: torch.export.Dim("written", min=1, max=2 * MAX_SENTENCE)}
    onnx_export.write(
        _Alone(model),
        {
            "sentence": torch.randn(9, DIMENSION),
            "card": torch.randn(21, DIMENSION),
            "part": torch.arange(21) // 8,
        },
        {"sentence": said, "card": written, "part": written},
        "logit",
        target,
    )


def collate(pairs: Sequence[TokenPair]) -> Batch:
    """Pairs with zeros behind the shorter ones."""
    most = max(len(pair.sentence) for pair in pairs)
    longest = max(len(pair.card) for pair in pairs)
    count = len(pairs)
    sentence = np.zeros((count, most, DIMENSION), np.float32)
    card = np.zeros((count, longest, DIMENSION), np.float32)
    part = np.zeros((count, longest), np.int64)
    said, written = np.zeros((count, most), bool), np.zeros((count, longest), bool)
    for i, pair in enumerate(pairs):
        n, t = len(pair.sentence), len(pair.card)
        sentence[i, :n], said[i, :n] = pair.sentence, True
        card[i, :t], written[i, :t], part[i, :t] = pair.card, True, pair.part
    return Batch(*(torch.from_numpy(a) for a in (sentence, said, card, written, part)))
