"""The start of the small Llama: heads that copy from context, set by hand before any training.

Copying in context rests on two attention heads in a row: one that brings each token its
predecessors, and an induction head that looks for an earlier place with the same predecessors and
takes what stood there (Olsson et al., 2022, https://arxiv.org/abs/2209.11895). Found by gradient
descent they cost tens of millions of tokens, which a CPU cannot give. So they are written down,
and training decides when to use them. Setting weights to a known useful shape at the start is
mimetic initialisation (Trockman and Kolter, 2023, https://arxiv.org/abs/2305.09828).

The residual stream is laid out in parts of `WIDTH` numbers: the token, its predecessors at
distances 1 to 3, and the token that is expected next, which alone the output layer reads. One more
number is the same at every position, since attention by position needs something constant.
"""

from __future__ import annotations

import math
from typing import Any

WIDTH = 60  # numbers that tell a token from others; random directions are all but orthogonal
DISTANCES = (1, 2, 3)  # of the predecessors that must agree
ROPE_THETA = 1e10  # few fast pairs, for position; many slow ones, for content at any distance
_FAST_PAIRS = 7
_SLOW_PAIR = 10  # from here on a rotation over a whole prompt is small
_CONSTANT = 4.0
_POSITION = 10.0  # length of a positional query in each fast pair
_MATCH = 4.5  # logits for each predecessor that agrees
_OPENING = 1.5  # weight of what is expected after the question at the answer's opening
_LOGIT = 14.0  # of a token that every induction head expects
_TOKEN, _NEXT = 0, len(DISTANCES) + 1  # parts


def least_width() -> int:
    """The smallest hidden size that holds all parts."""
    return 1 + WIDTH * (_NEXT + 1)


def set_copying_heads(model: Any, answer_marker: int, tail: int, seed: int) -> None:
    """Write the heads into layers 0 to 2 of a fresh `LlamaForCausalLM`.

    Args:
        answer_marker: id of the token that opens an answer.
        tail: tokens between the end of the question and the first of the answer, the distance at
            which the answer's opening finds what the end of the question expects.
    """
    import torch

    config = model.config
    if config.hidden_size < least_width() or config.head_dim != 64 or config.num_hidden_layers < 3:
        raise ValueError(
            f"expected a hidden size of at least {least_width()}, heads of 64 and 3 layers, got "
            f"{config.hidden_size}, {config.head_dim} and {config.num_hidden_layers}"
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        words = torch.randn(config.vocab_size, WIDTH, generator=generator)
        words = words / words.pow(2).mean(dim=1, keepdim=True).sqrt()  # entries about 1
        table = model.model.embed_tokens.weight
        table.mul_(0.1)
        table[:, 0] = _CONSTANT
        table[:, _part(_TOKEN)] = words
        _predecessor_heads(model)
        _induction_heads(model, generator)
        _opening_head(model, words[answer_marker], tail)
        output = model.lm_head.weight
        output[:, _part(_NEXT)] = words * (_LOGIT / WIDTH)


def _part(index: int) -> slice:
    return slice(1 + WIDTH * index, 1 + WIDTH * (index + 1))


def _rms(model: Any, parts: int) -> float:
    """Root mean square of the residual stream when so many parts are filled."""
    return math.sqrt((_CONSTANT**2 + WIDTH * parts) / model.config.hidden_size)


def _turned(distance: int) -> Any:
    """A query in the fast pairs that meets keys `distance` tokens back, (64,)."""
    import torch

    turned = torch.zeros(64)
    for pair in range(_FAST_PAIRS):
        angle = -distance * ROPE_THETA ** (-pair / 32)
        turned[pair], turned[pair + 32] = math.cos(angle), math.sin(angle)
    return turned * _POSITION


def _clear(attention: Any, head: int) -> tuple[slice, Any, Any, Any, Any]:
    rows = slice(64 * head, 64 * (head + 1))
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[rows] = 0
    attention.o_proj.weight[:, rows] = 0
    return (
        rows,
        attention.q_proj.weight[rows],
        attention.k_proj.weight[rows],
        attention.v_proj.weight[rows],
        attention.o_proj.weight[:, rows],
    )


def _predecessor_heads(model: Any) -> None:
    """Layer 0: the token at each distance, into its part."""
    import torch

    attention, rms = model.model.layers[0].self_attn, _rms(model, 1)
    for head, distance in enumerate(DISTANCES):
        _, query, key, value, out = _clear(attention, head)
        query[:, 0] = _turned(distance) * rms / _CONSTANT
        key[:, 0] = _turned(0) * rms / _CONSTANT
        value[:WIDTH, _part(_TOKEN)] = torch.eye(WIDTH)
        out[_part(distance), :WIDTH] = torch.eye(WIDTH) * rms


def _induction_heads(model: Any, generator: Any) -> None:
    """Layer 1: what stood where the same predecessors stood, into the part for the next token.

    Each head compares through projections of its own; what one takes for the same by chance, the
    others do not.
    """
    import torch

    attention, rms = model.model.layers[1].self_attn, _rms(model, 1 + len(DISTANCES))
    slow = [i for pair in range(_SLOW_PAIR, 32) for i in (pair, pair + 32)]
    share = len(slow) // len(DISTANCES)
    heads = model.config.num_attention_heads
    for head in range(heads):
        _, query, key, value, out = _clear(attention, head)
        for term, distance in enumerate(DISTANCES):
            mixed = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))[0][:share]
            # A match of two equal tokens has the length WIDTH * share / WIDTH before scaling.
            mixed = mixed * math.sqrt(_MATCH * 8 / share) * rms
            places = slow[term * share : (term + 1) * share]
            query[places, _part(distance - 1)] = mixed
            key[places, _part(distance)] = mixed
        value[:WIDTH, _part(_TOKEN)] = torch.eye(WIDTH)
        out[_part(_NEXT), :WIDTH] = torch.eye(WIDTH) * rms / heads


def _opening_head(model: Any, marker: Any, tail: int) -> None:
    """Layer 2: the answer's opening takes over what the end of the question expects."""
    import torch

    attention, rms = model.model.layers[2].self_attn, _rms(model, 2 + len(DISTANCES))
    _, query, key, value, out = _clear(attention, 0)
    # The opening is the token after the marker, so the marker is its first predecessor.
    query[:, _part(1)] = torch.outer(_turned(tail), marker / WIDTH) * rms
    key[:, 0] = _turned(0) * rms / _CONSTANT
    value[:WIDTH, _part(_NEXT)] = torch.eye(WIDTH)
    # Stronger than what the opening itself expects: after "<|user|>" the same line break came.
    out[_part(_NEXT), :WIDTH] = torch.eye(WIDTH) * rms * _OPENING
