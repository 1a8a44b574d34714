"""Optional reranking: a cross-encoder reads the question with each of the best cards.

Off unless a model is named. It orders only what was found; the judgement whether a card answers
was fitted without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from index import hub
from index.errors import ExpectedError
from index.search import Hit

DEPTH = 20  # hits that are read again


class Reranker:
    """A sentence-transformers cross-encoder with one score a pair."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def order(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits by the model's score, which becomes their `rank_score`."""
        if not hits:
            return []
        scores = self._model.predict(
            [(query, hit.card.text) for hit in hits], show_progress_bar=False
        )
        scored = [replace(hit, rank_score=float(s)) for hit, s in zip(hits, scores, strict=True)]
        return sorted(scored, key=lambda hit: (-hit.rank_score, hit.card.id))


def open_reranker(name: str) -> Reranker:
    """Load a cross-encoder: a folder, or the name of one on a hub.

    Raises:
        ExpectedError: it, or the library that runs it, cannot be had.
    """
    try:
        from sentence_transformers import CrossEncoder
    except ImportError as error:
        raise ExpectedError(
            f"the reranker {name!r} needs sentence-transformers: pip install 'medcards[models]', "
            "or leave it out"
        ) from error
    from safetensors import SafetensorError

    broken_file: Any = SafetensorError  # untyped
    try:
        with contextlib.nullcontext() if Path(name).is_dir() else hub.no_retries():
            model = CrossEncoder(
                name, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
    except (*hub.failures(), broken_file, KeyError, TypeError, AttributeError) as error:
        raise ExpectedError(
            f"cannot load the reranker {name!r} ({type(error).__name__}): expected a folder, or a "
            "cross-encoder on a reachable hub, in safetensors; check the name and the network, or "
            "leave it out"
        ) from error
    if model.num_labels != 1:
        raise ExpectedError(
            f"the reranker {name!r} gives {model.num_labels} scores a pair: expected a "
            "cross-encoder with one, such as cross-encoder/ms-marco-MiniLM-L6-v2"
        )
    return Reranker(model)
