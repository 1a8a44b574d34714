"""Ratings of answers: the form, and what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from sqlalchemy.exc import SQLAlchemyError

from ui import conversation, strings
from ui.conversation import Asked
from ui.feedback import Rating
from ui.marks import inert
from ui.page import Page, app_version
from ui.render import message_html
from ui.strings import Lang

logger = logging.getLogger(__name__)


def wire(page: Page, logs: Sequence[gr.HTML]) -> None:
    """Store what users send with the form under an answer."""
    if page.feedback is None:
        return
    gr.on(
        [log.like for log in logs],
        _storer(page),
        [page.conversation, page.lang],
        page.status,
        show_progress="hidden",
        api_visibility="private",
    )


def _storer(page: Page) -> Any:
    def store(stored: object, lang: Lang, event: gr.EventData) -> str:
        sent = event._data if isinstance(event._data, Mapping) else {}
        turns = conversation.load(stored)
        turn = next((turn for turn in turns if turn.id == sent.get("turn")), None)
        if page.feedback is None or turn is None or sent.get("verdict") not in strings.REASONS_FOR:
            return message_html(strings.FEEDBACK_FAILED(lang), bad=True)
        rating = rated(turn, sent)
        try:
            page.feedback.add(rating)
        except SQLAlchemyError:
            logger.exception("a rating could not be stored")
            return message_html(strings.FEEDBACK_FAILED(lang), bad=True)
        page.metrics.rated(rating.verdict)
        return message_html(strings.FEEDBACK_THANKS(lang))

    return store


def rated(turn: Asked, sent: Mapping[str, Any]) -> Rating:
    """A rating from what the form sent; the texts only with the user's agreement."""
    answer = turn.answer
    reason = sent.get("reason")
    agreed = sent.get("agree") is True
    return Rating(
        turn=turn.id,
        verdict=str(sent["verdict"]),
        reason=reason if reason in strings.REASONS else "",
        comment=str(sent.get("comment") or ""),
        status=answer.status if answer else "",
        generator=answer.generator if answer else "",
        index_name=answer.index if answer else "",
        version=app_version(),
        cards=" ".join(source.card_id for source in answer.sources) if answer else "",
        question=turn.question if agreed else None,
        answer=answer.text if agreed and answer else None,
    )


def forms_html(lang: Lang, feedback: bool) -> str:
    """The forms that the page's script copies to where they are needed."""
    forms = [_edit_form(lang)]
    if feedback:
        forms.extend(_rating_form(verdict, lang) for verdict in strings.REASONS_FOR)
    return "".join(forms)


def _edit_form(lang: Lang) -> str:
    return (
        '<template id="mc-form-edit"><form class="mc-form">'
        f"<label>{inert(strings.EDIT(lang))}<textarea name='question' rows='3'></textarea></label>"
        f"<p>{inert(strings.EDIT_DROPS(lang))}</p>{_submit(lang)}</form></template>"
    )


def _rating_form(verdict: str, lang: Lang) -> str:
    reasons = "".join(
        f'<label><input type="radio" name="reason" value="{reason}">'
        f"<span>{inert(strings.REASONS[reason](lang))}</span></label>"
        for reason in strings.REASONS_FOR[verdict]
    )
    return (
        f'<template id="mc-form-{verdict}"><form class="mc-form" data-verdict="{verdict}">'
        f"<fieldset><legend>{inert(strings.FEEDBACK_WHY(lang))}</legend>{reasons}</fieldset>"
        f"<label>{inert(strings.FEEDBACK_COMMENT(lang))}"
        '<textarea name="comment" rows="2" maxlength="2000"></textarea></label>'
        f"<p>{inert(strings.FEEDBACK_STORED(lang))}</p>"
        '<label class="mc-check"><input type="checkbox" name="agree">'
        f"<span>{inert(strings.FEEDBACK_AGREE(lang))}</span></label>{_submit(lang)}</form></template>"
    )


def _submit(lang: Lang) -> str:
    return (
        f'<div class="mc-row"><button type="submit" class="mc-primary">{inert(strings.SEND(lang))}'
        f'</button><button type="button" class="mc-plain" data-cancel>'
        f"{inert(strings.CANCEL(lang))}</button></div>"
    )
