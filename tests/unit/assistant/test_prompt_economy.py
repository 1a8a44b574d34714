"""Few tokens, the same first ones as before, and never more than there is room for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assistant.prompts import Prompt, bearing, fitting, fitting_ids, grounded
from index.cards import make_card

GOUT = make_card("What is gout?", "Gout is arthritis. It hurts. Rest helps gout. Ice soothes.")
DIET = make_card("What is a gout diet?", "It is low in purines. Beer is out. Beef helps nobody.")
CROUP = make_card("What is croup?", "Croup is a cough. Children get it. Steam may soothe.")


class Letters:
    """A tokenizer that makes a token of each character."""

    bos_token_id = None

    def apply_chat_template(self, messages: Any, **_: Any) -> str:
        return "".join(message["content"] for message in messages)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


def test_the_best_card_is_whole_and_the_others_say_what_bears_on_it() -> None:
    prompt = grounded("Does beer harm in gout?", [GOUT, DIET, CROUP], 3)
    assert prompt.cards[0] == GOUT
    assert prompt.cards[1].answer == "It is low in purines. Beer is out."
    assert prompt.cards[2].answer == "Croup is a cough."
    assert bearing("What is croup?", replace(CROUP, answer="")) == ""


def test_cards_of_the_turn_before_stay_in_front() -> None:
    first = grounded("What is gout?", [GOUT, DIET, CROUP], 2)
    second = grounded("What is gout? how is it treated?", [GOUT, CROUP, DIET], 2, first.cards)
    assert second.cards == first.cards


def test_a_new_best_card_is_never_left_out() -> None:
    first = grounded("What is gout?", [GOUT, DIET, CROUP], 2)
    second = grounded("What is croup?", [CROUP, GOUT, DIET], 2, first.cards)
    assert second.cards == [GOUT, CROUP]
    other = grounded("What is croup?", [CROUP], 2, first.cards)
    assert other.cards == [CROUP]


def test_beside_kept_cards_only_the_best_one_is_new() -> None:
    first = grounded("What is gout?", [GOUT, DIET], 3)
    assert len(first.cards) == 2
    second = grounded("What is gout? what may I eat?", [DIET, GOUT, CROUP], 3, [GOUT])
    assert second.cards == [GOUT, DIET]
    third = grounded("What is gout? what helps?", [GOUT, CROUP, DIET], 3, [GOUT, CROUP])
    assert third.cards == [GOUT, CROUP]


@pytest.mark.parametrize("room", [400, 600, 2000])
@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("word " * 5_000, [GOUT, DIET, CROUP]),
        Prompt("\u6f22" * 9_000, [GOUT]),
        Prompt("What?", [make_card("q" * 9_000, "a" * 9_000)] * 4),
        Prompt("x" * 9_000),
    ],
)
def test_every_prompt_fits(prompt: Prompt, room: int) -> None:
    assert len(fitting_ids(Letters(), prompt, room)) <= room
    messages = fitting(prompt, room).messages()
    assert sum(len(message["content"].encode()) for message in messages) <= room


def test_a_prompt_that_fits_is_left_as_it_is() -> None:
    prompt = Prompt("What is gout?", [GOUT, DIET])
    assert fitting(prompt, 4000) == prompt


def test_a_room_without_place_for_the_instruction_is_an_error() -> None:
    with pytest.raises(ValueError, match="only its instruction is left"):
        fitting_ids(Letters(), Prompt("What?"), 10)
