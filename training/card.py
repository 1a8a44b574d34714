"""The model card of a run: data, split, figures, limits, licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.config import TINYLLAMA, RunConfig

CARD = "README.md"

_LIMITS = """\
This is for education. It is not medical advice and not a medical device: no clinician has reviewed
what it writes, and it can be wrong, also about doses and emergencies. It was trained on one deck
of English flashcards and has no knowledge of the person who asks. Use it within medcards, which
shows the card behind each sentence, answers emergencies by fixed rules, and refuses when its cards
do not cover a question."""


def write_card(folder: Path, config: RunConfig, record: dict[str, Any]) -> None:
    """Write the card into the run's folder."""
    (folder / CARD).write_text(card(config, record), encoding="utf-8")


def card(config: RunConfig, record: dict[str, Any]) -> str:
    """The card as Markdown with the hub's front matter."""
    rows = record["rows"]
    lora = config.lora
    variants = [
        name
        for name, on in (("rsLoRA", lora.rslora), ("DoRA", lora.dora), ("LoRA+", lora.plus_ratio))
        if on
    ]
    modules = lora.modules if isinstance(lora.modules, str) else ", ".join(lora.modules)
    base = config.base if "/" in config.base and not Path(config.base).exists() else None
    decks = ", ".join(f"{name} ({n:,} cards)" for name, n in record["decks"].items())
    template = (
        "the prompt that medcards serves"
        if config.rows.template == "medcards"
        else f"an earlier system's (`{config.rows.template}`): **not for serving**"
    )
    front = ["---", "library_name: peft", "license: apache-2.0", "language: en"]
    front += [f"base_model: {base}"] if base else []
    front += [
        "pipeline_tag: text-generation",
        "tags: [lora, medical, flashcards, education]",
        "---",
    ]
    quantised = "NF4 base with double quantisation" if record["nf4"] else "base not quantised"
    tinyllama = " (TinyLlama-1.1B-Chat: Apache-2.0)" if config.base == TINYLLAMA else ""
    figures = "\n".join(
        f"| {name} | {_figure(record[f'{key}_before'])} | {_figure(record[key])} |"
        for name, key in (
            ("validation loss, nats per answer token", "validation_loss"),
            ("bits per character", "bits_per_character"),
        )
    )
    body = f"""
# {config.name}: a medcards adapter

A LoRA adapter for `{base or Path(config.base).name}`, trained to answer health questions from
flashcards.

## Data

- Decks: {decks}.
- Split: `{record["split_stamp"]}`. Near-duplicate questions are on one side of it; nothing of the
  test side was trained on or validated with.
- Training rows: {_counts(rows["training"])}; validation rows: {_counts(rows["validation"])}.
- Prompt: {template}. The loss is taken on the answers only.

## Training

{", ".join(["LoRA", *variants])} of rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout} on
{modules}; {quantised}; {record["precision"]}; {record["optimizer"]}; learning rate
{config.learning_rate:g} ({config.schedule}); batch {config.batch} x {config.accumulation};
{record["steps"]:,} steps; seed {config.seed}. The whole configuration is in `training.yaml`.

## Figures

| | before | after |
|---|---|---|
{figures}

"Before" is the base without the adapter. The loss depends on the tokenizer; bits per character do
not. `python -m eval` measures answers, refusals and citations; these figures do not.

## Limits

{_LIMITS}

## Licence

The adapter: Apache-2.0. The base{tinyllama} and the decks have their own licences.
"""
    return "\n".join(front) + "\n" + body


def _counts(kinds: dict[str, int]) -> str:
    listed = ", ".join(f"{n:,} {kind.replace('_', '-')}" for kind, n in sorted(kinds.items()))
    return f"{sum(kinds.values()):,} ({listed})" if listed else "none"


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4f}"
