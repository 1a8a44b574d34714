"""Which cards a question is asked of: those of certain topics and of certain decks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from index.cards import Flashcard
from index.errors import ExpectedError
from index.text import fold

Mask = np.ndarray[Any, np.dtype[np.bool_]]  # (cards,), true where a card may be found

UNTOLD = ""  # the topic, or the deck, of a card that names none


class CardFilter:
    """Turns names of topics and decks into masks over the cards."""

    def __init__(self, cards: Sequence[Flashcard]) -> None:
        self._topics = _Column(card.topic for card in cards)
        self._decks = _Column(card.deck for card in cards)

    def topics(self) -> dict[str, int]:
        """Cards by topic, the most frequent first; those without one under the empty name."""
        return self._topics.counts()

    def decks(self) -> dict[str, int]:
        """Cards by deck, the largest first; those without one under the empty name."""
        return self._decks.counts()

    def mask(self, topics: frozenset[str] | None, decks: frozenset[str] | None) -> Mask | None:
        """The cards of any of the topics that are in any of the decks.

        A name that no card has holds none. None for a set means that all are meant, and the mask
        is None where nothing is filtered.
        """
        masks = [
            column.mask(names)
            for column, names in ((self._topics, topics), (self._decks, decks))
            if names is not None
        ]
        if not masks:
            return None
        mask: Mask = np.logical_and.reduce(masks)
        return mask


def resolve(
    kind: str, given: Sequence[str] | None, counts: Mapping[str, int]
) -> frozenset[str] | None:
    """Names as a user typed them, as the cards have them: upper and lower case are alike.

    Raises:
        ExpectedError: no card has the name.
    """
    if given is None:
        return None
    chosen: set[str] = set()
    for name in given:
        same = {held for held in counts if fold(held) == fold(name)}
        if not same:
            near = get_close_matches(name, counts, n=3) or [held for held in counts if held][:3]
            raise ExpectedError(
                f"no card of the {kind} {name!r}: expected one of {len(counts):,}, such as "
                f"{', '.join(map(repr, near))}; 'python -m index info' lists them"
            )
        chosen |= same
    return frozenset(chosen)


class _Column:
    """One field of all cards, as numbers of its distinct values."""

    def __init__(self, values: Iterable[str | None]) -> None:
        place: dict[str, int] = {}
        self._codes = np.fromiter(
            (place.setdefault(value or UNTOLD, len(place)) for value in values), dtype=np.int32
        )
        self._place = place

    def mask(self, names: frozenset[str]) -> Mask:
        """The cards that have one of the values."""
        chosen = np.zeros(len(self._place), dtype=np.bool_)
        chosen[[self._place[name] for name in names if name in self._place]] = True
        mask: Mask = chosen[self._codes]
        return mask

    def counts(self) -> dict[str, int]:
        """How many cards have each value, the most frequent first."""
        counts = np.bincount(self._codes, minlength=len(self._place)).tolist()
        return dict(Counter(dict(zip(self._place, counts, strict=True))).most_common())
