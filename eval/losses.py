"""The loss of a reference answer after its prompt: over the answer's tokens and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.prompts import Prompt, answer_ids, prompt_ids

IGNORED = -100  # label of a position that is not part of the loss


@dataclass(frozen=True, slots=True)
class Loss:
    """Sum of the negative log-likelihood in nats, and over how many tokens."""

    nll: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of prompt and answer."""

    prompt: Sequence[int]
    answer: Sequence[int]

    @property
    def ids(self) -> list[int]:
        """All of them, in order."""
        return [*self.prompt, *self.answer]


def example(tokenizer: Any, prompt: Prompt, answer: str) -> Example:
    """A prompt with its answer, tokenised as in training and serving."""
    return Example(prompt_ids(tokenizer, prompt), answer_ids(tokenizer, answer))


def labels(one: Example, length: int) -> list[int]:
    """What each position is asked to predict, padded to a length: the answer's tokens only."""
    before, after = len(one.prompt), length - len(one.prompt) - len(one.answer)
    return [IGNORED] * before + list(one.answer) + [IGNORED] * after


def answer_losses(model: Any, examples: Sequence[Example], pad: int) -> list[Loss]:
    """The loss of each example, read in one padded batch."""
    import torch
    from torch.nn import functional

    length = max(len(one.ids) for one in examples)
    ids = torch.tensor([one.ids + [pad] * (length - len(one.ids)) for one in examples])
    mask = torch.tensor([[1] * len(o.ids) + [0] * (length - len(o.ids)) for o in examples])
    wanted = torch.tensor([labels(one, length) for one in examples]).to(model.device)
    with torch.inference_mode():
        logits = model(ids.to(model.device), attention_mask=mask.to(model.device)).logits
    nll = functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2),  # (examples, vocabulary, length - 1)
        wanted[:, 1:],
        ignore_index=IGNORED,
        reduction="none",
    ).sum(dim=1)
    return [Loss(float(n), len(one.answer)) for n, one in zip(nll, examples, strict=True)]
