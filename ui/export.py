"""The buttons that save a conversation or its cards: made on request, kept nowhere."""

from __future__ import annotations

import base64
from typing import Any

import gradio as gr

from ui import conversation, strings, study
from ui.page import Page
from ui.render import message_html
from ui.strings import Lang

_SAVE = "(file) => window.medcards.save(file)"


def wire(page: Page, markdown: gr.Button, as_json: gr.Button, anki: gr.Button) -> None:
    """Make the three buttons save a file."""
    file = gr.JSON(visible="hidden", elem_id="file", show_label=False)
    makers = ((markdown, _markdown), (as_json, _json), (anki, _anki))
    for button, make in makers:
        made = button.click(
            make,
            [page.conversation, page.lang],
            [file, page.status],
            show_progress="hidden",
            api_visibility="private",
        )
        made.then(None, file, None, js=_SAVE)


def _markdown(stored: object, lang: Lang) -> tuple[Any, str]:
    turns = conversation.load(stored)
    if not turns:
        return None, message_html(strings.NOTHING_TO_SAVE(lang))
    text = conversation.as_markdown(turns, lang)
    return _file("medcards.md", "text/markdown", text.encode(), lang)


def _json(stored: object, lang: Lang) -> tuple[Any, str]:
    turns = conversation.load(stored)
    if not turns:
        return None, message_html(strings.NOTHING_TO_SAVE(lang))
    text = conversation.as_json(turns)
    return _file("medcards.json", "application/json", text.encode(), lang)


def _anki(stored: object, lang: Lang) -> tuple[Any, str]:
    cards = conversation.cited(conversation.load(stored))
    if not cards:
        return None, message_html(strings.NO_CITED(lang))
    package = study.anki_package(cards)
    return _file("medcards.apkg", "application/octet-stream", package, lang)


def _file(name: str, kind: str, data: bytes, lang: Lang) -> tuple[Any, str]:
    content = base64.b64encode(data).decode()
    message = message_html(strings.SAVED(lang).format(name=name))
    return {"name": name, "type": kind, "base64": content}, message
