"""The page's own scripts and styles: compressed once, kept by browsers, and named ahead.

Their names carry a hash of their content: whoever has one may keep it for good. A page finds its
scripts one in the other, in four steps; told of them in its own header, a browser loads all at once
(`rel=modulepreload`, HTML Standard, "Link type modulepreload").
"""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WHERE = "/assets/"
_MAX_KEPT = 16 << 20  # bytes, compressed: what this page loads is a third of a megabyte
_KEEP = "public, max-age=31536000, immutable"
_LOADING_SECONDS = 5.0  # what is asked for so soon after a page belongs to its load
_MAX_NAMED = 2000  # bytes: proxies take 4 kB of headers in all (nginx, `proxy_buffer_size`)
_SMALL = 1000  # bytes: a script that is hardly worth naming


class Assets:
    """ASGI middleware: a file of the page is read and compressed for its first reader only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, bool], list[Message]] = {}  # by path and whether compressed
        self._bytes = 0
        self._page_sent = -_LOADING_SECONDS
        self._named = ""  # the scripts of a page, as the value of a Link header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whatever is neither the page nor a whole file of it passes through."""
        if scope["type"] == "http" and scope["method"] == "GET":
            if scope["path"] == "/":
                await self._page(scope, receive, send)
                return
            asked = Headers(scope=scope)
            if scope["path"].startswith(_WHERE) and "range" not in asked:
                compressed = "br" in asked.get("accept-encoding", "")
                for message in await self._file(scope, receive, compressed):
                    await send(message)
                return
        await self._app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._page_sent = time.monotonic()

        async def name(message: Message) -> None:
            if message["type"] == "http.response.start" and self._named:
                MutableHeaders(raw=message["headers"])["link"] = self._named
            await send(message)

        await self._app(scope, receive, name)

    async def _file(self, scope: Scope, receive: Receive, compressed: bool) -> list[Message]:
        key = (scope["path"], compressed)
        if key in self._kept:
            return self._kept[key]
        # What is kept goes to everybody: it is asked for in nobody's name.
        headers = [(b"accept-encoding", b"br" if compressed else b"identity")]
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        await self._app({**scope, "headers": headers}, receive, collect)
        start, body = messages[0], b"".join(part.get("body", b"") for part in messages[1:])
        whole = [start, {"type": "http.response.body", "body": body}]
        if start["status"] != 200:
            return whole
        MutableHeaders(raw=start["headers"])["cache-control"] = _KEEP
        if key not in self._kept and self._bytes + len(body) <= _MAX_KEPT:
            self._bytes += len(body)
            self._kept[key] = whole
            self._name(scope["path"], len(body))
        return whole

    def _name(self, path: str, size: int) -> None:
        """Name a script of the page that is being loaded, if there is room."""
        loading = time.monotonic() - self._page_sent < _LOADING_SECONDS
        link = f"<{path.lstrip('/')}>;rel=modulepreload"  # beside the page, wherever that is
        if not loading or not path.endswith(".js") or size < _SMALL or link in self._named:
            return
        named = f"{self._named}, {link}" if self._named else link
        if len(named) <= _MAX_NAMED:
            self._named = named
