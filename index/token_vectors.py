"""Vectors of the tokens of a text, in its context, from the shipped embedder.

The embedder's own output is the mean of these, scaled: enough to find a card, too little to see
that one word of a sentence has no counterpart. The graph has them as an inner value, and an ONNX
file is a protobuf message, which merges with whatever is appended to it; so the model's file stays
as it is and the inner value is declared an output when it is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from index.config import DEFAULT_EMBEDDER
from index.errors import EmbedderUnavailableError
from index.onnx_session import open_session

Matrix = np.ndarray[Any, np.dtype[np.float32]]

_FOLDER = Path(__file__).parent / "models" / DEFAULT_EMBEDDER
_INNER = b"layer_norm_12"  # (1, tokens, dimension), after the last of six layers
_MAX_TOKENS = 256
_KEPT = 4096  # texts: the sentences of the cards that a day's questions find


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


# ModelProto.graph (field 7) . GraphProto.output (12) . ValueInfoProto.name (1)
_DECLARATION = _field(0x3A, _field(0x62, _field(0x0A, _INNER)))


@dataclass(frozen=True, slots=True, eq=False)
class TextVectors:
    """A text's unit vector, the unit vectors of its tokens, and where each token stands in it.

    `whole` is (dimension,), `tokens` (tokens, dimension) without the special ones, `spans` the
    characters from and to of each.
    """

    whole: Matrix
    tokens: Matrix
    spans: tuple[tuple[int, int], ...]


class TokenEncoder:
    """Texts to `TextVectors`; results are kept, for the cards of a deck come again and again."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        """Raises:
        EmbedderUnavailableError: the model's files are missing or damaged.
        """
        from tokenizers import Tokenizer

        try:
            model = (folder / "model.onnx").read_bytes() + _DECLARATION
            self._session: Any = open_session(model)
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the two libraries raise this very class, or children of it
            raise EmbedderUnavailableError(
                f"the embedder in {str(folder)!r} is missing or damaged "
                f"({type(error).__name__}): restore it with 'git checkout index/models'"
            ) from error
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer.no_padding()
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="tokens")
        self._read = lru_cache(maxsize=_KEPT)(self._run)

    def read(self, texts: Sequence[str]) -> list[TextVectors]:
        """The vectors of each text."""
        return list(self._workers.map(self._read, texts))

    def _run(self, text: str) -> TextVectors:
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)  # (1, tokens)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        whole, hidden = self._session.run(None, inputs)
        tokens = hidden[0, 1:-1]  # without [CLS] and [SEP]
        norms = np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-9)
        return TextVectors(whole[0], tokens / norms, tuple(encoding.offsets[1:-1]))


@cache
def shipped() -> TokenEncoder:
    """The encoder of this package, loaded once."""
    return TokenEncoder()
