"""What the panels of one page share: the assistant, the user's choices, and the two languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from assistant.pipeline import Assistant
from ui import strings
from ui.answering import Stops
from ui.feedback import FeedbackStore
from ui.metrics import Metrics
from ui.own_deck import OwnDeck
from ui.strings import Lang

BUILT_IN = "built-in"
OWN = "own"
STORAGE_SECRET = "medcards"  # hides nothing: fixed, so that a restart can read what it stored
SESSION_SECONDS = 4 * 3600  # how long an own deck is kept for a page that says nothing

Part = TypeVar("Part", bound=Block)


def app_version() -> str:
    """The version of medcards that is installed."""
    try:
        return version("medcards")
    except PackageNotFoundError:
        return "0"


def deck_choices(lang: Lang) -> list[tuple[str, str]]:
    """The decks that answers can come from."""
    return [(strings.DECK_BUILT_IN(lang), BUILT_IN), (strings.DECK_OWN(lang), OWN)]


@dataclass
class Page:
    """The parts that several panels use. Nothing of a user is in here: that is in `gr.State`."""

    assistant: Assistant
    feedback: FeedbackStore | None
    metrics: Metrics
    stops: Stops = field(default_factory=Stops)
    texts: list[tuple[Block, dict[str, Callable[[Lang], Any]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conversation = gr.BrowserState(
            {}, storage_key="medcards-conversation", secret=STORAGE_SECRET
        )
        self.choices = gr.BrowserState({}, storage_key="medcards-choices", secret=STORAGE_SECRET)
        self.own = gr.State(
            None,
            time_to_live=SESSION_SECONDS,
            delete_callback=lambda own: own.close() if own else None,
        )
        self.lang = gr.Radio(
            [(name, lang) for lang, name in strings.LANGUAGES.items()], value="en", render=False
        )
        # Both choices are always valid: what a page asks for outlives the session that a server
        # restart ends. The panel shows them once there is an own deck.
        self.deck = gr.Radio(deck_choices("en"), value=BUILT_IN, render=False)
        self.status = gr.HTML("", elem_id="status", apply_default_css=False, render=False)

    def said(self, part: Part, **texts: Callable[[Lang], Any]) -> Part:
        """Note which properties of a component change with the language; returns it."""
        self.texts.append((part, texts))
        return part

    @property
    def localised(self) -> list[Block]:
        """The components that change with the language."""
        return [part for part, _ in self.texts]

    def in_language(self, lang: Lang) -> list[Any]:
        """An update for each of `localised`."""
        return [
            gr.update(**{key: text(lang) for key, text in own.items()}) for _, own in self.texts
        ]

    def deck_line(self, own: OwnDeck | None, deck: str, lang: Lang) -> str:
        """The cards that answers come from, as users read it."""
        retriever = own.retriever if own is not None and deck == OWN else self.assistant.retriever
        name = ", ".join(retriever.manifest.decks)
        return strings.DECK_LINE(lang).format(name=name, cards=f"{len(retriever.cards):,}")
