"""Follow-up questions get their subject back; questions of their own stay as they are."""

from __future__ import annotations

import pytest

from assistant.followup import candidates, is_followup

FIRST = "What are the symptoms of measles?"


@pytest.mark.parametrize(
    "question",
    [
        "and in children?",
        "How is it treated?",
        "Is it contagious?",
        "what about adults?",
        "why?",
        "How long does it last?",
        "treatment?",
        "can they be cured",
        "Is this dangerous during pregnancy?",
        "what else helps?",
        "side effects?",
    ],
)
def test_leaning_questions_are_followups(question: str) -> None:
    assert is_followup(question)
    assert candidates(question, [FIRST])[0] == f"{FIRST} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "What causes gout?",
        "How is type 2 diabetes diagnosed?",
        "Do statins lower cholesterol?",
        "Is it safe to take ibuprofen with warfarin and aspirin?",
        "sore throat since monday",
    ],
)
def test_questions_of_their_own_are_left_alone(question: str) -> None:
    assert candidates(question, [FIRST]) == [question]


def test_subject_comes_from_the_last_question_that_has_one() -> None:
    earlier = ["What causes gout?", "What are the symptoms of measles?", "and in adults?"]
    assert candidates("how is it treated?", earlier)[0].startswith(
        "What are the symptoms of measles?"
    )


def test_first_question_has_nothing_to_lean_on() -> None:
    assert candidates("How is it treated?", []) == ["How is it treated?"]


def test_only_leaning_questions_before_still_give_a_reading() -> None:
    assert candidates("and in children?", ["treatment?"])[0] == "treatment? and in children?"
