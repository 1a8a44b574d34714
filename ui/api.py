"""The programming interface: one endpoint, `ask`, for `gradio_client` and plain HTTP."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from gradio.events import api as add_endpoint

from assistant.pipeline import Assistant, Turn
from index.errors import ExpectedError
from ui.metrics import Metrics

DESCRIPTION = (
    "Answer a health question from the cards. `history` holds the earlier turns of the "
    "conversation, oldest first, as [question, answer] pairs, so that follow-ups are understood. "
    "Returns the answer as JSON: status (answered, abstained, emergency, declined), text with "
    "numbers such as [1], sentences with their citations, sources, nearby cards, notice, "
    "confidence, generator, index, timings_ms. For learning, not medical advice."
)


def add(assistant: Assistant, metrics: Metrics) -> None:
    """Add the endpoint to the page that is being built."""

    def ask(question: str, history: list[list[str]] | None = None) -> dict[str, Any]:
        earlier = [Turn(pair[0], pair[1]) for pair in history or [] if len(pair) == 2]
        try:
            with metrics.answering():
                answer = assistant.answer(question, earlier)
        except ExpectedError as error:
            raise gr.Error(str(error), print_exception=False) from error
        metrics.answered(answer)
        fields: dict[str, Any] = json.loads(answer.to_json())
        return fields

    add_endpoint(ask, api_name="ask", api_description=DESCRIPTION, concurrency_id="answer")
