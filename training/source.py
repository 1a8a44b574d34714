"""Where rows come from: the index with its split, and dialogue decks."""

from __future__ import annotations

import json
import logging
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from index import decks, manifest
from index.cards import Flashcard
from index.cleaning import clean_deck
from index.config import CleaningConfig, SplitConfig
from index.errors import IndexMissingError
from index.manifest import Manifest
from index.paths import default_index, home
from index.retrieve import CardRetriever, open_index, open_split
from index.similar import Groups, pairs, question_shingles
from index.split import Split, split_cards
from training.config import RunConfig
from training.rows import DEPTH, Rows, dialogue_rows, draw, make_rows

logger = logging.getLogger(__name__)

_DIALOGUE_VALIDATION = 0.1


@dataclass(frozen=True)
class Source:
    """An index that is checked, with its split."""

    retriever: CardRetriever
    split: Split

    @property
    def record(self) -> Manifest:
        """The manifest of the index."""
        return self.retriever.manifest


def index_folder(config: RunConfig) -> Path:
    """The index of a run: the one that it names, else its deck's.

    Raises:
        IndexMissingError: there is none.
    """
    folder = config.index or default_index(config.deck)
    if not (folder / manifest.MANIFEST).exists():
        raise IndexMissingError(
            f"no index at {str(folder)!r}: build it with 'python -m index build --deck "
            f"{config.deck}', or name another with --index"
        )
    return folder


def check_stamp(config: RunConfig) -> str:
    """The stamp of the index's split, after checking it against the one that the run asks for.

    Raises:
        IndexMissingError, IndexDamagedError: there is no whole index.
        IndexMismatchError: the run was made for another split.
    """
    split = open_split(index_folder(config))
    if config.split_stamp is not None:
        split.require(config.split_stamp, f"the run {config.name!r}")
    return split.stamp


def open_source(config: RunConfig) -> Source:
    """Open the index of a run."""
    folder = index_folder(config)
    return Source(open_index(folder), open_split(folder))


def build_rows(config: RunConfig, source: Source, tokenizer: Any) -> tuple[Rows, Rows]:
    """Training and validation rows. Nothing of the test side is in either.

    Training prompts hold training cards only. Validation questions are those of validation cards;
    their prompts may hold training cards besides, as the model meets new questions among cards
    that it has seen.
    """
    cards = source.retriever.cards
    train_side = source.split.select(cards, "train")
    validation_side = source.split.select(cards, "validation")
    rows = config.rows
    train_cards = draw(train_side, rows, rows.limit, config.seed)
    if rows.limit is not None and len(train_cards) < rows.limit:
        logger.warning(
            "the run asks for %s training cards and the index has %s: all are used",
            f"{rows.limit:,}",
            f"{len(train_cards):,}",
        )
    validation_cards = draw(validation_side, rows, rows.validation_limit, config.seed)
    find = Finder(source.retriever)
    with tqdm(total=len(train_cards), desc="rows", file=sys.stderr, disable=None) as bar:
        train = make_rows(train_cards, train_side, find, tokenizer, rows, config.seed, bar.update)
    allowed = [*train_side, *validation_side]
    validation = make_rows(validation_cards, allowed, find, tokenizer, rows, config.seed)
    if rows.dialogues:
        held_out = [card for card in cards if source.split.sides[card.id] != "train"]
        for side, drawn in zip(
            (train, validation), draw_dialogues(config, rows.dialogues, held_out), strict=True
        ):
            made = dialogue_rows(drawn, tokenizer, rows)
            side.rows += made.rows
            side.left_out += made.left_out
    random.Random(f"{config.seed}:order").shuffle(train.rows)
    return train, validation


def draw_dialogues(
    config: RunConfig, deck: str, held_out: Sequence[Flashcard]
) -> tuple[list[Flashcard], list[Flashcard]]:
    """Dialogues to train on and to validate with; none asks what a held-out card asks."""
    rows = config.rows
    cleaning = CleaningConfig()
    found = draw(
        clean_deck(decks.read(deck), cleaning).cards, rows, rows.dialogue_limit, config.seed
    )
    groups = Groups(len(found) + len(held_out))
    texts = [question_shingles(card) for card in [*found, *held_out]]
    split = SplitConfig(validation=_DIALOGUE_VALIDATION, test=0)
    for i, j in pairs(texts, split.question_jaccard):
        groups.join(i, j)
    taken = {groups.find(i) for i in range(len(found), len(texts))}
    kept = [card for position, card in enumerate(found) if groups.find(position) not in taken]
    if len(kept) < len(found):
        logger.warning(
            "%s dialogues ask what a held-out card asks: left out", f"{len(found) - len(kept):,}"
        )
    sides = split_cards(kept, split)
    return sides.select(kept, "train"), sides.select(kept, "validation")


class Finder:
    """Retrieval that is kept on disk: embedding the questions of a large deck takes minutes."""

    def __init__(self, retriever: CardRetriever) -> None:
        self._retriever = retriever
        self._cards = {card.id: card for card in retriever.cards}
        folder = home() / "training"
        self._file = folder / f"found-{retriever.manifest.generation}-{DEPTH}.jsonl"
        self._known: dict[str, list[str]] = {}
        if self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                try:
                    question, ids = json.loads(line)
                except ValueError:  # a line cut off by a crash
                    continue
                self._known[question] = ids

    def __call__(self, question: str, depth: int) -> list[Flashcard]:
        """The cards nearest to a question, best first."""
        ids = self._known.get(question)
        if ids is None or not all(i in self._cards for i in ids):
            ids = [hit.card.id for hit in self._retriever.hits(question, DEPTH)]
            self._known[question] = ids
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([question, ids]) + "\n")
        return [self._cards[i] for i in ids[:depth]]
