"""The web service around the page: health, metrics, one port, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from gradio.routes import App
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.routing import Mount

from assistant.pipeline import Assistant
from ui import report_panel, strings
from ui.answering import Stops
from ui.assets import Assets
from ui.limits import Limits, Listeners, Rate
from ui.own_deck import MAX_MEGABYTES
from ui.page import Page, app_version
from ui.sessions import keep_little
from ui.theme import THEME

_HERE = Path(__file__).parent
_ANSWER_SECONDS = 10  # answers under way get this long to end by themselves when the server stops
_LAST_WORDS_SECONDS = 3  # open streams get this long to end
_QUIET_SECONDS = 1.0  # without an answer under way, before connections are closed


def service(
    demo: gr.Blocks,
    page: Page,
    accounts: Sequence[tuple[str, str]] | None = None,
    rate: Rate | None = None,
) -> FastAPI:
    """The page at `/`; `/healthz`, `/metrics` and the evaluation's `/report` beside it.

    Args:
        accounts: names and passwords of those who may use the page; by default anybody.
        rate: how often one client may ask; by default as often as it likes.
    """
    assistant, metrics = page.assistant, page.metrics
    started = time.monotonic()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        page.stops.stop_all()

    app = FastAPI(title=strings.TITLE, lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {**health(assistant), "uptime_s": round(time.monotonic() - started, 1)}

    @app.get("/metrics")
    def prometheus() -> Response:
        metrics.in_service(
            version=app_version(), generator=assistant.generator.name, index=assistant.index_name
        )
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get(report_panel.ROUTE)
    def report(request: Request) -> Response:
        if accounts and not _is_in(mounted, request):
            return Response("not authenticated\n", status_code=401, media_type="text/plain")
        if page.report is None or not page.report.is_file():
            return Response("no report\n", status_code=404, media_type="text/plain")
        return FileResponse(page.report, media_type="text/html", headers=report_panel.HEADERS)

    mounted: FastAPI = gr.mount_gradio_app(
        app,
        demo,
        "/",
        footer_links=["api"],
        run_history=False,
        show_error=True,
        max_file_size=f"{MAX_MEGABYTES}mb",
        auth=list(accounts) if accounts else None,
        ssr_mode=False,
        enable_monitoring=False,
        theme=THEME,
        css_paths=[_HERE / "style.css"],
        head=f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        favicon_path=str(_HERE / "icon.png"),
    )

    keep_little(_page_of(mounted), demo)

    def session_of(scope: Any) -> str | None:
        """Whose answers a stream carries, if it is one."""
        path = scope["path"]
        if path == "/gradio_api/queue/data":
            named = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash")
            return named[0] if named else None
        if scope["method"] == "GET" and path.startswith("/gradio_api/call/"):
            event = demo._queue.event_ids_to_events.get(path.rpartition("/")[2])
            return event.session_hash if event else None
        return None

    mounted.add_middleware(Listeners, session_of=session_of, left=page.stops.leave)
    mounted.add_middleware(Limits, rate=rate, closing=lambda: page.stops.closing)
    mounted.add_middleware(Assets)
    return mounted


def _page_of(mounted: FastAPI) -> App:
    """Gradio's own application inside the service."""
    page = next(route.app for route in mounted.routes if isinstance(route, Mount))
    assert isinstance(page, App), f"Gradio mounts its App, not {type(page).__name__}"
    return page


def _is_in(mounted: FastAPI, request: Request) -> bool:
    """Whether a request comes from somebody who has logged in, by the cookies of Gradio's page."""
    page = _page_of(mounted)
    names = (f"access-token-{page.cookie_id}", f"access-token-unsecure-{page.cookie_id}")
    return any(request.cookies.get(name) in page.tokens for name in names)


def health(assistant: Assistant) -> dict[str, Any]:
    """What is in service."""
    record = assistant.retriever.manifest
    return {
        "status": "ok",
        **assistant.status(),
        "cards": len(assistant.retriever.cards),
        "versions": {
            "medcards": app_version(),
            "gradio": gr.__version__,
            "python": sys.version.split()[0],
            "index": record.generation,
            "embedder": f"{record.embedder.name} ({record.embedder.revision})",
        },
    }


class _Server(uvicorn.Server):
    """Ends in order: no answer begins, those under way end or say that they were cut short."""

    def __init__(self, config: uvicorn.Config, stops: Stops) -> None:
        super().__init__(config)
        self._stops = stops

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stops.close()
        now = busy = time.monotonic()
        deadline = now + _ANSWER_SECONDS
        # A moment of quiet: those in the queue are still to be told, and to open their streams.
        while now < deadline and now - busy < _QUIET_SECONDS and not self.force_exit:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            busy = now if self._stops.under_way() else busy
        self._stops.stop_all()
        await super().shutdown(sockets)


def serve(app: FastAPI, server: socket.socket, stops: Stops) -> None:
    """Serve until interrupted or terminated; answers under way are ended first."""
    host, port = server.getsockname()[:2]
    logging.info("medcards is at http://%s:%d", host, port)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=_LAST_WORDS_SECONDS, ws="none"
    )
    # uvicorn ends in order, then raises the signal again for whoever started it: nothing is left
    # to do by then, so that the process ends with success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        _Server(config, stops).run(sockets=[server])
