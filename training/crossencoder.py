"""Train the cross-encoder that judges whether a card answers a question, and convert it.

    python -m training crossencoder --embedder CHECKPOINT --index DIR [--index DIR ...] --out DIR

It starts from the first layers of the embedder, whose word vectors stay as they are. On a CPU with
AVX512-BF16 two idle cores read about 75 pairs a second, without it a few. `--minutes` bounds the
run by the clock: the learning rate falls to zero at its end whatever the speed was.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from index import crossencoder
from index.embedder import open_embedder
from training import crossencoder_data as data
from training import pair_fit, support_pairs
from training.embedder_subjects import Phrases
from training.pair_model import Pair, PairClassifier, read_start, save_int8

logger = logging.getLogger(__name__)

WEIGHTS = "weights.pt"
_OFF_TOPIC = Path("index/questions/other.jsonl")
_LAY = Path("index/questions/lay")


class CrossEncoderConfig(BaseModel):
    """One training run; written beside the model that it makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: Path  # a BERT checkpoint with its tokenizer
    indexes: tuple[Path, ...] = Field(min_length=1)
    out: Path
    start: Path | None = None  # to go on from: weights of an earlier run, or what it shipped
    exclude: Path | None = None  # JSONL of questions that no pair may contain
    layers: int = Field(4, ge=1)
    cards: int = Field(10_000, ge=1)  # asked about, of each index
    minutes: float = Field(40.0, gt=0)
    batch: int = Field(32, ge=2)
    learning_rate: float = Field(2e-4, gt=0)
    max_tokens: int = Field(crossencoder.MAX_TOKENS, ge=16)
    seed: int = 20260801


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pairs, train, convert; prints the folder of the ONNX model."""
    config = _parse(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "config.json").write_text(config.model_dump_json(indent=1), encoding="utf-8")
    examples = make_examples(config)
    train = [e for e in examples if e.side == "train"]
    held = [e for e in examples if e.side == "validation"]
    logger.info("%s pairs to train on, %s to validate", f"{len(train):,}", f"{len(held):,}")
    weights = fit(config, train, held)
    target = config.out / "onnx"
    target.mkdir(exist_ok=True)
    convert(config, weights, target / crossencoder.MODEL)
    sys.stdout.write(f"{target}\n")
    return 0


def _parse(argv: Sequence[str] | None) -> CrossEncoderConfig:
    parser = argparse.ArgumentParser(
        prog="training crossencoder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--embedder", type=Path, required=True, help="checkpoint to start from")
    parser.add_argument("--index", dest="indexes", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--exclude", type=Path, help="JSONL of questions that no pair may contain")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other field of CrossEncoderConfig",
    )
    options = vars(parser.parse_args(argv))
    extra = dict(setting.split("=", 1) for setting in options.pop("settings"))
    return CrossEncoderConfig.model_validate(
        {**options, "indexes": tuple(options["indexes"]), **extra}
    )


def make_examples(config: CrossEncoderConfig) -> list[data.Example]:
    """Every pair of the run, in random order."""
    draw = random.Random(config.seed)
    embedder = open_embedder("medcards-minilm")
    phrases = Phrases.load()
    excluded = frozenset(
        row["question"] for row in (data.read_jsonl(config.exclude) if config.exclude else ())
    )
    decks = [data.open_deck(folder, embedder) for folder in config.indexes]
    lay = [row for path in sorted(_LAY.glob("*.jsonl")) for row in data.read_jsonl(path)]
    other = [row["question"] for row in data.read_jsonl(_OFF_TOPIC)]
    examples = list(data.lay_examples(lay, embedder, draw))
    examples += data.passage_examples(data.read_jsonl(support_pairs.PASSAGES))
    examples += data.off_topic_examples(other, decks, embedder, draw)
    for deck in decks:
        examples += data.deck_examples(deck, phrases, config.cards, excluded, draw)
    draw.shuffle(examples)
    return examples


def fit(
    config: CrossEncoderConfig, train: Sequence[data.Example], held: Sequence[data.Example]
) -> Path:
    """Train until the minutes are over; the weights' file."""
    import torch

    torch.manual_seed(config.seed)
    model = PairClassifier(config.embedder, config.layers, config.max_tokens)
    if config.start:
        read_start(model, config.start)
    target = config.out / WEIGHTS
    started = time.monotonic()
    pair_fit.teach(
        model,
        pair_fit.endless(_pairs(train), config.batch, config.seed),
        config.learning_rate,
        lambda _: (time.monotonic() - started) / (60 * config.minutes),
    )
    torch.save(model.state_dict(), target)
    figures = {name: _auroc(model, rows) for name, rows in _by_source(held).items()}
    (config.out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    logger.info("AUROC on the validation side: %s", figures)
    return target


def _pairs(examples: Sequence[data.Example]) -> list[Pair]:
    return [
        Pair(e.question, crossencoder.card_side(e.heading, e.body), e.answers) for e in examples
    ]


def _by_source(examples: Sequence[data.Example]) -> dict[str, list[data.Example]]:
    sources: dict[str, list[data.Example]] = {}
    for example in examples:
        sources.setdefault(example.source, []).append(example)
    return {name: rows for name, rows in sources.items() if len({e.answers for e in rows}) == 2}


def _auroc(model: PairClassifier, examples: Sequence[data.Example], limit: int = 600) -> float:
    from sklearn.metrics import roc_auc_score

    pairs = _pairs(examples[:limit])
    scores = pair_fit.logits(model, pairs)
    return round(float(roc_auc_score([pair.true for pair in pairs], scores)), 4)


def convert(config: CrossEncoderConfig, weights: Path, target: Path) -> None:
    """Write the model as int8 ONNX."""
    import torch

    model = PairClassifier(config.embedder, config.layers, config.max_tokens)
    model.load_state_dict(torch.load(weights, weights_only=True))
    save_int8(model, target)
