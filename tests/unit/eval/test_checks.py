"""Each mistake of the prior work is planted and must be caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from assistant import prompts
from eval import checks
from eval.losses import Example, Loss
from eval.records import Header, Predictions, Row, Weights
from eval.worlds import Item
from index.cards import make_card

MakeRow = Callable[..., Row]


def verdict(predictions: Predictions, words: str) -> bool | None:
    (found,) = [check for check in checks.look(predictions) if words in check.name]
    return found.passed


def test_a_sound_file_passes(predictions: Predictions) -> None:
    assert not [check for check in checks.look(predictions) if check.passed is False]


def test_a_test_card_in_training_is_caught(header: Header) -> None:
    card = make_card("What causes gout?", "Crystals of uric acid.")
    twin = make_card("What does cause gout?", "Uric acid crystals.")
    items = [Item(card, (card.id, twin.id))]
    assert checks.trained_on(items, [card.id]) == [card.id]
    assert checks.trained_on(items, [twin.id]) == [card.id], "a near-duplicate teaches the answer"
    assert checks.trained_on(items, ["other"]) == []
    adapter = Weights(name="a", sha256="1", split_stamp=header.split_stamp)
    for leaks, passed in (((card.id,), False), ((), True), (None, True)):
        changed = header.model_copy(update={"training_leaks": leaks, "adapter": adapter})
        assert verdict(Predictions(changed, [], ""), "trained on") is passed


def test_an_adapter_that_records_nothing_is_not_called_clean(header: Header) -> None:
    changed = header.model_copy(update={"adapter": Weights(name="a", sha256="1")})
    assert verdict(Predictions(changed, [], ""), "trained on") is None


@pytest.mark.parametrize(
    "change",
    [
        {"text": "How is gout treated? Gout attacks are treated with naproxen."},
        {"raw": f"{prompts.SYSTEM_WITHOUT_CARDS} How is gout treated? Naproxen."},
        {"reference": "How is gout treated by doctors? Naproxen.", "question": "How is gout "
         "treated by doctors?"},
    ],
)  # fmt: skip
def test_a_prompt_in_the_answer_is_caught(
    predictions: Predictions, row: MakeRow, change: dict[str, str]
) -> None:
    question = change.get("question", "How is gout treated?")
    planted = row("b2", **{"question": f"{question}", **change})
    if len(question.split()) < 5:
        planted = planted.model_copy(
            update={"question": f"{question} Now", "text": f"{question} Now {planted.text}"}
        )
    assert verdict(replace(predictions, rows=[planted]), "repeats its prompt") is False


def test_an_answer_in_the_prompt_is_caught(predictions: Predictions, row: MakeRow) -> None:
    prompt = "How is gout treated? Gout attacks are treated with 500 mg of naproxen"
    planted = row("b2", world="closed-book", system="base", prompt=prompt)
    assert verdict(replace(predictions, rows=[planted]), "holds the answer") is False
    with_cards = row("b2", prompt=prompt)  # there the gold card belongs in the prompt
    assert verdict(replace(predictions, rows=[with_cards]), "holds the answer") is None


def test_a_loss_over_padding_is_caught_in_a_file(predictions: Predictions, row: MakeRow) -> None:
    planted = row("b2", nll=9.0, nll_tokens=255, answer_tokens=12)
    assert verdict(replace(predictions, rows=[planted]), "answer's tokens only") is False


EXAMPLES = [Example([1, 2], [3]), Example([1], [4, 5, 6, 7])]


def right_loss(examples: Sequence[Example]) -> list[Loss]:
    return [Loss(0.5 * sum(one.answer), len(one.answer)) for one in examples]


def padded_loss(examples: Sequence[Example]) -> list[Loss]:
    """Each padding position costs, as it does where labels are a copy of the input."""
    length = max(len(one.ids) for one in examples)
    return [
        Loss(0.5 * sum(one.answer) + 2.0 * (length - len(one.ids)), len(one.answer))
        for one in examples
    ]


def prompt_loss(examples: Sequence[Example]) -> list[Loss]:
    return [Loss(0.5 * sum(one.ids), len(one.ids)) for one in examples]


def test_a_loss_over_padding_or_prompt_is_caught_before_a_run() -> None:
    assert checks.padding_counts(right_loss, EXAMPLES) is None
    assert "padded in a batch" in (checks.padding_counts(padded_loss, EXAMPLES) or "")
    assert "tokens are counted" in (checks.padding_counts(prompt_loss, EXAMPLES) or "")


def test_a_hidden_card_that_shows_is_caught(predictions: Predictions, row: MakeRow) -> None:
    planted = row("b2", world="removed")
    assert verdict(replace(predictions, rows=[planted]), "stay hidden") is False


def test_a_base_that_the_adapter_changed_is_caught(predictions: Predictions, row: MakeRow) -> None:
    same = {"world": "closed-book", "nll": 5.0, "nll_tokens": 5, "answer_tokens": 5}
    rows = [row("b2", system=system, **same) for system in ("base", "tuned")]
    assert verdict(replace(predictions, rows=rows), "not the same model") is False
    rows[1] = rows[1].model_copy(update={"nll": 4.0})
    assert verdict(replace(predictions, rows=rows), "not the same model") is True
