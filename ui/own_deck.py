"""A user's own deck: read within limits, embedded, searched, and kept for that page alone."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from index import decks, lexical, store
from index.cards import Flashcard, deck_hash
from index.cleaning import Cleaned, clean_deck
from index.config import CleaningConfig
from index.embedder import Embedder, embed
from index.errors import DeckError
from index.lexical import LexicalIndex
from index.manifest import Manifest
from index.retrieve import CardRetriever
from index.search import Searcher
from index.store import Store
from ui import strings
from ui.strings import Lang

MAX_MEGABYTES = 10
MAX_CARDS = 2_000
MAX_ROWS = 3 * MAX_CARDS  # read at most, good and bad: a small package can unpack to a huge one
EXTENSIONS = (".apkg", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
_CHUNK = 64
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, eq=False)
class OwnDeck:
    """A deck of one conversation, with the rows that were left out by reason."""

    name: str
    retriever: CardRetriever
    left_out: dict[str, int]
    folder: TemporaryDirectory[str] = field(repr=False)  # removed with the last reference

    def close(self) -> None:
        """Delete its files."""
        self.folder.cleanup()


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
    rows = list(islice(decks.read(str(path), MAX_MEGABYTES), MAX_ROWS + 1))
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

    What "close enough to answer" means is taken from the deck in service: both are compared by
    the same embedder, and a small deck has too few cards to learn it from.

    Raises:
        DeckError: it is too large, or cannot be read; the message is for the user.
    """
    cleaned = read(path, lang)
    cards, total = cleaned.cards, len(cleaned.cards)
    progress(0, total)
    vectors = []
    for start in range(0, total, _CHUNK):
        vectors.append(embed(base.embed_model, [c.text for c in cards[start : start + _CHUNK]]))
        progress(min(start + _CHUNK, total), total)
    folder = tempfile.TemporaryDirectory(prefix="medcards-deck-")
    file, words = Path(folder.name) / "vectors.faiss", Path(folder.name) / "bm25"
    store.write(np.concatenate(vectors), file)
    lexical.write([card.text for card in cards], words)
    searcher = Searcher(cards, Store(file), LexicalIndex(words))
    embedder = Embedder(base.embed_model, base.manifest.embedder)
    retriever = CardRetriever(
        searcher, embedder, base.probe, base.relevance, _record(cards, path.stem, base), base.top_k
    )
    return OwnDeck(path.stem, retriever, cleaned.reasons(), folder)


def _record(cards: list[Flashcard], name: str, base: CardRetriever) -> Manifest:
    return base.manifest.model_copy(
        update={
            "generation": deck_hash(cards)[:12],
            "cards": len(cards),
            "deck_hash": deck_hash(cards),
            "decks": {name: len(cards)},
            "topics": dict(Counter(c.topic for c in cards if c.topic).most_common()),
            "files": {},
        }
    )
