"""Greedy or seeded generation for many prompts at once, on the weights of a served generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.generator import Sampling
from assistant.prompts import Prompt, prompt_ids


def generate(
    tokenizer: Any, model: Any, prompts: Sequence[Prompt], sampling: Sampling
) -> list[str]:
    """The text that follows each prompt."""
    return continue_ids(
        tokenizer, model, [prompt_ids(tokenizer, prompt) for prompt in prompts], sampling
    )


def continue_ids(
    tokenizer: Any, model: Any, starts: Sequence[Sequence[int]], sampling: Sampling
) -> list[str]:
    """The text that follows each row of token ids; padded on the left, where it is masked."""
    import torch
    from transformers import set_seed

    length = max(len(ids) for ids in starts)
    pad = tokenizer.eos_token_id
    ids = torch.tensor([[pad] * (length - len(row)) + list(row) for row in starts])
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in starts])
    draw: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        draw = {"do_sample": True, "temperature": sampling.temperature, "top_p": 0.9}
    set_seed(sampling.seed)
    with torch.inference_mode():
        out = model.generate(
            inputs=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=pad,
            **draw,
        )
    texts: list[str] = tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)
    return texts
