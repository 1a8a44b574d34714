"""Attention that runs over each row of a pack by itself.

Without flash attention's kernels, rows that share a sequence are kept apart by a mask over the
whole of it, whose cost grows with the square of the pack and which rules out the fused kernels.
Here each row is its own causal product: rows cannot see each other, and nothing is computed twice.

For training only: it takes no cache, and padding on the right.
Importing this module imports torch: only a run does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "row_by_row"

# Lengths read back from the device once a batch, not once a layer.
_lengths = WeakTensorKeyDictionary()


def register() -> str:
    """Make it known to transformers; returns its name.

    It has no mask function there, so transformers makes no mask for it.
    """
    AttentionInterface.register(NAME, row_by_row)
    return NAME


def row_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,  # (batch, heads, tokens, size)
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row; returns (batch, tokens, heads, size).

    Args:
        cu_seq_lens_q: where rows begin and the last one ends, if the batch is a pack; without it,
            each element of the batch is one row, padded on the right, where no row looks.
    """
    if attention_mask is not None or query.shape[2] != key.shape[2]:
        raise ValueError(f"{NAME} is for training: expected no mask and no cache")
    options = {**options, "is_causal": True}
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, None, **options)
    if cu_seq_lens_q not in _lengths:
        _lengths[cu_seq_lens_q] = cu_seq_lens_q.diff().tolist()
    lengths = _lengths[cu_seq_lens_q]
    parts = [torch.split(tensor, lengths, dim=2) for tensor in (query, key, value)]
    done = [
        sdpa_attention_forward(module, q, k, v, None, **options)[0]
        for q, k, v in zip(*parts, strict=True)
    ]
    return torch.cat(done, dim=1), None
