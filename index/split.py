"""The split: which cards are held out. The one owner of that fact for trainer, index and report.

Near-duplicate questions form a group and a group falls on one side, so that no paraphrase of a
test card is trained on. The side of a group follows from a hash of its smallest card id: the same
deck gives the same split on every machine, in any order of its cards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from index.cards import Flashcard
from index.config import SplitConfig
from index.errors import IndexMismatchError
from index.similar import Groups, pairs, question_shingles

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")
_VERSION = 1


@dataclass(frozen=True)
class Split:
    """The side of every card, and a stamp that changes when any of them does."""

    sides: Mapping[str, Side]  # card id -> side
    stamp: str

    def select(self, cards: Sequence[Flashcard], side: Side) -> list[Flashcard]:
        """The cards of one side, in their order."""
        return [card for card in cards if self.sides[card.id] == side]

    def counts(self) -> dict[Side, int]:
        """How many cards are on each side."""
        return {side: sum(s == side for s in self.sides.values()) for side in SIDES}

    def require(self, stamp: str, holder: str) -> None:
        """Refuse work made for another split.

        Raises:
            IndexMismatchError: `stamp`, which `holder` records, is not this split's.
        """
        if stamp != self.stamp:
            raise IndexMismatchError(
                f"{holder} was made for split {stamp[:12]}, the index has {self.stamp[:12]}: "
                "held-out cards may have been trained on; rebuild it for this index"
            )


def split_cards(cards: Sequence[Flashcard], config: SplitConfig) -> Split:
    """Assign every card to a side."""
    groups = Groups(len(cards))
    for i, j in pairs([question_shingles(card) for card in cards], config.question_jaccard):
        groups.join(i, j)
    smallest: dict[int, str] = {}
    for position, card in enumerate(cards):
        root = groups.find(position)
        smallest[root] = min(card.id, smallest.get(root, card.id))
    sides = {
        card.id: _side(smallest[groups.find(position)], config)
        for position, card in enumerate(cards)
    }
    return Split(sides, _stamp(sides, config))


def _side(group: str, config: SplitConfig) -> Side:
    digest = hashlib.sha256(f"{config.seed}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < config.test:
        return "test"
    return "validation" if position < config.test + config.validation else "train"


def _stamp(sides: Mapping[str, Side], config: SplitConfig) -> str:
    held_out = sorted(f"{i}:{side}" for i, side in sides.items())
    key = json.dumps([_VERSION, config.model_dump(), held_out], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()


def dump(split: Split) -> str:
    """The split as JSON; `load` reads it back."""
    return json.dumps({"stamp": split.stamp, "sides": dict(split.sides)}, indent=0, sort_keys=True)


def load(text: str) -> Split:
    """A split from `dump`."""
    document = json.loads(text)
    return Split(document["sides"], document["stamp"])
