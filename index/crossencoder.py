"""Does a card answer a question? A cross-encoder reads both together and says how likely.

Vectors made apart find what is near, and a neighbour is near. A model that reads the question
beside the card refuses more of what no card answers, by no means all (docs/benchmarks.md).
It ships as int8 ONNX (training/crossencoder.py makes it) and depends on no deck and no embedder.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from index.cards import Flashcard
from index.config import DEFAULT_EMBEDDER
from index.errors import EmbedderUnavailableError
from index.manifest import file_record
from index.onnx_session import open_session

MODELS = Path(__file__).parent / "models"
NAME = "medcards-crossencoder"
MODEL = "model.onnx"
MAX_TOKENS = 112  # of question and card together, as in training
ANSWER_WORDS = 75  # of the card's answer that are read: nine answers of ten are shorter


def card_side(question: str, answer: str) -> str:
    """What is read of a card: its question and the first words of its answer."""
    return f"{question} {' '.join(answer.split()[:ANSWER_WORDS])}".strip()


class CrossEncoder:
    """Scores pairs of texts.

    Inputs `input_ids` and `token_type_ids`, both int64 (1, tokens); output float32 (1,).
    """

    def __init__(self, model: Path, max_tokens: int = MAX_TOKENS) -> None:
        """Args:
        model: an ONNX file; its word pieces are those of the shipped embedder.
        """
        from tokenizers import Tokenizer

        self._session: Any = open_session(model)
        self._tokenizer: Any = Tokenizer.from_file(
            str(MODELS / DEFAULT_EMBEDDER / "tokenizer.json")
        )
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer.no_padding()

    def logit(self, question: str, card: Flashcard) -> float:
        """The logit that the card answers the question."""
        return self.score(question, card_side(card.question, card.answer))

    def score(self, first: str, second: str) -> float:
        """What the model says of two texts."""
        pair = self._tokenizer.encode(first, second)
        ids = np.array([pair.ids], dtype=np.int64)  # (1, tokens)
        types = np.array([pair.type_ids], dtype=np.int64)
        return float(self._session.run(None, {"input_ids": ids, "token_type_ids": types})[0][0])


@cache
def revision(folder: Path = MODELS / NAME) -> str:
    """12 hexadecimal digits of the SHA-256 of a model."""
    return file_record(folder / MODEL).sha256[:12]


@cache
def shipped() -> CrossEncoder:
    """The model of this package, loaded once.

    Raises:
        EmbedderUnavailableError: its files are missing or damaged.
    """
    try:
        return CrossEncoder(MODELS / NAME / MODEL)
    except Exception as error:  # the two libraries raise this very class, or children of it
        raise EmbedderUnavailableError(
            f"the cross-encoder in {str(MODELS / NAME)!r} is missing or damaged "
            f"({type(error).__name__}): restore it with 'git checkout index/models'"
        ) from error
