"""Decks that need a library beyond the serving install: hub data sets and Parquet files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from index.errors import DeckError

FLASHCARDS = "flashcards"
FLASHCARDS_ID = "medalpaca/medical_meadow_medical_flashcards"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def looks_like_id(deck: str) -> bool:
    """Whether a name that is no path can be a hub data set id, `owner/name`."""
    return deck == FLASHCARDS or _HUB_ID.fullmatch(deck) is not None


def rows(deck: str) -> Iterator[dict[str, Any]]:
    """The rows of every split of a hub data set; `flashcards` is medalpaca's.

    Raises:
        DeckError: the data set is unknown or the hub cannot be reached.
    """
    identifier = FLASHCARDS_ID if deck == FLASHCARDS else deck
    try:
        import datasets
    except ImportError as error:
        raise DeckError(
            f"reading {identifier!r} from a hub needs the package 'datasets': "
            "pip install 'medcards[hub]'"
        ) from error
    try:
        splits = datasets.load_dataset(identifier)
    except (OSError, ValueError, RuntimeError) as error:
        # DatasetNotFoundError, OfflineModeIsEnabled and connection errors are all among these.
        raise DeckError(
            f"cannot load the data set {identifier!r} ({type(error).__name__}): expected a hub "
            "data set id and a reachable hub; check the name and the network, or pass a file"
        ) from error
    for split in splits.values():
        yield from split


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file.

    Raises:
        DeckError: the file is damaged, or no Parquet reader is installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DeckError(
            f"reading {path.name!r} needs the package 'pyarrow': pip install 'medcards[hub]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DeckError(
            f"deck {path.name!r} is not a complete Parquet file ({type(error).__name__}): fetch it "
            "again"
        ) from error
