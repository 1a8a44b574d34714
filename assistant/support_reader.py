"""Whether a card states a sentence, by a small transformer that reads the two side by side.

Features that count likenesses hardly see who does what to whom; a cross-encoder, six layers of the
shipped embedder taught on hand-written pairs (training/support_reader.py), sees some of it.
`support_judge` weighs its word with that of the trees.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from assistant.support_features import Reading
from index.crossencoder import CrossEncoder
from index.errors import EmbedderUnavailableError

MODEL = Path(__file__).parent / "support_reader.onnx"
MAX_TOKENS = 192  # of sentence and card together, as in training
_CARD_TOKENS = 128  # that are read: the question's, and those of the nearest sentences


def card_side(reading: Reading) -> str:
    """What is read of a card: its question and the nearest of its sentences, in their order."""
    near = [float(m.max(axis=1).mean()) if m.size else -1.0 for m in reading.likeness]
    sizes = [len(vectors.tokens) for vectors in reading.vectors]
    room = _CARD_TOKENS - len(reading.question.tokens)
    kept: list[int] = []
    for i in np.argsort(near)[::-1].tolist():
        if not kept or sizes[i] <= room:
            kept.append(i)
            room -= sizes[i]
    return " ".join([reading.card.question, *(reading.parts[i] for i in sorted(kept))])


class SupportReader:
    """Gives the logit that a card states a sentence."""

    def __init__(self, model: Path) -> None:
        self._model = CrossEncoder(model, MAX_TOKENS)

    def logit(self, reading: Reading) -> float:
        """What the model says of the two."""
        return self._model.score(reading.sentence, card_side(reading))


@cache
def shipped() -> SupportReader:
    """The model of this package, loaded once.

    Raises:
        EmbedderUnavailableError: its file is missing or damaged.
    """
    try:
        return SupportReader(MODEL)
    except Exception as error:  # the two libraries raise this very class, or children of it
        raise EmbedderUnavailableError(
            f"the reader of the support check, {str(MODEL)!r}, is missing or damaged "
            f"({type(error).__name__}): restore it with 'git checkout assistant'"
        ) from error
