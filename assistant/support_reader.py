"""Whether a card states a sentence, by a small network over the token vectors of both.

Features that count likenesses hardly see who does what to whom. This model compares each token of
the sentence with the card's and reads the comparisons in their order (training/reader_model.py). It
ships as ONNX and takes a few milliseconds, since the vectors are there already; `support_judge`
weighs its word with that of the trees.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from assistant.support_features import Reading
from index.errors import EmbedderUnavailableError
from index.onnx_session import open_session
from index.token_vectors import Matrix

MODEL = Path(__file__).parent / "support_reader.onnx"
_CARD_TOKENS = 160  # that are read: the question's, and those of the nearest sentences

Ints = np.ndarray[Any, np.dtype[np.int64]]


class TokenPair(NamedTuple):
    """Unit vectors of a sentence's tokens, (S, dimension), and of a card's, (T, dimension).

    `part` (T,) is the number of the card's sentence that a token is from, 0 for its question.
    """

    sentence: Matrix
    card: Matrix
    part: Ints


def token_pair(reading: Reading) -> TokenPair:
    """What is read: of a long card its question and the sentences nearest, in their order."""
    near = [float(m.max(axis=1).mean()) if m.size else -1.0 for m in reading.likeness]
    sizes = [len(vectors.tokens) for vectors in reading.vectors]
    room = _CARD_TOKENS - len(reading.question.tokens)
    kept: list[int] = []
    for i in np.argsort(near)[::-1].tolist():
        if not kept or sizes[i] <= room:
            kept.append(i)
            room -= sizes[i]
    parts = [reading.question.tokens, *(reading.vectors[i].tokens for i in sorted(kept))]
    numbers = [np.full(len(part), i, dtype=np.int64) for i, part in enumerate(parts)]
    return TokenPair(reading.mine.tokens, np.concatenate(parts), np.concatenate(numbers))


class SupportReader:
    """Gives the logit that a card states a sentence."""

    def __init__(self, model: Path) -> None:
        self._session: Any = open_session(model)

    def logit(self, pair: TokenPair) -> float:
        """What the model says of the two."""
        return float(self._session.run(None, pair._asdict())[0])


@cache
def shipped() -> SupportReader:
    """The model of this package, loaded once.

    Raises:
        EmbedderUnavailableError: its file is missing or damaged.
    """
    try:
        return SupportReader(MODEL)
    except Exception as error:  # onnxruntime raises this very class, or children of it
        raise EmbedderUnavailableError(
            f"the reader of the support check, {str(MODEL)!r}, is missing or damaged "
            f"({type(error).__name__}): restore it with 'git checkout assistant'"
        ) from error
