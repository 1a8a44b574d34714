"""The settings fold: how long, how varied, from how many cards, in which language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from ui import strings
from ui.answering import Length
from ui.page import Page
from ui.strings import Lang

MAX_CARDS = 10


def build(page: Page) -> list[Component]:
    """Lay the fold out; returns what an answer depends on: length, temperature, cards."""
    settings = page.assistant.settings
    with gr.Accordion(strings.SETTINGS.en, open=False, elem_id="settings") as fold, gr.Row():
        length = gr.Radio(_lengths("en"), value="normal", label=strings.LENGTH.en, elem_id="length")
        top_k = gr.Slider(
            1, MAX_CARDS, value=settings.top_k, step=1, label=strings.TOP_K.en, elem_id="top-k"
        )
        temperature = gr.Slider(
            0,
            1.5,
            value=settings.temperature,
            step=0.1,
            label=strings.TEMPERATURE.en,
            info=strings.TEMPERATURE_INFO.en,
            elem_id="temperature",
            visible=varies(page),
        )
        page.lang.label = strings.LANGUAGE.en
        page.lang.elem_id = "language"
        page.lang.render()  # type: ignore[no-untyped-call]  # Gradio's is not typed
    page.said(fold, label=strings.SETTINGS)
    page.said(length, label=strings.LENGTH, choices=_lengths)
    page.said(top_k, label=strings.TOP_K)
    page.said(temperature, label=strings.TEMPERATURE, info=strings.TEMPERATURE_INFO)
    page.said(page.lang, label=strings.LANGUAGE)
    parts: list[Component] = [length, temperature, top_k]
    gr.on(
        [part.input for part in (length, temperature, top_k, page.lang)],
        _stored,
        [*parts, page.lang],
        page.choices,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return parts


def varies(page: Page) -> bool:
    """Whether the generator in service draws words, so that a temperature means something."""
    return not page.assistant.generator.grounded


def restored(stored: object, page: Page) -> dict[str, Any]:
    """The choices that a browser kept, each checked; defaults where it kept none."""
    kept: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    settings = page.assistant.settings
    length = kept.get("length")
    return {
        "length": length if length in get_args(Length) else "normal",
        "temperature": _within(kept.get("temperature"), 0, 1.5, settings.temperature),
        "top_k": int(_within(kept.get("top_k"), 1, MAX_CARDS, settings.top_k)),
    }


def _within(value: object, low: float, high: float, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return value if low <= value <= high else default


def _stored(length: str, temperature: float, top_k: int, lang: Lang) -> dict[str, Any]:
    return {"length": length, "temperature": temperature, "top_k": top_k, "lang": lang}


def _lengths(lang: Lang) -> list[tuple[str, str]]:
    return [(name(lang), key) for key, name in strings.LENGTHS.items()]
