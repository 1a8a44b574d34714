"""Cited cards go to Anki and come back as they were."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index import decks
from index.text import clean
from ui.study import anki_package

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Co", "Cn")),
    min_size=1,
    max_size=60,
).filter(lambda text: bool(clean(text)))


def read(package: bytes) -> list[decks.Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cards.apkg"
        path.write_bytes(package)
        return list(decks.read(str(path)))


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(question=TEXT, answer=TEXT)
def test_a_card_comes_back(source: Any, question: str, answer: str) -> None:
    card = source(1, question=question, answer=answer, topic="Child health", source="A & B")
    (row,) = read(anki_package([card]))
    assert clean(row.question) == clean(question)
    assert clean(row.answer) == clean(f"{answer} A & B")
    assert row.topic == "Child_health"


@pytest.mark.parametrize(
    "text", ["<b>x</b>", "{{c1::gap}}", "[sound:a.mp3]", "a & b &lt;", "<script>x</script>"]
)
def test_what_means_something_to_anki_is_plain_text(source: Any, text: str) -> None:
    (row,) = read(anki_package([source(1, question=text, answer=text, source=None, url=None)]))
    if "{{" not in text and "[" not in text:  # the reader itself drops sounds and opens gaps
        assert row.question == text
    assert "<script" not in row.question or text.startswith("<script")


def test_the_same_card_is_the_same_note_in_every_export(source: Any) -> None:
    assert len(read(anki_package([source(n) for n in range(1, 40)]))) == 39
