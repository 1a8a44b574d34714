"""Where medcards keeps what it builds."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def home() -> Path:
    """The folder for built files: `MEDCARDS_HOME`, else `.medcards` in the checkout."""
    return Path(os.environ.get("MEDCARDS_HOME") or REPOSITORY / ".medcards").expanduser()


def default_index(deck: str) -> Path:
    """Where the index of a deck goes when no `--out` is given."""
    name = Path(deck).name
    if name in ("", ".", ".."):  # a folder by its relation to this one: take its real name
        name = Path(deck).resolve().name
    return home() / "index" / (Path(name).stem or "deck")
