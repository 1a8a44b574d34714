"""The programming interface: one endpoint, `ask`, for `gradio_client` and plain HTTP."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import gradio as gr
from gradio.events import api as add_endpoint

from assistant.pipeline import Assistant, Turn
from index.errors import ExpectedError
from ui import strings
from ui.answering import Stops
from ui.metrics import Metrics

DESCRIPTION = (
    "Answer a health question from the cards. `history` holds the earlier turns of the "
    "conversation, oldest first, as [question, answer] pairs, so that follow-ups are understood. "
    "Returns the answer as JSON: status (answered, abstained, emergency, declined), text with "
    "numbers such as [1], sentences with their citations, sources, nearby cards, notice, removed "
    "(sentences that no card holds), terms with their definitions, confidence (of 1), generator, "
    "index, timings_ms, tokens, danger (its kind, in an emergency). For learning, not medical "
    "advice."
)

EARLIER = 20  # turns that are looked at


def add(assistant: Assistant, metrics: Metrics, stops: Stops) -> None:
    """Add the endpoint to the page that is being built."""

    def ask(
        question: str, request: gr.Request, history: list[list[str]] | None = None
    ) -> dict[str, Any]:
        try:
            earlier = turns(question, history, assistant.settings.max_question_chars)
            if stops.closing:
                raise ExpectedError(strings.CLOSING("en"))
            caller = f"{request.session_hash}/{uuid4().hex}"  # one client may ask several at once
            stop = stops.begin(caller)
            try:
                with metrics.answering():
                    *_, answer = assistant.stream(question, earlier, stop=stop)
            finally:
                stops.end(caller, stop)
        except ExpectedError as error:
            raise gr.Error(str(error), print_exception=False) from error
        metrics.answered(answer)
        fields: dict[str, Any] = json.loads(answer.to_json())
        return fields

    # Anybody may send anything: what is typed here is not what comes.
    add_endpoint(ask, api_name="ask", api_description=DESCRIPTION, concurrency_id="answer")


def turns(question: object, history: object, longest: int) -> list[Turn]:
    """The earlier turns that a client sent, at most `EARLIER` of them.

    Args:
        longest: the characters that are read of an earlier question.

    Raises:
        ExpectedError: the question is no text, or the history no pairs of texts.
    """
    if not isinstance(question, str):
        raise ExpectedError(f"expected a question as text, got {type(question).__name__}")
    pairs = history or []
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        raise ExpectedError(
            "expected the history as [question, answer] pairs of texts, oldest first; leave it out "
            "for a first question"
        )
    return [Turn(asked[:longest], answer) for asked, answer in pairs[-EARLIER:]]


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(t, str) for t in pair)
