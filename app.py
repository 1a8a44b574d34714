"""The chat: `python app.py` serves it at http://127.0.0.1:7860 (PORT and HOST to change)."""

from __future__ import annotations

import logging
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import gradio as gr

    from assistant.pipeline import Assistant
    from ui.feedback import FeedbackStore
    from ui.metrics import Metrics
    from ui.page import Page
    from ui.systems import Systems

WORKERS = 2  # answers at the same time; a CPU serves more of them no faster

SWITCH_SECONDS = 0.0005


def build_page(
    assistant: Assistant,
    feedback: FeedbackStore | None = None,
    metrics: Metrics | None = None,
    queue: int = 32,
    systems: Systems | None = None,
    report: Path | None = None,
) -> tuple[gr.Blocks, Page]:
    """The page with its panels, and what they share.

    Args:
        feedback: where ratings go; without it answers cannot be rated.
        queue: questions that may wait; the next one is told to come back.
        report: the file of the evaluation's report.
        systems: what can be compared; by default what is made of the assistant's generator.
    """
    import gradio as gr

    from ui import api, chat, compare_panel, deck_panel, frame, own_panel, report_panel, strings
    from ui.metrics import Metrics
    from ui.page import Page

    with gr.Blocks(
        title=strings.TITLE, analytics_enabled=False, fill_width=True, delete_cache=(600, 600)
    ) as demo:
        page = Page(assistant, feedback, metrics or Metrics(), report, systems)
        service = frame.header(page)
        with gr.Tabs(elem_id="panels"):
            with page.said(gr.Tab(strings.TAB_CHAT.en, id="chat"), label=strings.TAB_CHAT):
                log = gr.Column(elem_id="log")
            with page.said(gr.Tab(strings.TAB_COMPARE.en, id="compare"), label=strings.TAB_COMPARE):
                comparison = gr.Column()
            with page.said(gr.Tab(strings.TAB_CARDS.en, id="cards"), label=strings.TAB_CARDS):
                listing = deck_panel.build(page)
            with page.said(gr.Tab(strings.TAB_OWN.en, id="own"), label=strings.TAB_OWN):
                own_panel.build(page, listing.parts, service)
            with page.said(gr.Tab(strings.TAB_REPORT.en, id="report"), label=strings.TAB_REPORT):
                report_panel.build(page)
        with log:
            parts = chat.build(page, askers=[listing.cards])
        with comparison:
            compare_panel.build(page, parts.choices)
        frame.foot(page)
        frame.wire(page, service, parts, listing.parts)
        api.add(assistant, page.metrics, page.stops)
    demo.queue(max_size=queue, default_concurrency_limit=WORKERS)
    return demo, page


def build_demo(assistant: Assistant) -> gr.Blocks:
    """The page alone; `ui.service.service` mounts it with its style sheet and script."""
    return build_page(assistant)[0]


def main() -> int:
    """Serve the chat until interrupted; 2 when something outside has to be put right first."""
    started = time.perf_counter()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for chatty in ("httpx", "faiss.loader"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    from index import cli
    from index.errors import ExpectedError
    from ui import login, memory, zerogpu
    from ui.settings import listen, load_service_settings

    memory.give_back()
    try:
        from assistant.settings import load_settings

        settings, chosen = load_service_settings(), load_settings()
        accounts = login.accounts(settings.login.get_secret_value())
        server = listen(settings.host, settings.port)  # all that can be wrong so far is known

        from ui.feedback import open_feedback

        feedback = open_feedback(settings.feedback_url)

        if zerogpu.wanted():
            zerogpu.prepare()
        from assistant.build import build_assistant, warm
        from assistant.full import make_generator
        from assistant.progress import Progress

        assistant = build_assistant(chosen, background=True)
        if zerogpu.wanted():
            zerogpu.borrow(assistant)
    except ExpectedError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return cli.EXIT_EXPECTED_FAILURE
    from assistant.reload import IndexWatch
    from ui import service, systems
    from ui.limits import Rate

    demo, page = build_page(
        assistant,
        feedback,
        queue=settings.queue,
        report=settings.report,
        systems=systems.OnDisk(assistant, lambda wanted: make_generator(wanted, Progress())),
    )
    rate = Rate(settings.rate) if settings.rate else None
    app = service.service(demo, page, accounts, rate)
    IndexWatch(assistant).start()
    Thread(target=warm, args=[assistant], name="warm", daemon=True).start()
    logging.info("ready after %.1f s", time.perf_counter() - started)
    # Answers are computed beside the event loop, which must tell others their place meanwhile:
    # with Python's own 5 ms it waited for the interpreter at each of its many short steps.
    sys.setswitchinterval(SWITCH_SECONDS)
    service.serve(app, server, page.stops)
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
