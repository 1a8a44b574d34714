"""The prompts that earlier systems trained on, only to repeat their runs; never for serving.

What is served is `assistant.prompts`, and an adapter trained with one of these does not fit it.
"""

from __future__ import annotations

from typing import Any, Literal

from assistant.prompts import fence

_HEALTHCARE = "You are a helpful healthcare assistant. Answer the question clearly."


def turns(question: str) -> str:
    """System B: role lines without a system line."""
    return f"<|user|>\n{question}\n<|assistant|>\n"


def sections(question: str) -> str:
    """System C: three headed sections."""
    return f"### System:\n{_HEALTHCARE}\n\n### Instruction:\n{question}\n\n### Response:\n"


def chatml(question: str) -> str:
    """System D: ChatML."""
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


_RENDER = {"turns": turns, "sections": sections, "chatml": chatml}


def template_ids(
    tokenizer: Any, template: Literal["turns", "sections", "chatml"], question: str
) -> list[int]:
    """Token ids of a question in an earlier system's prompt, with the tokenizer's BOS."""
    text = _RENDER[template](fence(question))
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return ids if bos is None else [bos, *ids]
