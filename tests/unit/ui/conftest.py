"""Answers to show and cards to search."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.answer import Answer, Sentence, Source


def make_source(n: int = 1, **fields: Any) -> Source:
    known: dict[str, Any] = {
        "n": n,
        "card_id": f"{n:016x}",
        "question": f"What is thing {n}?",
        "answer": f"Thing {n} is a thing.",
        "topic": "Things",
        "source": "A book",
        "url": "https://example.org/book",
        "score": 0.8,
    }
    return Source(**{**known, **fields})


def make_answer(**fields: Any) -> Answer:
    known: dict[str, Any] = {
        "status": "answered",
        "text": "A thing is a thing. [1]",
        "sentences": (Sentence("A thing is a thing.", (1,), 0.98),),
        "sources": (make_source(1),),
        "nearby": (make_source(2, score=0.3),),
        "removed": ("Things are green.",),
        "confidence": 0.9,
        "generator": "tiny",
        "index": "starter (2 cards, 0)",
        "timings_ms": {"retrieve": 10.0, "first_token": 20.0, "total": 30.0},
    }
    return Answer(**{**known, **fields})


@pytest.fixture
def answer() -> Any:
    """Makes an answer; any field can be given."""
    return make_answer


@pytest.fixture
def source() -> Any:
    """Makes a source; any field can be given."""
    return make_source
