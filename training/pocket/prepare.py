"""From corpora to the tokenizer and the token file."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from index.health import QUESTIONS
from index.retrieve import open_index, open_split
from training import embedder_subjects as subjects
from training.embedder_data import PairMaker, read_hand_written
from training.pocket import tokens
from training.pocket.config import Mixture, Shape
from training.pocket.rows import Material, RowMaker, read_books, without_held_out
from training.pocket.tokenizer import train_tokenizer

logger = logging.getLogger(__name__)


def prepare(
    corpora: Sequence[Path],
    books: Sequence[Path],
    without: Sequence[Path],
    count: int,
    seed: int,
    out: Path,
) -> None:
    """Make `out` with tokenizer and rows.

    Args:
        corpora: JSONL files with `question` and `answer`.
        books: JSONL files with `text`.
        without: index folders; cards that they hold out, and rows like them, are left out.
    """
    phrases = subjects.Phrases.load()
    every = [row for path in corpora for row in subjects.read_rows(path, phrases)]
    held = [
        card
        for folder in without
        for side in ("test", "validation")
        for card in open_split(folder).select(open_index(folder).cards, side)
    ]
    rows = without_held_out(every, held)
    logger.info(
        "%s rows, without the %s that are like held-out cards", len(rows), len(every) - len(rows)
    )
    texts = [text for path in books for text in read_books(path)]
    out.mkdir(parents=True, exist_ok=True)
    shape, mixture = Shape(), Mixture()
    tokenizer = _tokenizer(rows, texts, shape, seed)
    tokenizer.save_pretrained(out / "tokenizer")
    material = Material(PairMaker(rows, phrases, seed), read_hand_written(QUESTIONS / "lay"), texts)
    maker = RowMaker(material, tokenizer, mixture, seed)
    record: dict[str, Any] = {
        "seed": seed,
        "mixture": mixture.model_dump(),
        "sources": {path.name: _sha256(path) for path in (*corpora, *books)},
        "corpus rows": len(rows),
        "rows like held-out cards": len(every) - len(rows),
        "without": [open_split(folder).stamp for folder in without],
    }
    with tqdm(total=count, unit="row", desc="rows") as bar:
        tokens.write(iter(maker), count, record, out, bar.update)
    logger.info("left out while drawing: %s", dict(maker.left_out))


def _tokenizer(rows: Sequence[subjects.Row], texts: Sequence[str], shape: Shape, seed: int) -> Any:
    sample = [f"{row.question} {row.answer[:1500]}" for row in rows]
    random.Random(seed).shuffle(sample)
    return train_tokenizer([*sample, *texts[::4]], shape.vocabulary, shape.context)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
