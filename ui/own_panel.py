"""The panel for a user's own deck: bring it, choose it, remove it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from index.errors import ExpectedError
from ui import deck_panel, strings
from ui.marks import inert
from ui.own_deck import EXTENSIONS, MAX_CARDS, MAX_MEGABYTES, OwnDeck, open_deck
from ui.page import BUILT_IN, OWN, Page, deck_choices
from ui.render import message_html
from ui.strings import Lang


def build(page: Page, listing: list[Block], service: gr.HTML) -> None:
    """Lay the panel out.

    Args:
        listing: what `deck_panel.build` returned.
        service: the line that says where answers come from.
    """
    intro = gr.HTML(_intro("en"), apply_default_css=False)
    upload = gr.UploadButton(
        strings.OWN_UPLOAD.en,
        file_types=list(EXTENSIONS),
        type="filepath",
        variant="primary",
        elem_id="own-file",
    )
    told = gr.HTML("", elem_id="own-told", apply_default_css=False)
    with gr.Group(visible=False) as chosen:
        page.deck.label = strings.ANSWERS_FROM.en
        page.deck.elem_id = "deck"
        page.deck.render()  # type: ignore[no-untyped-call]  # Gradio's is not typed
        remove = gr.Button(strings.OWN_REMOVE.en, elem_id="own-remove", size="sm")
    page.said(intro, value=_intro)
    page.said(upload, label=strings.OWN_UPLOAD)
    page.said(page.deck, label=strings.ANSWERS_FROM, choices=deck_choices)
    page.said(remove, value=strings.OWN_REMOVE)

    def bring(
        file: str | None,
        lang: Lang,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio passes it
    ) -> list[Any]:
        if file is None:
            return [gr.skip()] * (6 + len(listing))
        progress(0.0, desc=strings.OWN_READING(lang))
        path = Path(file)
        try:
            own = open_deck(
                path,
                page.assistant.retriever,
                lang,
                lambda done, total: progress(
                    (done, total), desc=strings.OWN_EMBEDDING(lang).format(done=done, total=total)
                ),
            )
        except ExpectedError as error:
            kept = [gr.skip()] * (4 + len(listing))
            return [None, message_html(str(error), bad=True), *kept]
        finally:
            path.unlink(missing_ok=True)  # it is read; nothing of it stays on the server's disk
        said = strings.OWN_READY(lang).format(name=own.name, cards=f"{len(own.retriever.cards):,}")
        if own.left_out:
            reasons = ", ".join(f"{reason} {n}" for reason, n in own.left_out.items())
            said += " " + strings.OWN_LEFT_OUT(lang).format(reasons=reasons)
        return [
            None,
            message_html(said),
            own,
            OWN,
            gr.update(visible=True),
            page.service_line(own, OWN, lang),
            *deck_panel.other_deck(page, own, OWN, lang),
        ]

    def drop(lang: Lang) -> list[Any]:
        return [
            None,
            message_html(strings.OWN_REMOVED(lang)),
            None,
            BUILT_IN,
            gr.update(visible=False),
            page.service_line(None, BUILT_IN, lang),
            *deck_panel.other_deck(page, None, BUILT_IN, lang),
        ]

    def choose(lang: Lang, own: OwnDeck | None, deck: str) -> list[Any]:
        return [page.service_line(own, deck, lang), *deck_panel.other_deck(page, own, deck, lang)]

    outputs = [upload, told, page.own, page.deck, chosen, service, *listing]
    private: dict[str, Any] = {"api_visibility": "private"}
    upload.upload(bring, [upload, page.lang], outputs, show_progress_on=told, **private)
    remove.click(drop, [page.lang], outputs, show_progress="hidden", **private)
    page.deck.input(
        choose,
        [page.lang, page.own, page.deck],
        [service, *listing],
        show_progress="hidden",
        **private,
    )


def _intro(lang: Lang) -> str:
    text = strings.OWN_INTRO(lang).format(megabytes=MAX_MEGABYTES, cards=f"{MAX_CARDS:,}")
    return f'<p class="mc-intro">{inert(text)}</p>'
