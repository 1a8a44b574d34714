"""Have glibc give memory back: with its defaults a server grew by a tenth in 7,000 answers."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _ARENA_MAX = -1, -8  # parameters of mallopt(3)
_TRIM_BYTES = 1 << 20
_ARENAS = 2  # by default eight for each core, each with holes of its own


def give_back() -> None:
    """Call before threads begin; does nothing where malloc is not glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    mallopt(_ARENA_MAX, _ARENAS)
    mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)
