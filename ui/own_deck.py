"""A user's own deck: read within limits, embedded, searched, and kept for that page alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from index import decks
from index.cleaning import Cleaned, clean_deck
from index.config import CleaningConfig
from index.errors import DeckError
from index.retrieve import CardRetriever, retriever_over
from ui import strings
from ui.strings import Lang

MAX_MEGABYTES = 10
MAX_UNPACKED = 200  # megabytes that a package may unpack to
MAX_CARDS = 2_000
MAX_ROWS = 3 * MAX_CARDS  # read at most, good and bad
EXTENSIONS = (".apkg", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, eq=False)
class OwnDeck:
    """A deck of one conversation, with the rows that were left out by reason."""

    name: str
    retriever: CardRetriever
    left_out: dict[str, int]


def read(path: Path, lang: Lang = "en") -> Cleaned:
    """The cards of an uploaded file.

    Raises:
        DeckError: it is too large, or cannot be read; the message is for the user.
    """
    size = path.stat().st_size / _MEGABYTE
    if size > MAX_MEGABYTES:
        text = strings.OWN_TOO_LARGE(lang)
        raise DeckError(text.format(size=f"{size:,.1f}", limit=MAX_MEGABYTES))
    if path.suffix.lower() not in EXTENSIONS:
        raise DeckError(
            f"{path.name!r} is no deck that can be read: expected {', '.join(EXTENSIONS)}"
        )
    rows = list(islice(decks.read(str(path), MAX_MEGABYTES, MAX_UNPACKED), MAX_ROWS + 1))
    cleaned = clean_deck(rows, CleaningConfig())
    if len(rows) > MAX_ROWS or len(cleaned.cards) > MAX_CARDS:
        raise DeckError(strings.OWN_TOO_MANY(lang).format(limit=f"{MAX_CARDS:,}"))
    if not cleaned.cards:
        reasons = ", ".join(f"{reason} {n}" for reason, n in cleaned.reasons().items())
        raise DeckError(f"{path.name!r} holds no card that can be used ({reasons})")
    return cleaned


def open_deck(
    path: Path,
    base: CardRetriever,
    lang: Lang = "en",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> OwnDeck:
    """Read an uploaded file and make its cards searchable, with the embedder in service.

    All of it is in memory: nothing of the deck stays on the server's disk.

    Raises:
        DeckError: it is too large, or cannot be read; the message is for the user.
    """
    cleaned = read(path, lang)
    retriever = retriever_over(cleaned.cards, base, path.stem, progress)
    return OwnDeck(path.stem, retriever, cleaned.reasons())
