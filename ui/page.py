"""What the panels of one page share: the assistant, the user's choices, and the two languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.blocks import Block

from assistant.pipeline import Assistant
from index.filters import UNTOLD
from index.retrieve import CardRetriever
from ui import strings
from ui.answering import Stops
from ui.feedback import FeedbackStore
from ui.metrics import Metrics
from ui.own_deck import OwnDeck
from ui.render import service_html
from ui.strings import Lang
from ui.systems import OnDisk, Systems

BUILT_IN = "built-in"
OWN = "own"
PLACE = "window.medcards.place(element);"  # the script that tells the place in the queue
COMPARING = "/compare"  # after a session's name in `stops`: its comparison, beside its answer
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


def named(counts: Mapping[str, int], lang: Lang) -> list[tuple[str, str]]:
    """Topics or decks with their numbers of cards, alphabetically; the nameless ones last."""
    told = sorted((f"{name} ({n:,})", name) for name, n in counts.items() if name != UNTOLD)
    untold = counts.get(UNTOLD)
    return [*told, (f"{strings.NO_TOPIC(lang)} ({untold:,})", UNTOLD)] if untold else told


def narrowed_by(retriever: CardRetriever) -> tuple[dict[str, int], dict[str, int]]:
    """The topics and the decks that answers can be narrowed to, with their numbers of cards."""
    return retriever.topics(), retriever.decks()


@dataclass
class Page:
    """The parts that several panels use. Nothing of a user is in here: that is in `gr.State`."""

    assistant: Assistant
    feedback: FeedbackStore | None
    metrics: Metrics
    report: Path | None = None  # the file of the evaluation's report
    given: Systems | None = None  # by default, what is made of the assistant's generator
    stops: Stops = field(default_factory=Stops)
    texts: list[tuple[Block, dict[str, Callable[[Lang], Any]]]] = field(default_factory=list)
    changing: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.systems: Systems = self.given or OnDisk(self.assistant)
        self.conversation = gr.BrowserState(
            {}, storage_key="medcards-conversation", secret=STORAGE_SECRET
        )
        self.choices = gr.BrowserState({}, storage_key="medcards-choices", secret=STORAGE_SECRET)
        self.own = gr.State(None, time_to_live=SESSION_SECONDS)
        self.lang = gr.Radio(
            [(name, lang) for lang, name in strings.LANGUAGES.items()], value="en", render=False
        )
        # Both choices are always valid: what a page asks for outlives the session that a server
        # restart ends. The panel shows them once there is an own deck.
        self.deck = gr.Radio(deck_choices("en"), value=BUILT_IN, render=False)
        # Of which topics and decks of the deck in use; nothing chosen means all.
        self.narrowing = [
            gr.Dropdown(
                named(counts, "en"),
                value=[],
                multiselect=True,
                label=label.en,
                info=strings.ONLY_INFO.en,
                elem_id=name,
                visible=len(counts) > 1,
                render=False,
            )
            for counts, label, name in zip(
                narrowed_by(self.assistant.retriever),
                (strings.ONLY_TOPICS, strings.ONLY_DECKS),
                ("only-topics", "only-decks"),
                strict=True,
            )
        ]
        self.status = gr.HTML(
            "", elem_id="status", apply_default_css=False, render=False, js_on_load=PLACE
        )

    def said(self, part: Part, changes: bool = False, **texts: Callable[[Lang], Any]) -> Part:
        """Note which properties of a component change with the language; returns it.

        Args:
            changes: they also change while the service runs, so every page that opens renews them.
        """
        self.texts.append((part, texts))
        if changes:
            self.changing.append(part)
        return part

    @property
    def localised(self) -> list[Block]:
        """The components that change with the language."""
        return [part for part, _ in self.texts]

    def in_language(self, lang: Lang, changed: bool = False) -> list[Any]:
        """An update for each of `localised`; of those alone that may have `changed` otherwise."""
        return [
            gr.skip()
            if changed and part not in self.changing
            else gr.update(**{key: text(lang) for key, text in own.items()})
            for part, own in self.texts
        ]

    def why_not(self, own: OwnDeck | None, deck: str, lang: Lang) -> str:
        """Why no question can be answered now; empty if one can."""
        if self.stops.closing:
            return strings.CLOSING(lang)
        # The user's own deck is meant, and gone: after hours, or a server's restart.
        return strings.OWN_GONE(lang) if deck == OWN and own is None else ""

    def cards(self, own: OwnDeck | None, deck: str) -> CardRetriever:
        """The cards that answers come from."""
        return own.retriever if own is not None and deck == OWN else self.assistant.retriever

    def service_line(
        self,
        own: OwnDeck | None,
        deck: str,
        lang: Lang,
        topics: Sequence[str] | None = None,
        decks: Sequence[str] | None = None,
    ) -> str:
        """Where answers come from right now, as HTML."""
        retriever = self.cards(own, deck)
        name = ", ".join(retriever.manifest.decks)
        line = strings.DECK_LINE(lang).format(name=name, cards=f"{len(retriever.cards):,}")
        only = [name or strings.NO_TOPIC(lang) for name in (*(decks or ()), *(topics or ()))]
        if only:
            line += strings.ONLY(lang).format(names=", ".join(only))
        return service_html(line, self.assistant.generator.name, lang)
