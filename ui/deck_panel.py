"""The cards panel: search and browse the deck that answers come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from index.cards import Flashcard
from index.filters import UNTOLD
from index.retrieve import CardRetriever
from ui import strings
from ui.marks import closeness_html, icon, inert
from ui.own_deck import OwnDeck
from ui.page import Page, named, narrowed_by
from ui.render import card_text_html, link_html
from ui.strings import Lang

PAGE = 12
EVERY = ""
NONE = "\x1f"  # the choice for cards without a topic; no topic can be it
_LONGEST_QUERY = 1_000  # characters
_DEPTH = 100  # cards that a search looks at
_CLOSE = 0.25  # cosine below which a card is about something else
_ATTACH = "window.medcards.attach(element, trigger, ['submit']);"

Found = list[tuple[Flashcard, float | None]]


@dataclass(frozen=True)
class Listing:
    """The list of cards, which can ask their questions, and all that a change of deck updates."""

    cards: gr.HTML
    parts: list[Block]


def build(page: Page) -> Listing:
    """Lay the panel out; returns what another deck or language updates."""
    with gr.Row(elem_id="search-row"):
        query = gr.Textbox(
            label=strings.SEARCH.en,
            placeholder=strings.SEARCH_PLACEHOLDER.en,
            elem_id="search",
            scale=2,
        )
        topic = gr.Dropdown(
            topics(page.assistant.retriever.cards, "en"),
            value=EVERY,
            label=strings.TOPIC.en,
            elem_id="topic",
            scale=1,
        )
    shown = gr.State(PAGE)
    first = found_html(find(page.assistant.retriever, "", EVERY), PAGE, "en")
    cards = gr.HTML(first, elem_id="cards", apply_default_css=False, js_on_load=_ATTACH)
    more = gr.Button(strings.MORE.en, elem_id="more", size="sm")
    page.said(query, label=strings.SEARCH, placeholder=strings.SEARCH_PLACEHOLDER)
    page.said(topic, label=strings.TOPIC)
    page.said(more, value=strings.MORE)

    def listed(
        query: str, topic: str, count: int, lang: Lang, own: OwnDeck | None, deck: str
    ) -> tuple[str, Any, int]:
        found = find(page.cards(own, deck), query, topic)
        return found_html(found, count, lang), gr.update(visible=len(found) > count), count

    def from_start(
        query: str, topic: str, lang: Lang, own: OwnDeck | None, deck: str
    ) -> tuple[str, Any, int]:
        return listed(query, topic, PAGE, lang, own, deck)

    def further(
        query: str, topic: str, count: int, lang: Lang, own: OwnDeck | None, deck: str
    ) -> tuple[str, Any, int]:
        return listed(query, topic, count + PAGE, lang, own, deck)

    inputs = [query, topic, page.lang, page.own, page.deck]
    outputs = [cards, more, shown]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on(
        [query.change, topic.input],
        from_start,
        inputs,
        outputs,
        trigger_mode="always_last",
        **quiet,
    )
    more.click(further, [query, topic, shown, *inputs[2:]], outputs, **quiet)
    return Listing(cards, [query, topic, cards, more, shown, *page.narrowing])


def other_deck(page: Page, own: OwnDeck | None, deck: str, lang: Lang) -> list[Any]:
    """Updates for what `build` returned, when another deck or language is chosen."""
    retriever = page.cards(own, deck)
    found = find(retriever, "", EVERY)
    return [
        "",
        gr.update(choices=topics(retriever.cards, lang), value=EVERY),
        found_html(found, PAGE, lang),
        gr.update(visible=len(found) > PAGE),
        PAGE,
        *(
            gr.update(choices=named(counts, lang), value=[], visible=len(counts) > 1)
            for counts in narrowed_by(retriever)
        ),
    ]


def topics(cards: Sequence[Flashcard], lang: Lang) -> list[tuple[str, str]]:
    """The choices of the topic list with their counts, alphabetically."""
    counts = Counter(card.topic for card in cards)
    untold = counts.pop(None, 0)
    named = [(f"{topic} ({n:,})", str(topic)) for topic, n in counts.items()]
    choices = [(f"{strings.ALL_TOPICS(lang)} ({len(cards):,})", EVERY), *sorted(named)]
    return [*choices, (f"{strings.NO_TOPIC(lang)} ({untold:,})", NONE)] if untold else choices


def find(retriever: CardRetriever, query: str, topic: str) -> Found:
    """Cards of a topic: all in the deck's order, or those near a query, the nearest first."""
    wanted = query.strip()[:_LONGEST_QUERY]
    if not wanted:
        return [(card, None) for card in retriever.cards if _about(card, topic)]
    only = None if topic == EVERY else frozenset([UNTOLD if topic == NONE else topic])
    hits = retriever.hits(wanted, min(_DEPTH, len(retriever.cards)), topics=only)
    near = [hit for hit in hits if hit.score >= _CLOSE or hit.lexical_rank is not None]
    return [(hit.card, hit.score) for hit in near]


def _about(card: Flashcard, topic: str) -> bool:
    return topic == EVERY or card.topic == topic or (topic == NONE and card.topic is None)


def found_html(found: Found, count: int, lang: Lang) -> str:
    """The first `count` cards."""
    if not found:
        return f'<p class="mc-quiet" role="status">{inert(strings.NO_CARDS(lang))}</p>'
    shown = found[:count]
    said = strings.FOUND_CARDS(lang).format(n=f"{len(found):,}", shown=f"{len(shown):,}")
    cards = "".join(_card_html(card, score, lang) for card, score in shown)
    return f'<p class="mc-quiet" role="status">{inert(said)}</p><ul class="mc-list">{cards}</ul>'


def _card_html(card: Flashcard, score: float | None, lang: Lang) -> str:
    topic = f'<span class="mc-topic">{inert(card.topic)}</span>' if card.topic else ""
    bar = closeness_html(score, lang) if score is not None else ""
    return (
        f'<li class="mc-card"><header>{topic}</header>{card_text_html(card.question, card.answer)}'
        f"{bar}<footer>{link_html(card.source, card.url, lang)}"
        f'<button type="button" class="mc-back" data-ask="{inert(card.question)}">'
        f"{inert(strings.ASK_THIS(lang))}{icon('arrow')}</button></footer></li>"
    )
