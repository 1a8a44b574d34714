"""The prior work's ways of measuring, as they were run, so that a reader sees what they add.

Each row carries its protocol's name and is never mixed with the sound ones.
- answer-left-in-prompt: generation starts from the first 128 tokens of prompt and answer, and
  prompt and answer together are compared with prompt and prediction.
- padded-loss: the loss is the mean over 256 positions, prompt and padding included.
- base-after-adapter: "base" is measured on the object that the adapter was put into.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from tqdm import tqdm

from assistant.generator import Sampling
from assistant.prompts import Prompt
from assistant.transformers_generator import TransformersGenerator
from eval import batches
from eval.config import CLOSED_BOOK, EvalConfig, System
from eval.losses import Example, Loss, answer_losses, example
from eval.records import Row
from eval.systems import open_generator, prompt_text
from eval.worlds import Item
from index.errors import ExpectedError

ANSWER_LEFT = "answer-left-in-prompt"
PADDED = "padded-loss"
AFTER_ADAPTER = "base-after-adapter"
_START = 128  # tokens of prompt and answer that generation starts from
_NEW = 100
_LENGTH = 256  # positions that the padded loss is over

Key = tuple[str, str, str, str | None]


def rows(config: EvalConfig, items: Sequence[Item], done: Collection[Key]) -> Iterator[Row]:
    """The rows of every protocol that the weights allow.

    Raises:
        ExpectedError: there are no weights; a floor without a model has no such protocol.
    """
    systems = [s for s in config.systems if s in ("base", "tuned")]
    if not systems:
        raise ExpectedError("--protocol repeats measurements of models: give --base and --adapter")
    for system in systems:
        generator = open_generator(system, config)
        for protocol in (ANSWER_LEFT, PADDED):
            todo = [i for i in items if (i.card.id, system, CLOSED_BOOK, protocol) not in done]
            for item in tqdm(todo, desc=f"{system}, {protocol}", unit=" answers", file=sys.stderr):
                yield _row(system, protocol, generator, item, config)
    if config.adapter and "base" in systems:
        generator = open_generator("tuned", config)  # what the notebook still called its base
        todo = [i for i in items if (i.card.id, "base", CLOSED_BOOK, AFTER_ADAPTER) not in done]
        for item in tqdm(todo, desc=f"base, {AFTER_ADAPTER}", unit=" answers", file=sys.stderr):
            yield _row("base", AFTER_ADAPTER, generator, item, config)


def _row(system: System, protocol: str, generator: Any, item: Item, config: EvalConfig) -> Row:
    assert isinstance(generator, TransformersGenerator)
    tokenizer, model = generator.load()
    prompt = Prompt(item.card.question)
    one = example(tokenizer, prompt, item.card.answer)
    pad = tokenizer.eos_token_id
    fields: dict[str, Any] = {"prompt": prompt_text(prompt), "answer_tokens": len(one.answer)}
    match protocol:
        case "answer-left-in-prompt":
            start = one.ids[:_START]
            sampling = Sampling(_NEW, 0.0, config.seed)
            (written,) = batches.continue_ids(tokenizer, model, [start], sampling)
            shown = tokenizer.decode(start, skip_special_tokens=True)
            reference = tokenizer.decode(one.ids, skip_special_tokens=True)
            fields |= {"text": shown + written, "raw": written, "reference": reference}
            fields["prompt"] = shown
        case "padded-loss":
            loss = padded_loss(model, one, pad)
            fields |= {"nll": loss.nll, "nll_tokens": loss.tokens}
        case _:
            sampling = Sampling(config.max_new_tokens, 0.0, config.seed)
            (text,) = batches.generate(tokenizer, model, [prompt], sampling)
            (loss,) = answer_losses(model, [one], pad)
            fields |= {"text": text.strip(), "raw": text}
            fields |= {"nll": loss.nll, "nll_tokens": loss.tokens}
    row = Row(
        item=item.card.id,
        system=system,
        world=CLOSED_BOOK,
        protocol=protocol,
        question=item.card.question,
        reference=item.card.answer,
        topic=item.card.topic,
        status="answered",
        relevant=item.relevant,
    )
    return row.model_copy(update=fields)


def padded_loss(model: Any, one: Example, pad: int, length: int = _LENGTH) -> Loss:
    """The loss as prior work had it: every position up to a fixed length, padding and prompt too.

    Nothing is masked: the padding is read as text, as where the pad token is the end token and the
    labels are a copy of the input.
    """
    import torch

    ids = (one.ids + [pad] * length)[:length]
    tensor = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        loss = model(tensor, labels=tensor).loss
    return Loss(float(loss) * (length - 1), length - 1)
