"""The comparison: one question, the systems of this machine side by side, streamed together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from index.errors import ExpectedError
from ui import conversation, strings
from ui.answering import Following, Length, answers, chosen
from ui.comparing import Progress, together
from ui.conversation import Asked
from ui.marks import inert
from ui.own_deck import OwnDeck
from ui.page import COMPARING, PLACE, Page
from ui.render import cards_html, message_html, said_html
from ui.settings_panel import options
from ui.strings import Lang
from ui.systems import FROM_MEMORY, System

BUSY = "(...inputs) => window.medcards.busy(inputs, '#compare')"
IDLE = "() => window.medcards.idle('#compare')"


def build(page: Page, choices: list[Component]) -> None:
    """Lay the panel out.

    Args:
        choices: what `settings_panel.build` returned; they hold here, too.
    """
    with gr.Column(elem_id="compare"):
        about = gr.HTML(about_html(page.systems.names(), "en"), apply_default_css=False)
        with gr.Row(elem_id="compare-row", equal_height=True):
            box = gr.Textbox(
                label=strings.QUESTION.en,
                placeholder=strings.PLACEHOLDER.en,
                show_label=False,
                container=False,
                lines=1,
                max_lines=4,
                scale=1,
                elem_id="compare-question",
            )
            start = gr.Button(
                strings.COMPARE.en, variant="primary", scale=0, elem_id="compare-ask", min_width=96
            )
            stop = gr.Button(
                strings.STOP.en, variant="stop", scale=0, elem_id="compare-stop", min_width=96
            )
        told = gr.HTML("", elem_id="compare-status", apply_default_css=False, js_on_load=PLACE)
        shown = gr.HTML("", elem_id="compared", apply_default_css=False)
    page.said(box, label=strings.QUESTION, placeholder=strings.PLACEHOLDER)
    page.said(start, value=strings.COMPARE)
    page.said(stop, value=strings.STOP)
    page.said(about, changes=True, value=lambda lang: about_html(page.systems.names(), lang))
    asking = gr.on(
        [box.submit, start.click],
        _comparer(page),
        [box, page.lang, page.own, page.deck, *choices, *page.narrowing],
        [told, shown],
        js=BUSY,
        show_progress="minimal",
        show_progress_on=told,
        concurrency_id="answer",
        api_visibility="private",
    )
    asking.then(None, js=IDLE)
    asking.failure(None, js="() => window.medcards.refused('#compare')")
    stop.click(_stopper(page), None, None, queue=False, api_visibility="private")


def _comparer(page: Page) -> Any:
    def compare(
        question: str,
        lang: Lang,
        own: OwnDeck | None,
        deck: str,
        length: Length,
        temperature: float,
        top_k: int,
        simple: bool,
        _: str,
        topics: list[str],
        decks: list[str],
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        if not question.strip():
            yield gr.skip(), gr.skip()
            return
        if reason := page.why_not(own, deck, lang):
            yield message_html(reason), gr.skip()
            return
        question = question.encode("utf-8", "replace").decode()
        wanted = options(length, temperature, top_k, simple, topics, decks)
        names = page.systems.names()
        turns = {name: conversation.asked(question) for name in names}
        session = f"{request.session_hash}{COMPARING}"
        yield "", compared_html(question, {name: (turns[name], False) for name in names}, lang)
        stop = page.stops.begin(session)

        def stream(name: System) -> Iterator[Asked]:
            assistant = chosen(page.assistant, page.cards(own, deck), wanted)
            try:
                answerer = page.systems.answerer(name, assistant)
            except ExpectedError as error:
                yield replace(turns[name], error=str(error))
                return
            # An event for each: one that has said enough must not end the others.
            own_stop = Following(stop)
            yield from answers(answerer, turns[name], [], wanted, own_stop, page.metrics, lang)

        try:
            for progress in together({name: partial(stream, name) for name in names}, turns):
                yield gr.skip(), compared_html(question, progress, lang)
            said = strings.STOPPED if stop.is_set() else strings.COMPARED
            yield message_html(said(lang)), gr.skip()
        finally:
            stop.set()
            page.stops.end(session, stop)

    return compare


def _stopper(page: Page) -> Any:
    def stop(request: gr.Request) -> None:
        page.stops.stop(f"{request.session_hash}{COMPARING}")

    return stop


def about_html(names: list[System], lang: Lang) -> str:
    """What is compared here, and what to do where there is only one system."""
    told = [strings.COMPARE_ABOUT(lang)]
    if len(names) == 1:
        told.append(strings.COMPARE_ALONE(lang).format(name=strings.SYSTEMS[names[0]](lang)))
    return "".join(f'<p class="mc-intro">{inert(text)}</p>' for text in told)


def compared_html(question: str, progress: Progress, lang: Lang) -> str:
    """A question and, side by side, what each system makes of it."""
    columns = "".join(_column(name, turn, done, lang) for name, (turn, done) in progress.items())
    return (
        f'<section class="mc-compare" aria-label="{inert(strings.TAB_COMPARE(lang))}">'
        f'<h2 class="mc-question" dir="auto">{inert(question)}</h2>'
        f'<div class="mc-columns">{columns}</div></section>'
    )


def _column(name: System, turn: Asked, done: bool, lang: Lang) -> str:
    answer = turn.answer
    pending = "" if done else (strings.WRITING if answer else strings.WAITING)(lang)
    memory = ""
    if name in FROM_MEMORY and answer is not None and answer.status == "answered":
        memory = f'<p class="mc-unchecked">{inert(strings.UNCHECKED(lang))}</p>'
    cards = cards_html(turn.id, answer, lang, streaming=not done) if answer else ""
    return (
        f'<article class="mc-turn mc-system" id="t-{turn.id}" data-turn="{turn.id}" '
        f'data-system="{name}" data-state="{"done" if done else "pending"}" '
        f'aria-labelledby="n-{turn.id}"><h3 id="n-{turn.id}">'
        f"{inert(strings.SYSTEMS[name](lang))}</h3>{memory}"
        f"{said_html(turn, answer, pending, lang)}{_facts(turn, lang) if done else ''}"
        f"{cards}</article>"
    )


def _facts(turn: Asked, lang: Lang) -> str:
    """What answered, and how fast."""
    if turn.answer is None:
        return ""
    times: Mapping[str, float] = turn.answer.timings_ms
    facts = [turn.answer.generator]
    facts += [
        f"{name(lang)} {times[key] / 1000:.2f} s"
        for key, name in strings.TIMES.items()
        if key in times and key != "retrieve"
    ]
    return f'<p class="mc-quiet">{inert("; ".join(filter(None, facts)))}</p>'
