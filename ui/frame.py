"""What stands around the panels, and what concerns them all: language, a fresh page, goodbye."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from ui import conversation, deck_panel, settings_panel, strings
from ui.conversation import Asked
from ui.marks import inert
from ui.own_deck import OwnDeck
from ui.page import BUILT_IN, COMPARING, Page
from ui.rating import forms_html
from ui.render import earlier_html
from ui.strings import Lang

_SPEAK = "window.medcards.speak(element); watch('value', () => window.medcards.speak(element));"

_WATCH = "window.medcards.watchService(element);"
_FOOT = "window.medcards.foot(element);"


@dataclass(frozen=True)
class ChatParts:
    """The parts of the chat panel that a fresh page or another language renews."""

    past: gr.HTML
    live: gr.HTML
    choices: list[Component]  # what the browser keeps of the settings


def header(page: Page) -> gr.HTML:
    """The name of the page, and the line that says where answers come from."""

    def head(lang: Lang) -> str:
        stages = json.dumps({name: text(lang) for name, text in strings.STAGES.items()})
        return (
            f'<header class="mc-head" data-lang="{lang}"><h1>{strings.TITLE}</h1>'
            f"<p>{strings.TAGLINE(lang)}</p></header>"
            '<div id="mc-say" class="mc-sr" role="log" aria-live="polite"></div>'
            f'<div id="mc-words" hidden data-done="{inert(strings.DONE(lang))}" '
            f'data-copied="{inert(strings.COPIED(lang))}" data-busy="{inert(strings.BUSY(lang))}" '
            f'data-interrupted="{inert(strings.INTERRUPTED(lang))}" '
            f'data-stages="{inert(stages)}" data-ready="{inert(strings.PROMOTED(lang))}" '
            f'data-place="{inert(strings.PLACE(lang))}" data-left="{inert(strings.LEFT(lang))}">'
            "</div>"
            f"{forms_html(lang, page.feedback is not None)}"
        )

    part = gr.HTML(head("en"), elem_id="head", apply_default_css=False, js_on_load=_SPEAK)
    page.said(part, value=head)
    line = page.service_line(None, BUILT_IN, "en")
    return gr.HTML(line, elem_id="service", apply_default_css=False, js_on_load=_WATCH)


def foot(page: Page) -> None:
    """The disclaimer, in sight on every panel."""

    def text(lang: Lang) -> str:
        said = f"{strings.DISCLAIMER(lang)} <strong>{strings.DISCLAIMER_EMERGENCY(lang)}</strong>"
        return f'<p class="mc-disclaimer" role="note">{said}</p>'

    part = gr.HTML(text("en"), elem_id="disclaimer", apply_default_css=False, js_on_load=_FOOT)
    page.said(part, value=text)


def wire(page: Page, service: gr.HTML, chat: ChatParts, listing: list[Block]) -> None:
    """Restore the conversation when the page opens; renew every text when the language changes."""

    def answered(turns: list[Asked], lang: Lang, own: OwnDeck | None, deck: str) -> list[Any]:
        return [
            earlier_html(
                turns,
                lang,
                cards=len(page.assistant.retriever.cards),
                feedback=page.feedback is not None,
            ),
            "",
            page.service_line(own, deck, lang),
        ]

    def renewed(turns: list[Asked], lang: Lang, own: OwnDeck | None, deck: str) -> list[Any]:
        return [*answered(turns, lang, own, deck), *page.in_language(lang)]

    def skipped(parts: Sequence[Block]) -> list[Any]:
        return [gr.skip() for _ in parts]

    def opened(stored: object, kept: object, request: gr.Request) -> list[Any]:
        lang = _language(kept, request)
        choices = settings_panel.restored(kept, page)
        turns = conversation.load(stored)
        if lang == "en":  # as the page was built
            updates = [
                *answered(turns, lang, None, BUILT_IN),
                *page.in_language(lang, changed=True),
            ]
        else:
            updates = renewed(turns, lang, None, BUILT_IN)
        if lang == "en" and page.assistant.retriever.manifest.generation == built:
            listed = skipped(listing)
        else:  # another language, or another deck has come into service since
            listed = deck_panel.other_deck(page, None, BUILT_IN, lang)
        return [
            *updates,
            *listed,
            gr.update(value=lang),
            *settings_panel.renewed(choices, page, lang),
        ]

    def translated(stored: object, lang: Lang, own: OwnDeck | None, deck: str) -> list[Any]:
        updates = renewed(conversation.load(stored), lang, own, deck)
        return [*updates, *deck_panel.other_deck(page, own, deck, lang)]

    def closed(request: gr.Request) -> None:
        for session in (str(request.session_hash), f"{request.session_hash}{COMPARING}"):
            page.stops.stop(session)

    built = page.assistant.retriever.manifest.generation
    texts = [chat.past, chat.live, service, *page.localised]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    demo = gr.context.Context.root_block
    assert demo is not None, "panels are built inside gr.Blocks"
    opening = demo.load(
        opened,
        [page.conversation, page.choices],
        [*texts, *listing, page.lang, *chat.choices],
        queue=False,
        **quiet,
    )
    opening.then(None, js="() => window.medcards.ready()")
    page.lang.input(
        translated,
        [page.conversation, page.lang, page.own, page.deck],
        [*texts, *listing],
        queue=False,
        **quiet,
    )
    gr.on(
        [part.input for part in page.narrowing],
        page.service_line,
        [page.own, page.deck, page.lang, *page.narrowing],
        service,
        queue=False,
        **quiet,
    )
    demo.unload(closed)


def _language(kept: object, request: gr.Request) -> Lang:
    """The language that was chosen here before, else the browser's."""
    if isinstance(kept, Mapping) and kept.get("lang"):
        return strings.language(kept["lang"])
    return strings.language(request.headers.get("accept-language"))
