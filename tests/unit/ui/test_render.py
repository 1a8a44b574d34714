"""What is shown is text: no card, question or answer changes the shape of the page."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.answer import Danger, Term
from index.cards import make_card
from ui import deck_panel, render, strings
from ui.conversation import Asked
from ui.marks import attribute, inert, percent
from ui.rating import forms_html

NASTY = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            ["<script>", "</p>", '"', "'", "onerror=", "${x}", "{{x}}", "**b**", "$$x$$", "`c`",
             "&lt;", "&#60;", "[a](javascript:b)", "\\(x\\)", "\x00", "\u202e", "\ud800", "\n# h",
             "<!--", "]]>", "</template>", "x" * 500]
        ),
        max_size=8,
    ).map("".join),
)  # fmt: skip
SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Shape(HTMLParser):
    """Tags and the names of their attributes, and the text, of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A long text gets a tabindex: that is the page's own doing.
        self.tags.append((tag, tuple(name for name, _ in attrs if name != "tabindex")))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


@given(NASTY)
def test_inert_text_means_nothing_and_reads_as_it_was(text: str) -> None:
    shown = inert(text)
    assert re.fullmatch(r"(?:[^<>&\"`$*_\[\]\\{}|~#!()=+-]|&#\d+;)*", shown)
    whole = re.sub("[\ud800-\udfff]", "\ufffd", text)
    kept = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", whole)
    assert html.unescape(shown) == kept
    shown.encode()


@SLOW
@given(text=NASTY)
def test_no_text_changes_the_shape_of_a_turn(text: str, answer: Any, source: Any) -> None:
    def page(words: str) -> str:
        fields = {"question": words, "answer": words, "topic": words or "t", "source": words or "s"}
        made = answer(
            text=words,
            notice=(words.replace("\n", "").strip() or "n"),
            sentences=(answer().sentences[0].__class__(words, (1,), 0.5),),
            sources=(source(1, **fields),),
            nearby=(source(2, **fields),),
            removed=(words,),
            generator=words or "g",
        )
        turn = Asked("00000001", words, made, error="")
        return render.turn_html(turn, "en", last=True, feedback=True)

    plain = re.sub(r"\s", "", text)
    if not plain or len(text.splitlines()) > 1:
        return  # paragraphs of a notice are the page's own
    assert Shape(page(text)).tags == Shape(page("plain")).tags


def test_the_emergency_notice_leaves_nothing_out(answer: Any) -> None:
    text = "Call now. Put it on speaker. Sit down; rest. Do not drive. If unsure, call."
    page = render.turn_html(Asked("00000001", "q", answer(status="emergency", text=text)), "en")
    shown = " ".join(Shape(page).text.split())
    for sentence in ("Call now. Put it on speaker.", "Sit down; rest.", "If unsure, call."):
        assert sentence in shown
    assert 'role="alert"' in page


@pytest.mark.parametrize("danger", get_args(Danger))
@pytest.mark.parametrize("lang", list(strings.LANGUAGES))
def test_every_danger_is_an_alert_with_its_text(
    answer: Any, danger: Danger, lang: strings.Lang
) -> None:
    text = "You matter. Call now. findahelpline.com lists crisis lines."
    shown = answer(status="emergency", text=text, danger=danger)
    page = render.turn_html(Asked("00000001", "q", shown), lang)
    for sentence in text.split(". "):
        assert sentence in Shape(page).text
    assert 'role="alert"' in page
    assert strings.DANGERS[danger](lang) in Shape(page).text
    assert 'href="https://findahelpline.com"' in page


def test_a_sentence_and_its_card_have_each_others_number(answer: Any) -> None:
    page = render.turn_html(Asked("00000001", "q", answer()), "en")
    assert 'data-cites="1"' in page
    assert 'id="c-00000001-1"' in page
    assert 'id="s-00000001-0-1"' in page


def test_medical_words_are_explained_and_inert(answer: Any) -> None:
    term = Term("dyspnoea", "<b>shortness</b> of breath", f"{2:016x}", "A book")
    page = render.turn_html(Asked("00000001", "q", answer(terms=(term,))), "en")
    assert strings.TERMS.en in page
    assert "<b>shortness</b> of breath (A book)" in Shape(page).text
    assert strings.TERMS.en not in render.turn_html(Asked("00000001", "q", answer()), "en")


def test_a_refusal_offers_the_nearest_cards(answer: Any) -> None:
    turn = Asked("00000001", "q", answer(status="abstained", text="No.", sentences=(), sources=()))
    page = render.turn_html(turn, "en")
    assert strings.NEAREST.en in page
    assert 'id="c-00000001-2"' in page


@given(NASTY)
def test_an_address_cannot_leave_its_attribute(url: str) -> None:
    assert not set(attribute(url)) & set("\"'<>` \\")


@given(NASTY)
def test_the_list_of_cards_is_inert(text: str) -> None:
    def page(words: str) -> str:
        card = make_card(f"q {words}", f"a {words}", "topic", f"s {words}")
        return deck_panel.found_html([(card, 0.5)], 5, "en")

    assert Shape(page(text)).tags == Shape(page("plain")).tags


@pytest.mark.parametrize("lang", list(strings.LANGUAGES))
def test_forms_are_whole_in_every_language(lang: strings.Lang) -> None:
    tags = [tag for tag, _ in Shape(forms_html(lang, feedback=True)).tags]
    assert tags.count("template") == tags.count("/template") == 3
    assert forms_html(lang, feedback=False).count("<template") == 1


@pytest.mark.parametrize(("value", "shown"), [(-0.3, 0), (0.456, 46), (1.2, 100)])
def test_bars_stay_within_their_frame(value: float, shown: int) -> None:
    assert percent(value) == shown
