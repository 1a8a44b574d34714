"""The chat: `python app.py` serves it at http://127.0.0.1:7860 (PORT and HOST to change)."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from assistant.pipeline import Assistant
    from ui.feedback import FeedbackStore
    from ui.metrics import Metrics
    from ui.page import Page

WORKERS = 2  # answers at the same time; a CPU serves more of them no faster


def build_page(
    assistant: Assistant,
    feedback: FeedbackStore | None = None,
    metrics: Metrics | None = None,
    queue: int = 32,
) -> tuple[gr.Blocks, Page]:
    """The page with its panels, and what they share.

    Args:
        feedback: where ratings go; without it answers cannot be rated.
        queue: questions that may wait; the next one is told to come back.
    """
    import gradio as gr

    from ui import api, chat, deck_panel, frame, own_panel, strings
    from ui.metrics import Metrics
    from ui.page import Page

    with gr.Blocks(
        title=strings.TITLE, analytics_enabled=False, fill_width=True, delete_cache=(600, 600)
    ) as demo:
        page = Page(assistant, feedback, metrics or Metrics())
        service = frame.header(page)
        with gr.Tabs(elem_id="panels"):
            with page.said(gr.Tab(strings.TAB_CHAT.en, id="chat"), label=strings.TAB_CHAT):
                log = gr.Column(elem_id="log")
            with page.said(gr.Tab(strings.TAB_CARDS.en, id="cards"), label=strings.TAB_CARDS):
                listing = deck_panel.build(page)
            with page.said(gr.Tab(strings.TAB_OWN.en, id="own"), label=strings.TAB_OWN):
                own_panel.build(page, listing.parts, service)
        with log:
            parts = chat.build(page, askers=[listing.cards])
        frame.foot(page)
        frame.wire(page, service, parts, listing.parts)
        api.add(assistant, page.metrics)
    demo.queue(max_size=queue, default_concurrency_limit=WORKERS)
    return demo, page


def build_demo(assistant: Assistant) -> gr.Blocks:
    """The page alone; `ui.service.service` mounts it with its style sheet and script."""
    return build_page(assistant)[0]


def main() -> int:
    """Serve the chat until interrupted; 2 when something outside has to be put right first."""
    started = time.perf_counter()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from index import cli
    from index.errors import ExpectedError
    from ui.settings import listen, load_service_settings

    try:
        from assistant.settings import load_settings

        settings, chosen = load_service_settings(), load_settings()
        server = listen(settings.host, settings.port)  # all that can be wrong so far is known

        from assistant.build import build_assistant

        assistant = build_assistant(chosen)
    except ExpectedError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return cli.EXIT_EXPECTED_FAILURE
    from ui import service
    from ui.feedback import open_feedback

    demo, page = build_page(assistant, open_feedback(settings.feedback_path), queue=settings.queue)
    app = service.service(demo, assistant, page.metrics, page.stops.stop_all)
    logging.info("ready after %.1f s", time.perf_counter() - started)
    service.serve(app, server)
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
