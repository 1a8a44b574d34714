"""What comes from a hub, and decks that need a library beyond the serving install."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from index.errors import DeckError

_ANSWER_WITHIN = 5.0  # seconds
_OUT_OF_SERVICE = (500, 502, 503, 504)
_lock = Lock()
_kept: list[bool] = []  # the hub's setting, once for each thread that is within `no_retries`

FLASHCARDS = "flashcards"
FLASHCARDS_ID = "medalpaca/medical_meadow_medical_flashcards"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@contextlib.contextmanager
def no_retries() -> Iterator[None]:
    """Within it a hub that does not answer is given up at once, and only its cache is used.

    The hub's client asks an unreachable hub again and again, for every file: 24 s for a data set,
    77 s for an embedder, and without end where a connection opens but stays silent.
    """
    from huggingface_hub import constants

    with _lock:  # the setting is the process's: the first in sets it, the last out puts it back
        if not _kept:
            known = constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)
            _kept.append(constants.HF_HUB_OFFLINE)
            constants.HF_HUB_OFFLINE = known
        else:
            _kept.append(_kept[0])
    try:
        yield
    finally:
        with _lock:
            before = _kept.pop()
            if not _kept:
                constants.HF_HUB_OFFLINE = before


def _answers(endpoint: str) -> bool:
    from huggingface_hub import get_session

    try:
        status = get_session().head(endpoint, timeout=_ANSWER_WITHIN).status_code
    except failures():
        return False
    return status not in _OUT_OF_SERVICE


def failures() -> tuple[type[Exception], ...]:
    """What loading from a hub raises: unknown names, refusals, broken connections and files."""
    from huggingface_hub.errors import HfHubHTTPError

    # A connection that breaks off raises an error of the HTTP client, which is no OSError.
    of_client: type[Exception] = HfHubHTTPError.__bases__[0]
    return (OSError, ValueError, RuntimeError, of_client)


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
        with no_retries():
            splits = datasets.load_dataset(identifier)
    except (*failures(), datasets.exceptions.DatasetsError) as error:
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
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:
        # The last two: names that are no UTF-8, and times that Python has not.
        raise DeckError(
            f"deck {path.name!r} is not a complete Parquet file ({type(error).__name__}): fetch it "
            "again"
        ) from error
