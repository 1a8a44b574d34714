from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from index import build, leave_out
from index.config import IndexConfig
from index.embedder import Embedder
from index.leave_out import LeaveOut

ROWS = [
    {"question": "What is the treatment of gout?", "answer": "Rest, ice and an anti-inflammatory."},
    {"question": "What is the treatment of gout?", "answer": "Allopurinol lowers the uric acid."},
    {"question": "What is gout treatment?", "answer": "Colchicine eases an attack."},
    {"question": "What is the treatment of scurvy?", "answer": "Vitamin C by mouth."},
    {"question": "Which virus causes measles?", "answer": "A paramyxovirus causes it."},
]


@pytest.fixture
def leave(
    hash_embedder: Embedder,
    write_deck: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> LeaveOut:
    monkeypatch.setattr(leave_out, "open_embedder", lambda name: hash_embedder)
    folder = tmp_path / "index"
    build.build(IndexConfig(decks=(str(write_deck(ROWS)),), out=folder, embedder="hash-double"))
    return leave_out.open_leave_out(folder)


def ids(leave: LeaveOut, *answers: str) -> set[str]:
    return {card.id for card in leave.cards if card.answer in answers}


def test_a_card_answers_its_question_and_so_does_one_of_the_same_question(leave: LeaveOut) -> None:
    gout = next(card for card in leave.cards if card.answer.startswith("Rest"))
    found = leave.found(gout.question, gout.id)
    assert found.answers == ids(leave, ROWS[0]["answer"], ROWS[1]["answer"])


def test_near_duplicates_go_with_their_card_and_nothing_else(leave: LeaveOut) -> None:
    gout = next(card for card in leave.cards if card.answer.startswith("Rest"))
    found = leave.found(gout.question, gout.id, removed=True)
    shown = {hit.card.id for hit in found.hits}
    assert shown == ids(leave, ROWS[3]["answer"], ROWS[4]["answer"])
    assert not found.right


def test_the_best_card_is_right_only_where_it_answers(leave: LeaveOut) -> None:
    measles = next(card for card in leave.cards if "measles" in card.question)
    assert leave.found(measles.question, measles.id).right
    assert not leave.found(measles.question, measles.id, removed=True).right


def test_a_question_of_no_card_has_no_answer(leave: LeaveOut) -> None:
    found = leave.found("Who won?")
    assert not found.right
    assert not found.answers
