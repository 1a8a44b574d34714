"""What a client may send as the earlier turns: anything, so nothing of it is taken for granted."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.pipeline import Turn
from index.errors import ExpectedError
from ui.api import EARLIER, turns


@pytest.mark.parametrize("history", [None, [], False])
def test_no_history_is_a_first_question(history: Any) -> None:
    assert turns("What is gout?", history, 100) == []


def test_only_the_last_turns_are_read_and_their_questions_are_cut() -> None:
    sent = [[f"question {n} " + "x" * 200, f"answer {n}"] for n in range(EARLIER + 5)]
    found = turns("and then?", sent, 20)
    assert len(found) == EARLIER
    assert found[-1] == Turn(sent[-1][0][:20], sent[-1][1])


@pytest.mark.parametrize(
    "history",
    [
        [["What is gout?", "Crystals."], [1, None], ["a"]],  # what the fuzzer sent
        {"question": "answer"},
        "What is gout?",
        [["one", "two", "three"]],
        [["a", ["b"]]],
        [None],
        7,
    ],
)
def test_a_history_of_another_shape_is_told(history: Any) -> None:
    with pytest.raises(ExpectedError, match="pairs of texts, oldest first"):
        turns("and in children?", history, 100)


@pytest.mark.parametrize("question", [None, 3, ["What?"], {"a": 1}])
def test_a_question_that_is_no_text_is_told(question: Any) -> None:
    with pytest.raises(ExpectedError, match="expected a question as text"):
        turns(question, None, 100)
