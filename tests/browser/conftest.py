"""The real app in a subprocess, a scripted one in this process, and pages that talk to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.answer import Answer, Sentence, cited_text, source
from assistant.settings import Settings
from index.cards import Flashcard, make_card

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
LET_GO = Event()  # ends the answers to questions that say "hold"
BEGUN: list[str] = []  # such questions whose answer has begun
STAGE = {"now": "ready"}  # of what is being prepared behind the scripted service
PANELS = ("chat", "compare", "cards", "own", "report")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOSTILE = (
    '<img src=x onerror="document.title=1"><script>document.title=2</script> **bold** $$x^2$$ '
    "[link](javascript:alert(1)) ${7*7} {{7*7}} `code` " + "W" * 3000
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


class Cards:
    """A retriever over a few cards, by shared words."""

    def __init__(self, cards: list[Flashcard]) -> None:
        self.cards = cards
        self.shared = self
        self.top_k = 5
        self.manifest = SimpleNamespace(
            decks={"scripted": len(cards)},
            generation="0",
            embedder=SimpleNamespace(name="none", revision="0"),
        )

    def topics(self) -> dict[str, int]:
        return dict(Counter(card.topic or "" for card in self.cards))

    def decks(self) -> dict[str, int]:
        return {"scripted": len(self.cards)}

    def _of(self, topics: frozenset[str] | None) -> list[Flashcard]:
        return [c for c in self.cards if topics is None or (c.topic or "") in topics]

    def hits(self, query: str, top_k: int, topics: frozenset[str] | None = None) -> list[Any]:
        asked = set(query.lower().split())
        scores = [(len(asked & set(card.text.lower().split())), card) for card in self._of(topics)]
        scores.sort(key=lambda pair: -pair[0])
        return [
            SimpleNamespace(card=card, score=min(1.0, n / 5), lexical_rank=None)
            for n, card in scores[:top_k]
        ]


class Scripted:
    """An assistant whose answers are known: the question says what happens."""

    def __init__(self) -> None:
        cards = [
            make_card(f"What is thing {i}?", f"Thing {i} is made of parts.", "Things")
            for i in range(30)
        ]
        cards.append(make_card(HOSTILE, HOSTILE, "<b>Topic</b>", "<i>source</i>"))
        self.retriever = Cards(cards)
        self.generator = SimpleNamespace(name="scripted", grounded=False)
        self.settings = Settings(profile="embedded")
        self.index_name = "scripted (31 cards)"

    def status(self) -> dict[str, object]:
        return {
            "profile": "embedded",
            "generator": self.generator.name,
            "index": self.index_name,
            "stage": STAGE["now"],
            "detail": "TinyLlama",
            "done": 0.42,
        }

    def stream(
        self, question: str, history: Any = (), sampling: Any = None, stop: Event | None = None
    ) -> Iterator[Answer]:
        if "hold" in question:
            BEGUN.append(question)
            LET_GO.wait(30)
        if "fail" in question:
            raise RuntimeError("scripted failure")
        if "refuse" in question:
            near = tuple(source(n, self.retriever.cards[n], 0.4) for n in (1, 2))
            yield Answer("abstained", "My cards do not cover this.", nearby=near, confidence=0.1)
            return
        best = self.retriever.cards[-1 if "hostile" in question else 0]
        told = (source(1, best, 0.8),)
        texts = [HOSTILE] if "hostile" in question else [f"Earlier turns: {len(history)}."]
        if "slow" in question:
            texts = [f"Sentence {n} of many." for n in range(200)]
        yield Answer("answered", "", nearby=told, confidence=0.9)
        said: list[Sentence] = []
        for text in texts:
            if stop is not None and stop.is_set():
                break
            if "slow" in question:
                time.sleep(0.1)
            said.append(Sentence(text, (1,), 1.0))
            yield self._answer(said, told)
        yield self._answer(said, told)

    def answer(self, question: str, history: Any = ()) -> Answer:
        return [*self.stream(question, history)][-1]

    def _answer(self, said: list[Sentence], told: Any) -> Answer:
        return Answer(
            "answered",
            cited_text(said),
            tuple(said),
            told,
            confidence=0.9,
            removed=("Left out.",),
            generator="scripted",
            index=self.index_name,
            timings_ms={"total": 12.0},
        )


class ScriptedSystems:
    """Three systems whose answers and pace are known."""

    def names(self) -> list[str]:
        return ["extractive", "tuned", "tuned+rag"]

    def answerer(self, name: str, assistant: Any) -> Any:
        return SimpleNamespace(settings=assistant.settings, stream=partial(self._stream, name))

    def _stream(
        self, name: str, question: str, history: Any, sampling: Any, stop: Event
    ) -> Iterator[Answer]:
        if "hold" in question and name != "extractive":
            LET_GO.wait(30)
        if "broken" in question and name == "tuned":
            raise RuntimeError("scripted failure")
        card = make_card("What is thing 1?", "Thing 1 is made of parts.", "Things")
        cited = () if name == "tuned" else (1,)
        told = (source(1, card, 0.8),) if cited else ()
        said: list[Sentence] = []
        for n in range(100 if "slow" in question else 2):
            if stop.is_set():
                break
            time.sleep(0.1 if name == "extractive" else 0.2)
            said.append(Sentence(f"{name} says {n}.", cited, 1.0))
            yield Answer("answered", cited_text(said), tuple(said), told, generator=name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(url: str, seconds: float, process: subprocess.Popen[bytes] | None) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the app ended with status {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no answer from {url} within {seconds} s")


class App:
    """The real app: `python app.py` with the embedded profile."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.feedback = folder / "feedback.sqlite"
        self.log = folder / "app.log"
        self.start()

    def start(self) -> None:
        settings = {
            "MEDCARDS_PROFILE": "embedded",
            "MEDCARDS_FEEDBACK": str(self.feedback),
            "MEDCARDS_REPORT": str(self.feedback.with_name("none.html")),
            "PORT": str(self.port),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=REPOSITORY,
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )
        # The first start on a machine builds the index.
        wait_until_healthy(self.url, 300, self.process)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def crash(self) -> None:
        self.process.kill()
        self.process.wait(timeout=15)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    running = App(tmp_path_factory.mktemp("app"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def scripted() -> Iterator[str]:
    """The page over a scripted assistant; its address."""
    import uvicorn

    from app import build_page
    from ui import service

    assistant: Any = Scripted()
    systems: Any = ScriptedSystems()
    demo, page = build_page(assistant, queue=2, systems=systems)
    web = service.service(demo, page)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(web, port=port, log_level="error", timeout_graceful_shutdown=1, ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    wait_until_healthy(url, 60, None)
    yield url
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists() and not shutil.which("chromium"):
        pytest.skip(f"no {CHROMIUM}: install Debian's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium"),
            args=ARGUMENTS,
        )
        yield browser
        browser.close()


class Chat:
    """A page, as a user handles it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.set_default_timeout(10_000)

    def open(self, url: str) -> Chat:
        self.page.goto(url)
        return self.ready()

    def ready(self) -> Chat:
        self.page.wait_for_selector("body.mc-ready", state="attached")
        return self

    def ask(self, question: str) -> Any:
        """Type, press Enter, wait for the end; returns the turn."""
        self.begin(question)
        return self.finished()

    def begin(self, question: str) -> None:
        box = self.page.locator("#question textarea")
        box.fill(question)
        box.press("Enter")
        self.page.wait_for_function(
            "q => [...document.querySelectorAll('.mc-turn')].pop()?.innerText.includes(q)",
            arg=question[:60],
        )

    def finished(self) -> Any:
        self.page.wait_for_function(
            """() => !document.querySelector('#log.mc-asking') &&
                 [...document.querySelectorAll('.mc-turn')].pop()?.dataset.state !== 'pending'"""
        )
        return self.last

    @property
    def last(self) -> Any:
        return self.page.locator(".mc-turn").last

    def panel(self, name: str) -> None:
        number = PANELS.index(name)
        self.page.locator("#panels [role=tab]").nth(number).click()

    def choose(self, deck: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#own-file").click()
        chooser.value.set_files(deck)

    def saved(self, button: str) -> Path:
        with self.page.expect_download() as download:
            self.page.locator(button).click()
        return Path(download.value.path())


@pytest.fixture
def chat(chromium: Any) -> Iterator[Chat]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    chat = Chat(context.new_page())
    yield chat
    context.close()
    assert chat.problems == []


@pytest.fixture
def other(chromium: Any) -> Iterator[Chat]:
    """Another person's browser."""
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    yield Chat(context.new_page())
    context.close()


@pytest.fixture
def held(scripted: str) -> Iterator[Callable[[int], list[Any]]]:
    """Ask so many questions that wait for the test's end; two at a time are taken on."""
    from gradio_client import Client

    client = Client(scripted, verbose=False)
    jobs: list[Any] = []

    def waiting() -> int:
        with urllib.request.urlopen(f"{scripted}/gradio_api/queue/status") as reply:
            return int(json.load(reply)["queue_size"])

    def until(reached: Callable[[], bool]) -> None:
        for _ in range(400):
            if reached():
                return
            time.sleep(0.05)
        raise AssertionError(f"{len(jobs)} questions asked, {waiting()} wait, {BEGUN=} answered")

    def hold(count: int) -> list[Any]:
        # One after the other: the queue has no room for two that are on their way to an answer.
        for asked in range(1, count + 1):
            jobs.append(client.submit("hold this", api_name="/ask"))
            until(
                lambda asked=asked: len(BEGUN) == min(asked, 2) and waiting() == max(0, asked - 2)
            )
        return jobs

    BEGUN.clear()

    LET_GO.clear()
    yield hold
    LET_GO.set()
    assert [job.result(timeout=20)["status"] for job in jobs] == ["answered"] * len(jobs)


@pytest.fixture
def stage() -> Iterator[dict[str, str]]:
    """Set "now" to what is being prepared behind the scripted service."""
    yield STAGE
    STAGE["now"] = "ready"


@pytest.fixture
def let_go() -> Event:
    """Set it to end what `held` asked."""
    return LET_GO


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def chat_class() -> type[Chat]:
    return Chat
