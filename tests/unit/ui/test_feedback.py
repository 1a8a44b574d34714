"""Ratings: stored once an answer, exported safely, off where nothing can be written."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from ui import __main__ as command
from ui.conversation import Asked
from ui.feedback import FeedbackStore, open_feedback
from ui.rating import rated
from ui.settings import ServiceSettings


def rows(store: FeedbackStore) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.csv())))


@pytest.mark.parametrize(("agree", "kept"), [(True, "Why?"), (False, ""), ("true", "")])
def test_the_question_is_stored_only_when_agreed(
    tmp_path: Path, answer: Any, agree: Any, kept: str
) -> None:
    store = FeedbackStore(tmp_path / "new" / "feedback.sqlite")
    turn = Asked("0000000a", "Why?", answer())
    store.add(rated(turn, {"verdict": "up", "reason": "clear", "comment": "=1+1", "agree": agree}))
    (row,) = rows(store)
    assert row["question"] == kept
    assert row["comment"] == "'=1+1", "a spreadsheet must not take it for a formula"
    assert (row["generator"], row["index_name"]) == ("tiny", "starter (2 cards, 0)")
    assert row["version"]
    assert row["at"]


def test_a_second_rating_replaces_the_first(tmp_path: Path, answer: Any) -> None:
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    turn = Asked("0000000a", "Why?", answer())
    for verdict in ("up", "down"):
        store.add(rated(turn, {"verdict": verdict, "reason": "<b>", "comment": "x" * 9000}))
    (row,) = rows(store)
    assert row["verdict"] == "down"
    assert row["reason"] == ""
    assert len(row["comment"]) == 2000


def test_it_is_off_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert open_feedback(tmp_path / "file" / "feedback.sqlite") is None
    assert open_feedback(None) is None


def test_the_owner_exports_it(
    tmp_path: Path, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "feedback.sqlite"
    FeedbackStore(path).add(rated(Asked("0000000a", "Why?", answer()), {"verdict": "up"}))
    assert command.main(["feedback", "--file", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("at,turn,verdict,reason")
    assert command.main(["feedback", "--file", str(tmp_path / "none.sqlite")]) == 2
    assert "no ratings" in capsys.readouterr().err


def test_its_place_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDCARDS_HOME", str(tmp_path))
    assert ServiceSettings().feedback_path == tmp_path / "feedback.sqlite"
    monkeypatch.setenv("MEDCARDS_FEEDBACK", "off")
    assert ServiceSettings().feedback_path is None
