"""Build an index: decks -> cards -> vectors -> a new generation, put in place in one step.

What has been embedded is kept: vectors of unchanged cards come from the old index, and vectors of
a build that was interrupted come from its journal, so that a build goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from index import cards as card_files
from index import decks, health, lexical, manifest, relevance, split, store
from index.cards import Flashcard, deck_hash
from index.cleaning import Cleaned, clean_deck
from index.config import Engine, IndexConfig
from index.embedder import Embedder, embed_cards, open_embedder
from index.errors import DeckError, ExpectedError, IndexDamagedError, IndexMissingError
from index.manifest import EmbedderRecord, FileRecord, Manifest
from index.paths import default_index
from index.store import Store, Vectors

logger = logging.getLogger(__name__)

_WORK = ".building"
_JOURNAL = "embedded.bin"
_KEY_BYTES = 16
_SUM_BYTES = 4
_GENERATION = re.compile(r"[0-9a-f]{12}")
_CHUNK = 256  # cards between two writes of the journal: six seconds' work on two cores


@dataclass(frozen=True)
class Plan:
    """What a build would do."""

    cards: int
    unchanged: int
    to_embed: int
    removed: int
    rejected: dict[str, int]
    decks: dict[str, int]


def output_folder(config: IndexConfig) -> Path:
    """Where the index of a configuration goes."""
    return config.out or default_index(config.decks[0])


def plan(config: IndexConfig) -> Plan:
    """What `build` would do, without doing it."""
    cleaned = _read(config)
    embedder = open_embedder(config.embedder)
    old = _old_vectors(output_folder(config), embedder.record)
    keys = {_key(card) for card in cleaned.cards}
    return Plan(
        cards=len(cleaned.cards),
        unchanged=len(keys & old.keys()),
        to_embed=len(keys - old.keys()),
        removed=len(old.keys() - keys),
        rejected=cleaned.reasons(),
        decks=_by_deck(cleaned.cards),
    )


def build(config: IndexConfig) -> Manifest:
    """Build the index and return its manifest.

    Raises:
        DeckError: a deck cannot be read, or holds no card.
        EmbedderUnavailableError: the embedding model cannot be loaded.
        ExpectedError: another build of the same index is running, or the disk refuses.
    """
    folder = output_folder(config)
    cleaned = _read(config)
    embedder = open_embedder(config.embedder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            return _build(config, folder, cleaned, embedder)
    except Timeout as error:
        raise ExpectedError(
            f"another build of {str(folder)!r} is running: wait for it, or give another --out"
        ) from error
    except OSError as error:
        raise ExpectedError(
            f"cannot write the index to {str(folder)!r} ({error.strerror or error}): expected a "
            "writable folder with space left; what was there before is unchanged"
        ) from error


def _read(config: IndexConfig) -> Cleaned:
    rows = chain.from_iterable(decks.read(deck, config.max_megabytes) for deck in config.decks)
    cleaned = clean_deck(tqdm(rows, desc="reading", unit=" rows", file=sys.stderr), config.cleaning)
    if not cleaned.cards:
        reasons = ", ".join(f"{n} {why}" for why, n in cleaned.reasons().items()) or "no rows"
        raise DeckError(
            f"no valid card in {', '.join(config.decks)} ({reasons}): expected rows with a "
            "question and an answer"
        )
    if cleaned.rejects:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in cleaned.reasons().items())
        logger.info("%s rows left out: %s", f"{len(cleaned.rejects):,}", reasons)
    return cleaned


def _build(config: IndexConfig, folder: Path, cleaned: Cleaned, embedder: Embedder) -> Manifest:
    cards = cleaned.cards
    work = folder / _WORK
    work.mkdir(exist_ok=True)
    journal = work / f"{_fingerprint(embedder.record)}-{_JOURNAL}"
    old = _old_vectors(folder, embedder.record)
    vectors = _vectors(cards, embedder, old, journal, config.engine)
    staged = work / "generation"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    structure = store.write(vectors, staged / manifest.VECTORS)
    lexical.write([card.text for card in cards], staged / manifest.BM25)
    _write_lines(staged / manifest.CARDS, card_files.dump(cards))
    _write_lines(staged / manifest.REJECTS, (reject.line() for reject in cleaned.rejects))
    health.prepare(embedder).save(staged / manifest.HEALTH)
    _write_lines(staged / manifest.RELEVANCE, [relevance.dump(relevance.shipped())])
    sides = split.split_cards(cards, config.split)
    _write_lines(staged / manifest.SPLIT, [split.dump(sides)])
    files = {
        str(path.relative_to(staged)): manifest.file_record(path)
        for path in sorted(staged.rglob("*"))
        if path.is_file()
    }
    record = Manifest(
        schema_version=manifest.SCHEMA,
        generation=_generation(files),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        embedder=embedder.record,
        metric=store.METRIC,
        structure=structure,
        parameters=store.parameters(len(cards)),
        cards=len(cards),
        rejected=cleaned.reasons(),
        deck_hash=deck_hash(cards),
        decks=_by_deck(cards),
        topics=dict(Counter(card.topic for card in cards if card.topic).most_common()),
        split_stamp=sides.stamp,
        split_counts={side: n for side, n in sides.counts().items()},
        config=config.model_dump(mode="json", exclude={"out", "engine"}),
        files=files,
    )
    _publish(record, staged, folder)
    shutil.rmtree(work, ignore_errors=True)
    return record


def _publish(record: Manifest, staged: Path, folder: Path) -> None:
    """Move the generation into place, point the manifest at it, and sweep older generations."""
    generation = folder / record.generation
    try:
        manifest.verify(record, folder)  # the same content is in service: leave its files alone
    except IndexDamagedError:
        if generation.exists():
            logger.warning("the files of generation %s were damaged; built again", generation.name)
            generation.rename(_free(staged.parent / "damaged"))
        _sync(staged)
        staged.rename(generation)
    manifest.write(record, folder)
    for path in folder.iterdir():
        # Only what a build made: the folder may be one in which the user keeps other things.
        if (
            _GENERATION.fullmatch(path.name)
            and path.name != record.generation
            and (path / manifest.CARDS).is_file()
        ):
            shutil.rmtree(path, ignore_errors=True)


def _free(path: Path) -> Path:
    """The path, with nothing left there by a build that was interrupted."""
    shutil.rmtree(path, ignore_errors=True)
    return path


def _sync(staged: Path) -> None:
    """Files on the disk before a manifest names them: a loss of power must not leave holes."""
    for path in staged.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _vectors(
    cards: Sequence[Flashcard],
    embedder: Embedder,
    old: dict[bytes, Vectors],
    journal: Path,
    engine: Engine,
) -> Vectors:
    dimension = embedder.record.dimension
    known = old | _read_journal(journal, dimension)
    keys = [_key(card) for card in cards]
    missing = [card for card, key in zip(cards, keys, strict=True) if key not in known]
    if known and missing:
        logger.info(
            "%s of %s cards are embedded already",
            f"{len(cards) - len(missing):,}",
            f"{len(cards):,}",
        )
    bar = tqdm(
        total=len(cards),
        initial=len(cards) - len(missing),
        desc="embedding",
        unit=" cards",
        file=sys.stderr,
    )
    with bar, journal.open("ab") as file:
        for chunk, fresh in _embedded(missing, embedder, engine):
            for card, vector in zip(chunk, fresh, strict=True):
                known[_key(card)] = vector
                content = _key(card) + vector.tobytes()
                file.write(content + _sum(content))
            file.flush()
            os.fsync(file.fileno())
            bar.update(len(chunk))
    return np.stack([known[key] for key in keys])


def _embedded(
    cards: Sequence[Flashcard], embedder: Embedder, engine: Engine
) -> Iterator[tuple[Sequence[Flashcard], Vectors]]:
    if engine == "ray":
        from index import ray_embedding

        yield from ray_embedding.embedded(cards, embedder.record, _CHUNK)
        return
    for chunk in _chunks(cards):
        yield chunk, embed_cards(embedder.model, chunk)


def _chunks(cards: Sequence[Flashcard]) -> Iterator[Sequence[Flashcard]]:
    for start in range(0, len(cards), _CHUNK):
        yield cards[start : start + _CHUNK]


def _old_vectors(folder: Path, record: EmbedderRecord) -> dict[bytes, Vectors]:
    """The vectors of the index in `folder` by card, if the same embedder made them."""
    try:
        old = manifest.read(folder)
        if old.embedder != record:
            return {}
        manifest.verify(old, folder)
    except IndexMissingError:
        return {}
    except IndexDamagedError as error:
        logger.warning("the old index cannot be reused: %s", error)
        return {}
    generation = folder / old.generation
    with (generation / manifest.CARDS).open(encoding="utf-8") as lines:
        cards = list(card_files.load(lines))
    vectors = Store(generation / manifest.VECTORS).all_vectors()
    return {_key(card): vector for card, vector in zip(cards, vectors, strict=True)}


def _read_journal(journal: Path, dimension: int) -> dict[bytes, Vectors]:
    """The records of an interrupted build; none from the first bad one on."""
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return {}
    size = _KEY_BYTES + 4 * dimension + _SUM_BYTES
    found: dict[bytes, Vectors] = {}
    sound = 0
    for end in range(size, len(data) + 1, size):
        content, checksum = data[end - size : end - _SUM_BYTES], data[end - _SUM_BYTES : end]
        if _sum(content) != checksum:
            break
        found[content[:_KEY_BYTES]] = np.frombuffer(content[_KEY_BYTES:], dtype=np.float32)
        sound = end
    os.truncate(journal, sound)
    return found


def _sum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_SUM_BYTES)


def _key(card: Flashcard) -> bytes:
    """What a vector depends on: the exact text."""
    return hashlib.sha256(card.text.encode()).digest()[:_KEY_BYTES]


def _fingerprint(record: EmbedderRecord) -> str:
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()[:12]


def _generation(files: dict[str, FileRecord]) -> str:
    content = "".join(f"{name}:{record.sha256}\n" for name, record in sorted(files.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _by_deck(cards: Sequence[Flashcard]) -> dict[str, int]:
    return dict(Counter(card.deck or "deck" for card in cards).most_common())


def _write_lines(path: Path, lines: Iterator[str] | list[str]) -> None:
    # A row may hold lone surrogates, which no encoding has: they are written as JSON spells them.
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
