"""Failures that a user can mend; every message says what was expected, what came, what to do."""

from __future__ import annotations


class ExpectedError(Exception):
    """An anticipated failure; commands print its message as one line and exit with status 2."""


class DeckError(ExpectedError):
    """A deck that cannot be read at all (missing, empty, binary, wrong columns, too large)."""


class IndexMissingError(ExpectedError):
    """No index where one was expected."""


class IndexDamagedError(ExpectedError):
    """A file of the index is absent or differs from what its manifest recorded."""


class IndexMismatchError(ExpectedError):
    """An index, embedder or split other than the one that the caller was made for."""


class EmbedderUnavailableError(ExpectedError):
    """The embedding model is neither on this machine nor reachable on a hub."""
