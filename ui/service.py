"""The web service around the page: health, metrics, one port, and an orderly end."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from assistant.pipeline import Assistant
from ui import strings
from ui.metrics import Metrics
from ui.own_deck import MAX_MEGABYTES
from ui.page import app_version
from ui.theme import THEME

_HERE = Path(__file__).parent
_LAST_WORDS_SECONDS = 3  # open streams get this long to end


def service(
    demo: gr.Blocks, assistant: Assistant, metrics: Metrics, on_stop: Callable[[], None]
) -> FastAPI:
    """The page at `/`, `/healthz` and `/metrics` beside it."""
    started = time.monotonic()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        on_stop()

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

    mounted: FastAPI = gr.mount_gradio_app(
        app,
        demo,
        "/",
        footer_links=["api"],
        run_history=False,
        show_error=True,
        max_file_size=f"{MAX_MEGABYTES}mb",
        ssr_mode=False,
        enable_monitoring=False,
        theme=THEME,
        css_paths=[_HERE / "style.css"],
        head=f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        favicon_path=str(_HERE / "icon.png"),
    )
    return mounted


def health(assistant: Assistant) -> dict[str, Any]:
    """What is in service."""
    record = assistant.retriever.manifest
    return {
        "status": "ok",
        "generator": assistant.generator.name,
        "index": assistant.index_name,
        "cards": len(assistant.retriever.cards),
        "versions": {
            "medcards": app_version(),
            "gradio": gr.__version__,
            "python": sys.version.split()[0],
            "index": record.generation,
            "embedder": f"{record.embedder.name} ({record.embedder.revision})",
        },
    }


def serve(app: FastAPI, server: socket.socket) -> None:
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
        uvicorn.Server(config).run(sockets=[server])
