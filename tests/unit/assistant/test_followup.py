"""Follow-up questions get their subject back; questions of their own stay as they are."""

from __future__ import annotations

import pytest

from assistant.followup import candidates, is_followup, unclear

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
        "what else helps?",
        "side effects?",
    ],
)
def test_leaning_questions_are_followups(question: str) -> None:
    assert is_followup(question)
    readings = candidates(question, [FIRST])
    assert f"{FIRST} {question}" in readings
    assert all("measles" in reading for reading in readings)


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
    assert candidates("how is it treated?", earlier)[0] == "how is measles treated?"


@pytest.mark.parametrize(
    ("earlier", "question", "reading"),
    [
        (["What is glaucoma?", "what about cataracts?"], "how is it treated?", "cataracts"),
        (["What is gout?", "and pseudogout?", "tests?"], "is it painful?", "pseudogout"),
    ],
)
def test_a_question_that_only_names_something_changes_the_subject(
    earlier: list[str], question: str, reading: str
) -> None:
    found = candidates(question, earlier)
    assert reading in found[0]
    assert not any(earlier[0] in one for one in found)


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("what about acne?", "How is acne treated?"),
        ("and eczema", "How is eczema treated?"),
        ("and in children?", "and in children of psoriasis?"),
        ("what about the side effects?", "what about the side effects of psoriasis?"),
    ],
)
def test_the_aspect_stays_when_the_subject_changes(question: str, first: str) -> None:
    assert candidates(question, ["How is psoriasis treated?"])[0] == first


def test_first_question_has_nothing_to_lean_on() -> None:
    assert candidates("How is it treated?", []) == ["How is it treated?"]


def test_only_leaning_questions_before_still_give_a_reading() -> None:
    assert candidates("and in children?", ["treatment?"]) == ["treatment? and in children?"]


@pytest.mark.parametrize(
    ("anchor", "question", "reading"),
    [
        ("How is type 2 diabetes treated?", "Can it be prevented?",
         "Can type 2 diabetes be prevented?"),
        ("What are kidney stones?", "what are their symptoms",
         "what are kidney stones' symptoms"),
        ("What are the signs of a stroke?", "What are the symptoms?",
         "What are the symptoms of stroke?"),
        ("What is iron deficiency anaemia?", "How is it diagnosed?",
         "How is iron deficiency anaemia diagnosed?"),
    ],
)  # fmt: skip
def test_the_name_takes_the_place_of_the_pronoun(anchor: str, question: str, reading: str) -> None:
    assert candidates(question, [anchor])[0] == reading


@pytest.mark.parametrize(
    ("question", "lacking"),
    [
        ("What are the symptoms?", True),
        ("Can it be prevented?", True),
        ("Is this dangerous?", True),
        ("symptoms", True),
        ("what causes it", True),
        ("What is a symptom?", False),
        ("What is the difference between a sign and a symptom?", False),
        ("What are the symptoms of measles?", False),
        ("Can measles be prevented?", False),
    ],
)
def test_a_question_about_nothing_is_known(question: str, lacking: bool) -> None:
    assert unclear(question, []) is lacking


def test_a_conversation_without_a_subject_does_not_make_one_clear() -> None:
    assert unclear("what are the symptoms?", ["treatment?"])
    assert not unclear("what are the symptoms?", [FIRST])


def test_without_a_subject_only_the_earlier_one_is_meant() -> None:
    assert "Can it be prevented?" not in candidates("Can it be prevented?", [FIRST])
    assert candidates("what about aspirin?", [FIRST])[1] == "what about aspirin?"
