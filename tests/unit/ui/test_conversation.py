"""A conversation survives the browser, whatever the browser makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import conversation
from ui.conversation import Asked, asked

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["schema", "turns", "id", "question", "answer", "stopped"]), inner
        )
    ),
    max_leaves=12,
)


def test_what_was_dumped_is_loaded(answer: Any) -> None:
    turns = [Asked("0000000a", "One?", answer()), Asked("0000000b", "Two?", None, stopped=True)]
    through = json.loads(json.dumps(conversation.dump(turns)))
    assert conversation.load(through) == turns
    assert conversation.load(json.loads(conversation.as_json(turns))) == turns


@given(JSON)
def test_nothing_that_a_browser_sends_raises(stored: Any) -> None:
    assert isinstance(conversation.load(stored), list)
    wrapped = {"schema": conversation.SCHEMA, "turns": [stored]}
    assert isinstance(conversation.load(wrapped), list)


@pytest.mark.parametrize("identifier", ['"><b>', "", "0000000g", "0" * 9, 5])
def test_an_id_that_is_not_ours_is_dropped(identifier: Any) -> None:
    turns = [{"id": identifier, "question": "q"}]
    assert conversation.load({"schema": conversation.SCHEMA, "turns": turns}) == []


def test_a_link_that_is_no_web_address_is_dropped(answer: Any, source: Any) -> None:
    bad = answer(sources=(source(1, url="javascript:alert(1)"),))
    loaded = conversation.load(conversation.dump([Asked("0000000a", "q", bad)]))
    assert loaded[0].answer is not None
    assert loaded[0].answer.sources[0].url is None


def test_the_oldest_turns_go_when_it_grows_too_long(answer: Any) -> None:
    turns = [Asked(f"{n:08x}", f"q {n}", answer()) for n in range(conversation.MAX_TURNS + 5)]
    kept = conversation.load(conversation.dump(turns))
    assert [turn.question for turn in kept] == [f"q {n}" for n in range(5, len(turns))]
    long = [Asked(f"{n:08x}", "q" * 600_000) for n in range(4)]
    assert len(conversation.load(conversation.dump(long))) == 2


def test_a_retry_goes_back_before_its_turn() -> None:
    turns = [asked("one"), asked("two"), asked("three")]
    assert conversation.before(turns, turns[1].id) == turns[:1]
    assert conversation.before(turns, "nowhere") == turns


def test_cited_cards_come_once_each(answer: Any, source: Any) -> None:
    turns = [
        Asked("0000000a", "q", answer(sources=(source(1), source(2)))),
        Asked("0000000b", "q", answer(sources=(source(1, card_id=f"{2:016x}"), source(3)))),
        Asked("0000000c", "q"),
    ]
    found = [card.card_id for card in conversation.cited(turns)]
    assert found == [f"{n:016x}" for n in (1, 2, 3)]


def test_markdown_shows_every_text_as_it_is(answer: Any, source: Any) -> None:
    card = source(1, question="# <b>Heading</b>", url="https://example.org/a(b) c")
    made = answer(text="1. *bold* $$x$$ [a](b)", sources=(card,))
    text = conversation.as_markdown([Asked("0000000a", "`q` <script>", made)], "fr")
    assert "\\<script\\>" in text
    assert "1\\. \\*bold\\* \\$\\$x\\$\\$ \\[a\\]\\(b\\)" in text
    assert "(https://example.org/a%28b%29%20c)" in text
    assert "Pour apprendre" in text


def test_a_browser_cannot_send_questions_without_end() -> None:
    turns = [Asked("0000000a", "x" * 1_000_000, None)]
    assert len(conversation.load(conversation.dump(turns))[0].question) == 20_000
