"""The page's files are compressed once, kept by browsers, and named ahead."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ui import assets
from ui.assets import Assets
from ui.settings import listen


class Site:
    """A page with files, which remembers what reached it."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        routes = [
            Route("/", lambda _: PlainTextResponse("page")),
            Route("/assets/{name}", self._file),
            Route("/other/{name}", self._file),
        ]
        self.client = TestClient(Assets(Starlette(routes=routes)))

    def _file(self, request: Request) -> Response:
        self.asked.append(request)
        if request.path_params["name"].startswith("missing"):
            return PlainTextResponse("no such file", status_code=404)
        words = "x" * 1500 if request.path_params["name"].startswith("large") else "x"
        encoding = request.headers["accept-encoding"]
        return PlainTextResponse(words, headers={"x-read-as": encoding})

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_file_is_read_once_for_each_encoding(site: Site) -> None:
    for _ in range(3):
        for wanted, given in (("gzip, br", "br"), ("gzip", "identity")):
            answer = site.get("/assets/a.js", **{"accept-encoding": wanted})
            assert answer.headers["x-read-as"] == given
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.text == "x"
    assert len(site.asked) == 2


def test_what_is_kept_is_asked_for_in_nobodys_name(site: Site) -> None:
    site.get("/assets/a.js", cookie="session=secret", authorization="Basic secret")
    assert list(site.asked[0].headers) == ["accept-encoding"]


@pytest.mark.parametrize("path", ["/assets/missing.js", "/other/a.js"])
def test_what_is_missing_or_elsewhere_is_not_kept(site: Site, path: str) -> None:
    for asked in (1, 2):
        assert "cache-control" not in site.get(path).headers
        assert len(site.asked) == asked


def test_a_part_of_a_file_and_other_methods_pass_through(site: Site) -> None:
    site.get("/assets/a.js")
    site.get("/assets/a.js", range="bytes=0-1")
    assert site.client.post("/assets/a.js").status_code == 405
    assert len(site.asked) == 2


def test_no_more_is_kept_than_there_is_room_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_MAX_KEPT", 3000)
    for name in ("large1.js", "large2.js", "large3.js") * 2:
        assert len(site.get(f"/assets/{name}").text) == 1500
    assert [request.path_params["name"] for request in site.asked] == [
        "large1.js",
        "large2.js",
        "large3.js",
        "large3.js",
    ]


def test_the_page_names_the_large_scripts_that_its_load_asks_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(assets.time, "monotonic", lambda: now[0])
    site.get("/assets/large-before.js")
    assert "link" not in site.get("/").headers
    for name in ("large.js", "small.js", "large.css", "missing.js"):
        site.get(f"/assets/{name}", **{"accept-encoding": "br"})
    site.get("/assets/large.js", **{"accept-encoding": "identity"})
    now[0] += 60
    site.get("/assets/large-later.js")
    assert site.get("/").headers["link"] == "<assets/large.js>;rel=modulepreload"


def test_the_names_fit_the_headers_that_proxies_take(site: Site) -> None:
    site.get("/")
    for number in range(200):
        site.get(f"/assets/large{number}.js")
    assert 1900 < len(site.get("/").headers["link"]) <= 2000


def test_small_answers_leave_at_once() -> None:
    """Without TCP_NODELAY an answer over a kept connection takes 40 ms."""

    async def nodelay(server: socket.socket) -> int:
        delays: list[int] = []

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("socket")
            delays.append(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=server):
            reader, writer = await asyncio.open_connection(*server.getsockname())
            await reader.read()
            writer.close()
        return delays[0]

    # In a thread of its own: Playwright leaves a running loop in this one.
    with closing(listen("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, nodelay(server)).result() != 0
