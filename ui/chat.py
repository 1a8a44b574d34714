"""The chat panel: the conversation, the box for questions, and what happens in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import gradio as gr

from index.errors import ExpectedError
from ui import conversation, export, rating, render, settings_panel, strings
from ui.answering import Length, answers, chosen
from ui.conversation import Asked
from ui.frame import ChatParts
from ui.own_deck import OwnDeck
from ui.page import Page
from ui.strings import Lang
from ui.systems import FROM_MEMORY, Answerer, System

# The page's script sees to clicks inside the conversation and names the events that it raises.
ATTACH = "window.medcards.attach(element, trigger, ['submit', 'like']);"
BUSY = "(...inputs) => window.medcards.busy(inputs)"
IDLE = "() => window.medcards.idle()"
REFUSED = "() => window.medcards.refused()"


def build(page: Page, askers: Sequence[gr.HTML]) -> ChatParts:
    """Lay the panel out.

    Args:
        askers: parts of other panels that ask questions.
    """
    with gr.Row(elem_id="toolbar"):
        clear = _button(page, strings.CLEAR, "clear")
        undo = _button(page, strings.UNDO, "undo")
        markdown = _button(page, strings.SAVE_MARKDOWN, "save-markdown")
        as_json = _button(page, strings.SAVE_JSON, "save-json")
        anki = _button(page, strings.SAVE_ANKI, "save-anki")
        choices = settings_panel.build(page)
    welcome = render.welcome_html(len(page.assistant.retriever.cards), "en")
    past = gr.HTML(welcome, elem_id="past", apply_default_css=False, js_on_load=ATTACH)
    live = gr.HTML("", elem_id="live", apply_default_css=False, js_on_load=ATTACH)
    with gr.Column(elem_id="composer"):
        page.status.render()  # type: ignore[no-untyped-call]  # Gradio's is not typed
        with gr.Row(elem_id="ask-row", equal_height=True):
            box = gr.Textbox(
                label=strings.QUESTION.en,
                placeholder=strings.PLACEHOLDER.en,
                show_label=False,
                container=False,
                lines=1,
                max_lines=6,
                autofocus=True,
                scale=1,
                elem_id="question",
            )
            ask = gr.Button(strings.ASK.en, variant="primary", scale=0, elem_id="ask", min_width=96)
            stop = gr.Button(strings.STOP.en, variant="stop", scale=0, elem_id="stop", min_width=96)
    page.said(box, label=strings.QUESTION, placeholder=strings.PLACEHOLDER)
    page.said(ask, value=strings.ASK)
    page.said(stop, value=strings.STOP)

    inputs = [box, page.conversation, page.lang, page.own, page.deck, *choices, *page.narrowing]
    outputs = [past, live, box, page.conversation, page.status]
    asking = gr.on(
        [box.submit, ask.click, past.submit, live.submit, *(asker.submit for asker in askers)],
        _responder(page),
        inputs,
        outputs,
        js=BUSY,
        show_progress="minimal",
        show_progress_on=page.status,
        concurrency_id="answer",
        api_visibility="private",
    )
    asking.then(None, js=IDLE)
    asking.failure(None, js=REFUSED)
    stop.click(_stopper(page), None, None, queue=False, api_visibility="private")
    changed = [past, live, page.conversation, page.status]
    undo.click(
        _undoer(page), [page.conversation, page.lang], [*changed, box], api_visibility="private"
    )
    clear.click(_clearer(page), [page.lang], changed, api_visibility="private")
    export.wire(page, markdown, as_json, anki)
    rating.wire(page, [past, live])
    return ChatParts(past, live, choices)


def _button(page: Page, text: strings.Text, name: str) -> gr.Button:
    return page.said(gr.Button(text.en, size="sm", elem_id=name, min_width=0, scale=0), value=text)


def _earlier(page: Page, turns: list[Asked], lang: Lang) -> str:
    cards = len(page.assistant.retriever.cards)
    return render.earlier_html(turns, lang, cards=cards, feedback=page.feedback is not None)


def _responder(page: Page) -> Any:
    def respond(
        question: str,
        stored: object,
        lang: Lang,
        own: OwnDeck | None,
        deck: str,
        length: Length,
        temperature: float,
        top_k: int,
        simple: bool,
        system: System | Literal[""],
        topics: list[str],
        decks: list[str],
        event: gr.EventData,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        turns = conversation.load(stored)
        wish = event._data if isinstance(event._data, Mapping) else {}
        if "turn" in wish:  # retry or edit: from that turn on
            earlier = conversation.before(turns, str(wish["turn"]))
            again = turns[len(earlier)].question if len(earlier) < len(turns) else ""
            question, turns = str(wish.get("question") or again), earlier
        elif "question" in wish:  # an example, or a card
            question = str(wish["question"])
        if not question.strip():
            yield (gr.skip(),) * 5
            return
        turn = conversation.asked(question.encode("utf-8", "replace").decode())
        rated = page.feedback is not None
        past = render.turns_html(turns, lang, feedback=rated)
        retriever = page.cards(own, deck)
        cards = f"{len(retriever.cards):,}"
        looking = render.turn_html(turn, lang, pending=strings.LOOKING(lang).format(cards=cards))
        saved = conversation.dump([*turns, turn])
        yield past, looking, gr.skip() if "question" in wish else "", saved, ""
        wanted = settings_panel.options(length, temperature, top_k, simple, topics, decks)
        assistant = chosen(page.assistant, retriever, wanted)
        answerer: Answerer = assistant
        reason = page.why_not(own, deck, lang)
        try:
            asks = system and system not in FROM_MEMORY and not reason
            if asks and system in page.systems.names():
                answerer = page.systems.answerer(system, assistant)
        except ExpectedError as error:
            reason = str(error)
        if reason:
            turn = replace(turn, error=reason)
            told = render.turn_html(turn, lang, last=True)
            yield gr.skip(), told, gr.skip(), conversation.dump([*turns, turn]), gr.skip()
            return
        stop = page.stops.begin(str(request.session_hash))
        try:
            for growing in answers(
                answerer,
                turn,
                turns,
                wanted,
                stop,
                page.metrics,
                lang,
            ):
                turn = growing
                shown = render.turn_html(turn, lang, pending=strings.WRITING(lang))
                yield gr.skip(), shown, gr.skip(), gr.skip(), gr.skip()
        finally:
            page.stops.end(str(request.session_hash), stop)
        done = render.turn_html(turn, lang, last=True, feedback=rated)
        yield gr.skip(), done, gr.skip(), conversation.dump([*turns, turn]), gr.skip()

    return respond


def _stopper(page: Page) -> Any:
    def stop(request: gr.Request) -> None:
        page.stops.stop(str(request.session_hash))

    return stop


def _undoer(page: Page) -> Any:
    def undo(stored: object, lang: Lang) -> tuple[Any, ...]:
        turns = conversation.load(stored)
        question = turns[-1].question if turns else ""
        rest = turns[:-1]
        return _earlier(page, rest, lang), "", conversation.dump(rest), "", question

    return undo


def _clearer(page: Page) -> Any:
    def clear(lang: Lang, request: gr.Request) -> tuple[Any, ...]:
        page.stops.stop(str(request.session_hash))
        return _earlier(page, [], lang), "", conversation.dump([]), ""

    return clear
