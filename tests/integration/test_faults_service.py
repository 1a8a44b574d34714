"""The service under load, under attack, and when it ends; over HTTP, as a browser speaks to it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

import app
from assistant.answer import Answer, Sentence, cited_text, source
from assistant.settings import Settings
from index.cards import make_card
from index.errors import ExpectedError
from ui import login, service
from ui.limits import MAX_BODY, Limits, Rate
from ui.settings import load_service_settings

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "hunter2-is-nobodys-business"


class Slow:
    """An assistant that says when it is asked, and that takes as long as the question says."""

    def __init__(self) -> None:
        cards = [make_card(f"What is thing {i}?", f"Thing {i} is a thing.") for i in range(3)]
        self.retriever = SimpleNamespace(
            cards=cards,
            top_k=5,
            folder=None,
            manifest=SimpleNamespace(
                decks={"slow": 3},
                generation="0",
                embedder=SimpleNamespace(name="none", revision="0"),
            ),
            topics=lambda: {"": 3},
            decks=lambda: {"slow": 3},
        )
        self.generator = SimpleNamespace(name="slow", grounded=False)
        self.settings = Settings(profile="embedded")
        self.index_name = "slow (3 cards)"
        self.begun, self.stopped = Event(), Event()

    def status(self) -> dict[str, object]:
        return {"generator": "slow", "index": self.index_name}

    def stream(
        self, question: str, history: Any = (), sampling: Any = None, stop: Event | None = None
    ) -> Iterator[Answer]:
        self.begun.set()
        told = (source(1, self.retriever.cards[0], 0.8),)
        said = [Sentence(f"You asked {question}.", (1,), 1.0)]
        deadline = time.monotonic() + (20 if "long" in question else 0)
        while time.monotonic() < deadline:
            if stop is not None and stop.wait(0.02):
                self.stopped.set()
                break
        yield Answer("answered", cited_text(said), tuple(said), told, timings_ms={"total": 1.0})


class Running:
    """The service on loopback, in a thread."""

    def __init__(self, **named: Any) -> None:
        queue = named.pop("queue", 32)
        self.assistant = Slow()
        slow: Any = self.assistant
        demo, self.page = app.build_page(slow, queue=queue)
        web = service.service(demo, self.page, **named)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(web, log_level="error", timeout_graceful_shutdown=2, ws="none")
        self.server = service._Server(config, self.page.stops)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True
        )
        self.thread.start()
        until = time.monotonic() + 60
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.02)

    def ask(self, http: httpx.Client, question: str, session: str = "s") -> httpx.Response:
        config = http.get("/config").json()
        number = next(f["id"] for f in config["dependencies"] if f["api_name"] == "ask")
        body = {"data": [question, []], "fn_index": number, "session_hash": session}
        return http.post("/gradio_api/queue/join", json=body)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


def heard(http: httpx.Client, session: str = "s") -> Iterator[dict[str, Any]]:
    """What a session is told, until its question is over."""
    with http.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                message = json.loads(line[5:])
                yield message
                if message["msg"] in ("process_completed", "close_stream"):
                    return


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """One that no test changes."""
    running = Running()
    yield running
    running.end()


@pytest.fixture
def http(shared: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared.url, timeout=30) as client:
        yield client


# --- Files


PATHS = (
    "/etc/passwd", "//etc/passwd", "../../../../../../etc/passwd", "app.py", "./app.py",
    "pyproject.toml", "ui/style.css", ".git/config", "~/.bashrc", "C:\\Windows\\win.ini",
    "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/proc/self/environ",
    "file:///etc/passwd", "/dev/zero", f"{REPOSITORY}/app.py", f"{REPOSITORY}/.git/HEAD",
)  # fmt: skip
PREFIXES = (
    "/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/svelte/",
    "/gradio_api/custom_component/", "/",
)  # fmt: skip


def test_no_file_of_the_server_can_be_fetched(http: httpx.Client) -> None:
    marks = [b"root:x:", b"def build_page", b"[build-system]", b"repositoryformat", b"PATH=",
             b"ref: refs/"]  # fmt: skip
    for prefix in PREFIXES:
        for path in PATHS:
            with http.stream("GET", prefix + path) as reply:
                content = next(reply.iter_bytes(4096), b"")
            assert not any(mark in content for mark in marks), prefix + path
            if prefix == "/gradio_api/file=":
                assert reply.status_code in (403, 404, 405), (path, reply.status_code)


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/etc/evil.txt", "..\\evil", "x\x00y", ".." * 9]
)
def test_an_upload_stays_in_its_folder(http: httpx.Client, name: str) -> None:
    reply = http.post("/gradio_api/upload", files={"files": (name, b"evil")})
    if reply.status_code == 200:
        (stored,) = reply.json()
        assert "gradio" in Path(stored).parts
        assert Path(stored).resolve() == Path(stored)
        assert Path(stored).read_bytes() == b"evil"
    assert not (REPOSITORY / "evil.txt").exists()
    assert not Path("/etc/evil.txt").exists()


def test_the_service_fetches_nothing_for_others(http: httpx.Client) -> None:
    asked: list[Any] = []
    with socket.socket() as inside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        inside.settimeout(0.3)
        port = inside.getsockname()[1]
        for path in (f"/gradio_api/file=http://127.0.0.1:{port}/x",
                     f"/gradio_api/proxy=http://127.0.0.1:{port}/x",
                     "/gradio_api/file=http://example.org/",
                     "/gradio_api/file/http://example.org/x",
                     "/gradio_api/file=https:/example.org/"):  # fmt: skip
            assert http.get(path).status_code in (400, 403, 404), path
        with pytest.raises(TimeoutError):
            asked.append(inside.accept())
    assert asked == []


def test_no_page_can_be_written_to_disk(http: httpx.Client) -> None:
    for path in ("/gradio_api/deep_link?session_hash=x", "/gradio_api/deep_link/"):
        assert http.get(path).status_code == 404
    assert "no links" in http.get("/gradio_api/deep_link?session_hash=x").text


# --- Too much


def test_who_waits_is_told_the_place_and_who_cannot_is_refused_at_once() -> None:
    running = Running(queue=3)
    try:
        with httpx.Client(base_url=running.url, timeout=30) as http:
            for number in range(app.WORKERS):
                running.ask(http, f"long {number}", f"busy{number}")
            until = time.monotonic() + 10
            while running.page.stops.under_way() < app.WORKERS and time.monotonic() < until:
                time.sleep(0.02)
            waiting = []
            for number in range(3):
                began = time.monotonic()
                assert running.ask(http, "short", f"waiting{number}").status_code == 200
                waiting.append(heard(http, f"waiting{number}"))  # who goes loses the place
                place = next(m for m in waiting[-1] if m["msg"] == "estimation")
                assert place["rank"] == number
                assert time.monotonic() - began < 5
            began = time.monotonic()
            refused = running.ask(http, "short", "late")
            assert refused.status_code == 503
            assert "full" in refused.text
            assert time.monotonic() - began < 5
            running.page.stops.stop_all()
            for told in waiting:
                assert [m["success"] for m in told if m["msg"] == "process_completed"] == [True]
    finally:
        running.end()


def test_one_client_cannot_ask_all_the_time() -> None:
    running = Running(rate=Rate(60))
    try:
        with httpx.Client(base_url=running.url, timeout=30) as http:
            replies = [http.post("/gradio_api/queue/join", json={}) for _ in range(40)]
            limited = [reply for reply in replies if reply.status_code == 429]
            assert len(limited) >= 5
            assert "wait 1 s" in limited[0].text
            assert limited[0].headers["retry-after"] == "1"
            assert http.get("/healthz").status_code == 200
            other = {"x-forwarded-for": "192.0.2.7"}
            assert http.post("/gradio_api/queue/join", json={}, headers=other).status_code != 429
    finally:
        running.end()


def test_tokens_come_back_and_old_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    rate = Rate(60, clock=lambda: now)
    assert [rate.wait("a") for _ in range(31)] == [0.0] * 30 + [1.0]
    assert rate.wait("b") == 0
    now = 2.0
    assert [rate.wait("a") for _ in range(3)] == [0.0, 0.0, 1.0]
    monkeypatch.setattr("ui.limits._CLIENTS", 3)
    for name in "cdef":
        rate.wait(name)
    assert len(rate._clients) == 3


def test_a_body_that_is_too_large_is_not_read(http: httpx.Client) -> None:
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), 10) as raw:
        head = f"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}"
        raw.sendall(f"{head}\r\n\r\n{{".encode())
        told = b""
        while piece := raw.recv(4096):
            told += piece
    assert told.startswith(b"HTTP/1.1 413")
    assert b"at most 12 MB" in told


def test_a_body_without_a_length_ends_where_it_grows_too_long() -> None:
    read: list[int] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            read.append(len(message["body"]))

    async def endless() -> Any:
        return {"type": "http.request", "body": b"x" * (1 << 20), "more_body": True}

    limits = Limits(inner, None, lambda: False)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    # In a thread of its own: after a browser test the main thread has a running event loop.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, limits(scope, endless, endless)).result()
    assert sum(read) == MAX_BODY


# --- Clients that leave, and a server that ends


def test_a_client_that_leaves_frees_its_place() -> None:
    running = Running()
    try:
        with httpx.Client(base_url=running.url, timeout=30) as http:
            running.ask(http, "long", "gone")
            with http.stream("GET", "/gradio_api/queue/data?session_hash=gone") as stream:
                assert running.assistant.begun.wait(10)
                stream.close()
            assert running.assistant.stopped.wait(10), "it went on for nobody"
            assert running.ask(http, "short", "next").status_code == 200
            assert any(m["msg"] == "process_completed" for m in heard(http, "next"))
    finally:
        running.end()


def test_an_end_finishes_what_is_short_and_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "_ANSWER_SECONDS", 0.5)
    running = Running()
    ends: dict[str, dict[str, Any]] = {}

    def ask(question: str, session: str) -> None:
        with httpx.Client(base_url=running.url, timeout=30) as http:
            running.ask(http, question, session)
            for message in heard(http, session):
                ends[session] = message

    askers = [
        threading.Thread(target=ask, args=[f"long {n}", f"s{n}"]) for n in range(app.WORKERS + 2)
    ]
    for asker in askers:
        asker.start()
    until = time.monotonic() + 10
    while running.page.stops.under_way() < app.WORKERS and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)  # the others are in the queue
    running.end()
    for asker in askers:
        asker.join(10)
    assert [end["msg"] for end in ends.values()] == ["process_completed"] * len(askers)
    cut = [end for end in ends.values() if end["success"]]
    told = [end["output"]["error"] for end in ends.values() if not end["success"]]
    assert len(cut) == app.WORKERS
    assert all("going down" in error for error in told)
    assert len(told) == 2


# --- Who comes in


def test_without_a_login_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCARDS_LOGIN", f"anna:{SECRET}")
    running = Running(accounts=login.accounts(f"anna:{SECRET}"))
    try:
        with httpx.Client(base_url=running.url, timeout=30) as http:
            assert http.get("/healthz").status_code == 200
            assert http.get("/config").status_code == 401
            body = {"data": ["x", []]}
            assert http.post("/gradio_api/call/ask", json=body).status_code == 401
            assert http.post("/gradio_api/queue/join", json=body).status_code == 401
            assert http.get("/gradio_api/file=app.py").status_code == 401
            assert http.get("/report").status_code == 401
            wrong = {"username": "anna", "password": "wrong"}
            assert http.post("/login", data=wrong).status_code == 400
            right = {"username": "anna", "password": SECRET}
            assert http.post("/login", data=right).status_code == 200
            assert running.ask(http, "short").status_code == 200
            assert http.get("/report").status_code == 404  # there is none
    finally:
        running.end()


def test_accounts(tmp_path: Path) -> None:
    assert login.accounts("") is None
    assert login.accounts("a:b:c") == [("a", "b:c")]
    (tmp_path / "users").write_text("a:1\n\nb:2\n")
    assert login.accounts(str(tmp_path / "users")) == [("a", "1"), ("b", "2")]
    for wrong in (SECRET, f":{SECRET}", "a:", str(tmp_path / SECRET), "\n"):
        with pytest.raises(ExpectedError, match="MEDCARDS_LOGIN") as raised:
            login.accounts(wrong)
        assert SECRET not in str(raised.value)


def test_secrets_are_never_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, shared: Running
) -> None:
    from assistant.openai_generator import OpenAIGenerator
    from assistant.settings import load_settings
    from ui.feedback import FeedbackStore, open_feedback

    monkeypatch.setenv("MEDCARDS_LOGIN", f"anna:{SECRET}")
    monkeypatch.setenv("MEDCARDS_API_KEY", SECRET)
    monkeypatch.setenv("MEDCARDS_FEEDBACK", f"postgresql://anna:{SECRET}@127.0.0.1:9/none")
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.WARNING, "httpx")  # as app.py does: it logs whole addresses
    told = [repr(load_service_settings()), repr(load_settings()), str(load_settings())]
    store = open_feedback(f"postgresql://anna:{SECRET}@127.0.0.1:9/none")
    assert isinstance(store, FeedbackStore)
    told.append(str(store))
    endpoint = OpenAIGenerator(f"http://anna:{SECRET}@127.0.0.1:9/v1", None, SECRET)
    told.append(endpoint.name)
    with pytest.raises(ExpectedError) as raised:
        endpoint.load()
    told.append(str(raised.value))
    monkeypatch.setenv("MEDCARDS_RATE", "-1")
    with pytest.raises(ExpectedError) as raised:
        load_service_settings()
    told.append(str(raised.value))
    with httpx.Client(base_url=shared.url) as http:
        told += [http.get(path).text for path in ("/healthz", "/metrics", "/config")]
    assert not [text for text in [*told, caplog.text] if SECRET in text]


# --- What is loaded


def test_no_code_of_a_hub_is_run_and_nothing_is_unpickled() -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in ("assistant", "eval", "index", "training", "ui", "benchmarks")
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    texts[REPOSITORY / "app.py"] = (REPOSITORY / "app.py").read_text(encoding="utf-8")
    assert len(texts) > 100
    forbidden = re.compile(
        r"trust_remote_code=True|allow_pickle=True|pickle\.load|joblib\.load|yaml\.(unsafe_)?load\("
        r"|torch\.load\((?!.*weights_only=True)|shell=True|(?<![\w.])(eval|exec)\(|os\.system"
    )
    assert forbidden.search("x = eval(text)")
    assert forbidden.search("torch.load(path)")
    found = [
        f"{path.relative_to(REPOSITORY)}: {line.strip()}"
        for path, text in texts.items()
        for line in text.splitlines()
        if forbidden.search(line)
    ]
    assert found == []


def test_only_files_without_code_are_fetched_from_a_hub() -> None:
    from assistant import hub_files

    assert "*.safetensors" in hub_files.WEIGHTS
    kinds = {name.rpartition(".")[2] for name in hub_files.WEIGHTS}
    assert kinds <= {"json", "safetensors", "tokenizer*", "chat_template*"}
