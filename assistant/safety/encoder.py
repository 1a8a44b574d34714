"""What a small transformer takes a message for: one logit for each kind.

Six layers of MiniLM, taught on the messages in data/ (training/gate_encoder.py). It reads who
speaks, of whom, and whether it happens now, which words alone do not tell.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from index.config import DEFAULT_EMBEDDER
from index.errors import EmbedderUnavailableError
from index.onnx_session import open_session

Vector = np.ndarray[Any, np.dtype[np.float32]]

MODEL = "encoder.onnx"
_MAX_TOKENS = 256


@dataclass(frozen=True)
class Encoder:
    """The opened model."""

    session: Any
    tokenizer: Any
    revision: str  # of the weights

    def encode(self, text: str) -> Vector:
        """A logit for each of `score.CLASSES`, float32 (classes,)."""
        ids = np.array([self.tokenizer.encode(text).ids], dtype=np.int64)  # (1, tokens)
        logits: Vector = self.session.run(None, {"input_ids": ids})[0][0]
        return logits


@cache
def shipped() -> Encoder:
    """Open the shipped model, once; its word pieces are those of the shipped embedder.

    Raises:
        EmbedderUnavailableError: it is missing or damaged.
    """
    from tokenizers import Tokenizer

    path = files("assistant.safety") / "rules" / MODEL
    pieces = files("index") / "models" / DEFAULT_EMBEDDER / "tokenizer.json"
    try:
        model = path.read_bytes()
        session = open_session(model)
        tokenizer = Tokenizer.from_str(pieces.read_text(encoding="utf-8"))
    except Exception as error:  # the two libraries raise this very class, or children of it
        raise EmbedderUnavailableError(
            f"the model of the safety gate, {str(path)!r}, is missing or damaged "
            f"({type(error).__name__}): restore it with 'git checkout assistant index/models'"
        ) from error
    tokenizer.enable_truncation(_MAX_TOKENS)
    tokenizer.no_padding()
    return Encoder(session, tokenizer, hashlib.sha256(model).hexdigest()[:12])
