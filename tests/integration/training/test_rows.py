"""Rows of a real index: nothing held out is in them, and they are what is served."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from assistant.generator import Sampling
from assistant.prompts import Prompt
from assistant.transformers_generator import TransformersGenerator
from index import retrieve
from index.retrieve import open_split
from training.rows import Row

pytestmark = pytest.mark.integration


def test_no_held_out_card_is_in_any_row(rows: tuple[list[Row], list[Row], Any], shop: Any) -> None:
    training, validation, _ = rows
    sides = open_split(shop.index).sides
    cards = {card.question: card.id for card in retrieve.open_index(shop.index).cards}
    for made, allowed in ((training, {"train"}), (validation, {"train", "validation"})):
        assert made
        assert {sides[card.id] for row in made for card in row.cards} <= allowed
    assert {sides[cards[row.question]] for row in training} == {"train"}
    assert {sides[cards[row.question]] for row in validation} == {"validation"}


def test_what_is_trained_on_is_what_is_served(
    rows: tuple[list[Row], list[Row], Any], shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = TransformersGenerator(str(shop.base), device="cpu")
    _, model = generator.load()
    generate = model.generate
    served: list[list[int]] = []

    def spy(**options: Any) -> Any:
        served.append(options["inputs"][0].tolist())
        return generate(**options)

    monkeypatch.setattr(model, "generate", spy)
    some = [next(r for r in rows[0] if r.kind == k) for k in ("gold", "absent", "closed_book")]
    for row in some:
        prompt = Prompt(row.question, row.cards)
        list(generator.stream(prompt, Sampling(max_new_tokens=1), Event()))
    assert served == [list(row.prompt) for row in some]
