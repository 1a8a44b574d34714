"""Predictions made by hand: what a run would write, without a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eval.records import Found, Header, Predictions, Row, Said

GOLD = {
    "a1": ("What causes gout?", "Gout is caused by crystals of uric acid that form in a joint."),
    "b2": ("How is gout treated?", "Gout attacks are treated with 500 mg of naproxen for 5 days."),
    "c3": ("What is asthma?", "Asthma is a long-term condition in which the airways narrow."),
}


@pytest.fixture(scope="session")
def header() -> Header:
    return Header(
        created="2026-01-01T00:00:00+00:00",
        seed=0,
        generation="g1",
        deck_hash="d",
        decks={"tiny": 3},
        cards=3,
        test_cards=3,
        embedder={"name": "none", "revision": "0", "dimension": 2},
        split_stamp="s" * 64,
        relevance_sha256="r",
        assistant_sha256="p",
        versions={"python": "3"},
        cpus=2,
        config={
            "systems": ["extractive"],
            "worlds": ["gold"],
            "max_new_tokens": 16,
            "limit": None,
            "base": None,
            "adapter": None,
            "seed": 0,
            "protocol": False,
        },
    )


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """A row of card `item` by what differs from a right, cited answer."""

    def make(item: str = "a1", **changes: Any) -> Row:
        question, answer = GOLD[item]
        fields: dict[str, Any] = {
            "item": item,
            "system": "extractive",
            "world": "gold",
            "question": question,
            "reference": answer,
            "topic": "Joints" if item != "c3" else "Lungs",
            "status": "answered",
            "text": answer,
            "raw": answer,
            "prompt": question,
            "sentences": (Said(text=answer, citations=(0,), support=1.0),),
            "cards": (Found(id=item, question=question, answer=answer, score=0.9),),
            "ranked": (item,),
            "relevant": (item,),
            "confidence": 0.9,
            "covered": True,
        }
        return Row(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def predictions(header: Header, row: Callable[..., Row]) -> Predictions:
    """Extractive in two worlds, and a base and a tuned model with and without cards."""
    rows = []
    for item in GOLD:
        rows.append(row(item))
        hidden = {"ranked": ("zz",), "cards": (), "sentences": (), "confidence": 0.2}
        rows.append(row(item, world="distractors", status="abstained", text="", raw=None, **hidden))
        closed = {"world": "closed-book", "ranked": None, "cards": (), "sentences": ()}
        closed |= {"confidence": None, "covered": None}
        rows.append(row(item, system="base", text="No.", raw="No.", nll=60.0, **closed))
        rows.append(row(item, system="tuned", nll=30.0, **closed))
        rows.append(row(item, system="tuned+rag", text="It is so.", raw="It is so."))
    counted = [
        one.model_copy(update={"nll_tokens": 15, "answer_tokens": 15}) if one.nll else one
        for one in rows
    ]
    return Predictions(header, counted, "f" * 64)
