"""The check at the start finds every planted fault of the mask."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from index.cards import make_card
from training.config import RowsConfig
from training.mask import WrongMaskError, check_mask
from training.rows import Row, dialogue_rows

CARDS = [make_card(f"What is {word}?", f"It is a {word} thing.") for word in ("gout", "croup")]


@pytest.fixture
def rows(tokenizer: Any) -> list[Row]:
    return dialogue_rows(CARDS, tokenizer, RowsConfig()).rows


def items(rows: list[Row]) -> list[dict[str, Any]]:
    return [{"input_ids": row.ids, "labels": row.labels} for row in rows]


def test_right_masks_pass_and_one_example_is_shown(
    rows: list[Row], tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    check_mask(items(rows), rows, tokenizer)
    assert caplog.text.count("trained:") == 1
    assert "It is a gout thing. </s>" in caplog.text
    assert "exactly the answer in all 2 sequences" in caplog.text


def test_packs_are_checked_row_by_row(rows: list[Row], tokenizer: Any) -> None:
    pack = {
        "input_ids": rows[0].ids + rows[1].ids,
        "labels": rows[0].labels + rows[1].labels,
        "seq_lengths": [len(rows[0].ids), len(rows[1].ids)],
    }
    check_mask([pack], rows, tokenizer)
    pack["labels"][0] = pack["input_ids"][0]
    with pytest.raises(WrongMaskError, match="expected the answer"):
        check_mask([pack], rows, tokenizer)


def plant_prompt(item: dict[str, Any]) -> None:
    item["labels"] = list(item["input_ids"])


def plant_nothing_trained(item: dict[str, Any]) -> None:
    item["labels"] = [-100] * len(item["labels"])


def plant_no_end(item: dict[str, Any]) -> None:
    item["labels"] = [*item["labels"][:-1], -100]


def plant_shift(item: dict[str, Any]) -> None:
    item["labels"] = [*item["labels"][1:], -100]


def plant_cut(item: dict[str, Any]) -> None:
    item["input_ids"], item["labels"] = item["input_ids"][:-2], item["labels"][:-2]


@pytest.mark.parametrize(
    "plant", [plant_prompt, plant_nothing_trained, plant_no_end, plant_shift, plant_cut]
)
def test_a_planted_fault_is_found(plant: Any, rows: list[Row], tokenizer: Any) -> None:
    prepared = items(rows)
    plant(prepared[1])
    with pytest.raises(WrongMaskError):
        check_mask(prepared, rows, tokenizer)


def test_no_rows_at_all_stop_the_run(rows: list[Row], tokenizer: Any) -> None:
    with pytest.raises(WrongMaskError, match="nothing to train on"):
        check_mask([], rows, tokenizer)
