"""The settings fold: how long, in which words, from which cards, by which system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from ui import strings
from ui.answering import Length, Options
from ui.page import Page
from ui.strings import Lang
from ui.systems import DEFAULT, FROM_MEMORY

MAX_CARDS = 10  # more only where the deployment shows more
_MAX_TEMPERATURE = 1.5
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def build(page: Page) -> list[Component]:
    """Lay the fold out; returns what the browser keeps.

    That is length, temperature, number of cards, simple language and system. Which topics and
    decks are meant is not kept: a forgotten filter must not refuse questions.
    """
    settings = page.assistant.settings
    with gr.Accordion(strings.SETTINGS.en, open=False, elem_id="settings") as fold:
        with gr.Row():
            length = gr.Radio(
                _lengths("en"), value="normal", label=strings.LENGTH.en, elem_id="length"
            )
            system = gr.Radio(
                system_choices(page, "en"),
                value=DEFAULT,
                label=strings.SYSTEM.en,
                elem_id="system",
                visible=several(page),
            )
            page.lang.label = strings.LANGUAGE.en
            page.lang.elem_id = "language"
            page.lang.render()  # type: ignore[no-untyped-call]  # Gradio's is not typed
        with gr.Row():
            for part in page.narrowing:
                part.render()  # type: ignore[no-untyped-call]  # Gradio's is not typed
            top_k = gr.Slider(
                1,
                most_cards(page),
                value=settings.top_k,
                step=1,
                label=strings.TOP_K.en,
                elem_id="top-k",
            )
            temperature = gr.Slider(
                0,
                _highest_temperature(page),
                value=settings.temperature,
                step=0.1,
                label=strings.TEMPERATURE.en,
                info=strings.TEMPERATURE_INFO.en,
                elem_id="temperature",
                visible=varies(page),
            )
        simple = gr.Checkbox(
            value=False,
            label=strings.SIMPLE.en,
            info=strings.SIMPLE_INFO.en,
            elem_id="simple",
        )
    page.said(fold, label=strings.SETTINGS)
    page.said(length, label=strings.LENGTH, choices=_lengths)
    page.said(system, label=strings.SYSTEM, choices=lambda lang: system_choices(page, lang))
    page.said(simple, label=strings.SIMPLE, info=strings.SIMPLE_INFO)
    for part, label in zip(page.narrowing, (strings.ONLY_TOPICS, strings.ONLY_DECKS), strict=True):
        page.said(part, label=label, info=strings.ONLY_INFO)
    page.said(top_k, label=strings.TOP_K)
    page.said(temperature, label=strings.TEMPERATURE, info=strings.TEMPERATURE_INFO)
    page.said(page.lang, label=strings.LANGUAGE)
    choices: list[Component] = [length, temperature, top_k, simple, system]
    gr.on(
        [part.input for part in (length, temperature, top_k, simple, system, page.lang)],
        _stored,
        [*choices, page.lang],
        page.choices,
        **_QUIET,
    )
    return choices


def options(
    length: Length,
    temperature: float,
    top_k: int,
    simple: bool,
    topics: list[str] | None = None,
    decks: list[str] | None = None,
) -> Options:
    """What the fold's parts stand for; nothing chosen means no filter."""
    return Options(
        length,
        temperature,
        top_k,
        frozenset(topics) if topics else None,
        frozenset(decks) if decks else None,
        bool(simple),
    )


def several(page: Page) -> bool:
    """Whether there is a system to choose."""
    return len(system_choices(page, "en")) > 2


def system_choices(page: Page, lang: Lang) -> list[tuple[str, str]]:
    """The systems that answer from cards. Those that answer from memory can only be compared."""
    names = [name for name in page.systems.names() if name not in FROM_MEMORY]
    return [
        (strings.SYSTEM_DEFAULT(lang), DEFAULT),
        *((strings.SYSTEMS[name](lang), name) for name in names),
    ]


def varies(page: Page) -> bool:
    """Whether the generator in service draws words, so that a temperature means something."""
    return not page.assistant.generator.grounded


def most_cards(page: Page) -> int:
    """How many cards can be asked for: the deployment's own number is among the choices."""
    return max(MAX_CARDS, page.assistant.settings.top_k)


def _highest_temperature(page: Page) -> float:
    return max(_MAX_TEMPERATURE, page.assistant.settings.temperature)


def restored(stored: object, page: Page) -> dict[str, Any]:
    """The choices that a browser kept, each checked; defaults where it kept none."""
    kept: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    settings = page.assistant.settings
    length, system = kept.get("length"), kept.get("system")
    there = [value for _, value in system_choices(page, "en")]
    return {
        "length": length if length in get_args(Length) else "normal",
        "temperature": _within(
            kept.get("temperature"), 0, _highest_temperature(page), settings.temperature
        ),
        "top_k": int(_within(kept.get("top_k"), 1, most_cards(page), settings.top_k)),
        "simple": kept.get("simple") is True,
        "system": system if system in there else DEFAULT,
    }


def renewed(kept: Mapping[str, Any], page: Page, lang: Lang) -> list[Any]:
    """Updates for `choices` when the page opens; what can be chosen may have changed since."""
    return [
        kept["length"],
        gr.update(value=kept["temperature"], visible=varies(page)),
        kept["top_k"],
        kept["simple"],
        gr.update(choices=system_choices(page, lang), value=kept["system"], visible=several(page)),
    ]


def _within(value: object, low: float, high: float, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return value if low <= value <= high else default


def _stored(
    length: str, temperature: float, top_k: int, simple: bool, system: str, lang: Lang
) -> dict[str, Any]:
    return {
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "simple": simple,
        "system": system,
        "lang": lang,
    }


def _lengths(lang: Lang) -> list[tuple[str, str]]:
    return [(name(lang), key) for key, name in strings.LENGTHS.items()]
