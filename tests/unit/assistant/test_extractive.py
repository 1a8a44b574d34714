"""The extractive answer is the best card's text, with additions only on the same subject."""

from __future__ import annotations

from threading import Event

from assistant.extractive import ExtractiveGenerator, select
from assistant.generator import Sampling
from assistant.prompts import Prompt
from index.cards import make_card

STROKE = make_card(
    "What are the warning signs of a stroke?",
    "Stroke signs are a drooping face and a weak arm. Speech may be slurred.",
)
MENINGITIS = make_card(
    "What are the warning signs of meningitis?",
    "Warning signs of meningitis are fever and a stiff neck.",
)
TIA = make_card(
    "Which warning signs of a stroke pass quickly?",
    "A mini-stroke has the warning signs of a stroke but passes within a day.",
)


def test_the_best_card_is_quoted_whole_and_first() -> None:
    said = select("What are the warning signs of a stroke?", [STROKE])
    assert said == ["Stroke signs are a drooping face and a weak arm.", "Speech may be slurred."]


def test_a_card_on_another_subject_adds_nothing() -> None:
    said = select("What are the warning signs of a stroke?", [STROKE, MENINGITIS])
    assert not any("meningitis" in sentence for sentence in said)


def test_a_card_on_the_same_subject_adds_a_sentence() -> None:
    said = select("What are the warning signs of a stroke?", [STROKE, TIA])
    assert said[-1].startswith("A mini-stroke")


def test_what_was_said_is_not_said_again() -> None:
    said = select("What are the warning signs of a stroke?", [STROKE, STROKE])
    assert len(said) == len(set(said)) == 2


def test_no_cards_no_answer() -> None:
    assert select("anything", []) == []


def test_stops_between_sentences() -> None:
    stop = Event()
    stream = ExtractiveGenerator().stream(Prompt("stroke?", [STROKE]), Sampling(), stop)
    assert next(stream) == "Stroke signs are a drooping face and a weak arm. "
    stop.set()
    assert list(stream) == []
