"""What one client may ask of the service: how often, how much at once, and when no more."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.own_deck import MAX_MEGABYTES

BURST = 0.5  # of a minute's requests may come at once
MAX_BODY = (MAX_MEGABYTES + 2) << 20  # bytes: a deck with what surrounds it in a form
_CLIENTS = 10_000  # remembered at most; the one heard of the longest ago is forgotten
# What Gradio offers and this page does not, with what a client is told.
_CLOSED = (
    # Gradio would fetch it and hand it on: a way into the network that the server is in.
    (
        re.compile(r"/(?:file|proxy)[=/]\s*[a-z]+:/", re.IGNORECASE),
        "expected a file of this page, got another address",
    ),
    # Writes a file for each state of a page, without a bound.
    (
        re.compile(r"/deep_link/?$"),
        "this page has no links to its state: save the conversation",
    ),
)
_TOLD_BUSY = "the server is going down for a moment: ask again in a minute"


class Rate:
    """A token bucket for each client: `per_minute` on average, a part of them at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._size = max(1.0, per_minute * BURST)
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when
        self._lock = Lock()

    def wait(self, client: str) -> float:
        """Take a token; the seconds until there is one if there is none, else 0."""
        with self._lock:
            now = self._clock()
            tokens, then = self._clients.pop(client, (self._size, now))
            tokens = min(self._size, tokens + (now - then) * self._per_second)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_second
            self._clients[client] = (tokens if wait else tokens - 1, now)
            if len(self._clients) > _CLIENTS:
                self._clients.popitem(last=False)
            return wait


class Limits:
    """ASGI middleware: refuses what is too often, too large, or too late, before it is read.

    A client is known by its address. Behind a proxy that is the proxy's, unless uvicorn is told by
    FORWARDED_ALLOW_IPS whose `X-Forwarded-For` to believe.
    """

    def __init__(self, app: ASGIApp, rate: Rate | None, closing: Callable[[], bool]) -> None:
        self._app = app
        self._rate = rate
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only what changes or asks something is limited; pages, files and streams are not."""
        if scope["type"] == "http":
            for path, told in _CLOSED:
                if path.search(scope["path"]):
                    await _refuse(send, 404, told)
                    return
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH", "DELETE"):
            await self._app(scope, receive, send)
            return
        if self._closing():
            await _refuse(send, 503, _TOLD_BUSY, 60)
            return
        wait = self._rate.wait((scope.get("client") or ("unknown",))[0]) if self._rate else 0.0
        if wait:
            seconds = math.ceil(wait)
            await _refuse(
                send, 429, f"too many requests from your address: wait {seconds} s", seconds
            )
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > MAX_BODY:
            await _refuse(send, 413, f"expected at most {MAX_BODY >> 20} MB in one request")
            return
        await self._app(scope, _bounded(receive), send)


def _bounded(receive: Receive) -> Receive:
    """A body without a declared length ends where it grows too long, as if the client had left."""
    total = 0

    async def read() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        return {"type": "http.disconnect"} if total > MAX_BODY else message

    return read


class Listeners:
    """ASGI middleware: tells when a client closes the stream of its answers before their end."""

    def __init__(
        self, app: ASGIApp, session_of: Callable[[Scope], str | None], left: Callable[[str], None]
    ) -> None:
        self._app = app
        self._session_of = session_of
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only streams of answers are listened to."""
        session = self._session_of(scope) if scope["type"] == "http" else None
        if session is None:
            await self._app(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue()

        async def pump() -> None:
            while True:
                message = await receive()
                messages.put_nowait(message)
                if message["type"] == "http.disconnect":
                    self._left(session)
                    return

        pumping = asyncio.create_task(pump())
        try:
            await self._app(scope, messages.get, send)
        finally:
            pumping.cancel()


async def _refuse(send: Send, status: int, detail: str, seconds: int | None = None) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the body is not read
    ]
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
