"""Does a GGUF file say what the model says? Next-token probabilities and greedy text, compared.

The engine is xllamacpp, llama.cpp for Python: `pip install xllamacpp`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.prompts import Prompt, prompt_ids
from index.cards import make_card
from index.errors import ExpectedError

PROMPTS = (
    Prompt("What is asthma?"),
    Prompt(
        "What helps against gout?",
        [
            make_card("What is gout?", "Gout is arthritis caused by crystals of uric acid."),
            make_card("What is asthma?", "Asthma is a disease of the airways."),
        ],
    ),
)
TOKENS = 24  # of greedy text
_TOP = 20
# Largest difference of a next-token log-probability among the likely ones. llama.cpp computes in
# fp16 and rounds activations to 8 bits where the weights are quantised.
TOLERANCE = {"f16": 0.05, "q8_0": 1.0, "q4_0": 6.0}


class EngineMissingError(ExpectedError):
    """There is no engine here to read the file with."""


class DisagreementError(ExpectedError):
    """The file does not say what the model says."""


@dataclass(frozen=True)
class Parity:
    """How far a file is from the model that it was made from."""

    log_probability: float  # the largest difference, over the likely next tokens of the prompts
    same_text: int  # prompts whose greedy text is equal, but for ties
    prompts: int

    def __str__(self) -> str:
        return (
            "against transformers: next-token log-probabilities within "
            f"{self.log_probability:.4f}, greedy text of {TOKENS} tokens equal, but for ties, for "
            f"{self.same_text} of {self.prompts} prompts"
        )


def compare(model: Any, tokenizer: Any, file: Path, kind: str) -> Parity:
    """Compare a file with the model.

    Raises:
        EngineMissingError: xllamacpp is not installed.
        DisagreementError: the difference is more than rounding explains.
    """
    engine = open_engine(file)
    parts = fragments(tokenizer, model.config.vocab_size)
    prompts = [prompt_ids(tokenizer, prompt) for prompt in PROMPTS]
    worst = 0.0
    same = 0
    for ids in prompts:
        expected = greedy(model, ids, tokenizer.eos_token_id, parts)
        tokens, likely = complete(engine, ids, TOKENS, parts)
        same += agree(model, ids, expected, tokens, TOLERANCE[kind])
        own = log_probabilities(model, ids)
        worst = max(worst, max(abs(own[token] - value) for token, value in likely.items()))
    report = Parity(worst, same, len(prompts))
    # A quantised file may prefer another word at any place; a whole one only where two are tied.
    other_text = kind == "f16" and same < len(prompts)
    if other_text or not worst <= TOLERANCE[kind]:
        raise DisagreementError(
            f"the GGUF file does not say what the model says ({report}; expected within "
            f"{TOLERANCE[kind]}): it was removed; serve the merged checkpoint, and report this"
        )
    return report


def agree(
    model: Any, ids: Sequence[int], expected: Sequence[int], found: Sequence[int], tie: float
) -> bool:
    """Whether two greedy texts are equal up to a tie, where rounding may decide either way.

    After it the two go on from different words, so nothing more can be compared.
    """
    for place, (own, other) in enumerate(zip(expected, found, strict=False)):
        if own != other:
            values = log_probabilities(model, [*ids, *expected[:place]])
            return values[own] - values[other] <= tie
    return True


def open_engine(file: Path) -> Any:
    """llama.cpp with a file loaded.

    Raises:
        EngineMissingError: xllamacpp is not installed.
    """
    import torch

    try:
        import xllamacpp
    except ImportError as error:
        raise EngineMissingError("it needs xllamacpp: pip install xllamacpp") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = 1024
    params.n_parallel = 1
    params.warmup = False
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    return xllamacpp.Server(params)


def fragments(tokenizer: Any, size: int) -> list[int]:
    """Tokens that are part of a character.

    The engine holds such a token back until the character is whole and leaves it out of what it
    reports, so neither side may draw one.
    """
    texts = tokenizer.batch_decode([[i] for i in range(min(size, len(tokenizer)))])
    return [i for i, text in enumerate(texts) if "\ufffd" in text]


def complete(
    engine: Any, ids: Sequence[int], count: int, never: Sequence[int]
) -> tuple[list[int], dict[int, float]]:
    """Greedy token ids after a prompt, and the log-probabilities of the likely first ones."""
    answer = engine.handle_completions(
        {
            "prompt": list(ids),
            "n_predict": count,
            "temperature": 0.0,
            "n_probs": _TOP,
            "cache_prompt": False,
            "logit_bias": [[i, False] for i in never],
        }
    )
    steps = answer["choices"][0]["logprobs"]["content"]
    first = {int(entry["id"]): float(entry["logprob"]) for entry in steps[0]["top_logprobs"]}
    return [int(step["id"]) for step in steps], first


def greedy(model: Any, ids: Sequence[int], end: int, never: Sequence[int]) -> list[int]:
    """Greedy token ids of the model, without the end of the turn."""
    import torch

    with torch.inference_mode():
        out = model.generate(
            torch.tensor([list(ids)]),
            max_new_tokens=TOKENS,
            do_sample=False,
            pad_token_id=end,
            suppress_tokens=list(never) or None,
        )
    tokens: list[int] = out[0, len(ids) :].tolist()
    return tokens[: tokens.index(end)] if end in tokens else tokens


def log_probabilities(model: Any, ids: Sequence[int]) -> list[float]:
    """The log-probability of each next token."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([list(ids)])).logits[0, -1].double()
    values: list[float] = logits.log_softmax(-1).tolist()
    assert math.isclose(sum(map(math.exp, values)), 1.0, rel_tol=1e-6)
    return values
