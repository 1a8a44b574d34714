"""What a user waits for: `python benchmarks/page.py`, in Debian's Chromium, on localhost.

Starts the real app with the embedded profile and prints, at the median and the worst of all runs:
the page's load until it can be used, in a fresh browser and once more with its cache; and from
Enter to the first useful text (a card, a sentence or a fixed text) and to the complete answer.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
QUESTIONS = (
    "What are common triggers of asthma?",
    "How do statins lower cholesterol?",
    "Why should young children not be given aspirin?",
    "How is type 2 diabetes diagnosed?",
    "What is the capital of France?",
    "My father has crushing chest pain and cannot breathe",
    "What causes gout?",
    "How are kidney stones treated?",
)
# When the first useful text stands on the page, and when the answer is complete, from Enter on.
_WATCH = """() => {
  const log = document.querySelector('#log');
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    window.times = { pressed: performance.now(), first: 0, done: 0 };
  }, true);
  new MutationObserver(() => {
    const times = window.times, live = document.querySelector('#live .mc-turn');
    if (!times || !live) return;
    const now = performance.now();
    if (live.id === window.last) return;
    if (!times.first && live.querySelector('.mc-card, .mc-text, .mc-fixed, .mc-emergency'))
      times.first = now;
    if (!times.done && live.dataset.state !== 'pending') {
      times.done = now;
      window.last = live.id;
    }
  }).observe(log, { childList: true, subtree: true, attributes: true });
}"""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="times that each question is asked")
    arguments = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "MEDCARDS_PROFILE": "embedded",
            "MEDCARDS_FEEDBACK": f"{folder}/feedback.sqlite",
            "PORT": str(port),
        }
        with subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            stderr=subprocess.DEVNULL,
        ) as app:
            try:
                _measure(f"http://127.0.0.1:{port}", arguments.loads, arguments.rounds)
            finally:
                app.terminate()
    return 0


def _measure(url: str, loads: int, rounds: int) -> None:
    _wait(url)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        fresh, again = [], []
        for _ in range(loads + 1):
            context = browser.new_context()
            page = context.new_page()
            page.goto(url)
            fresh.append(_ready(page))
            page.reload()
            again.append(_ready(page))
            context.close()
        _tell("page load, first of all", fresh[:1], "the browser and the server just started")
        _tell("page load, fresh browser", fresh[1:], "at most 2000")
        _tell("page load, cached", again, "at most 2000")
        page = browser.new_context().new_page()
        page.goto(url)
        _ready(page)
        page.set_default_timeout(120_000)
        page.evaluate(_WATCH)
        first, done = [], []
        for question in QUESTIONS * rounds:
            page.locator("#question textarea").fill(question)
            page.locator("#question textarea").press("Enter")
            page.wait_for_function("window.times.done && !document.querySelector('.mc-asking')")
            times = page.evaluate("window.times")
            if not times["first"]:
                raise SystemExit(f"{question!r} got no answer")
            first.append(times["first"] - times["pressed"])
            done.append(times["done"] - times["pressed"])
        _tell("Enter to first useful text", first, "at most 1000")
        _tell("Enter to complete answer", done, "")
        browser.close()


def _ready(page: Any) -> float:
    """Milliseconds from the navigation until the page can be used."""
    page.wait_for_selector("body.mc-ready .mc-welcome")
    milliseconds: float = page.evaluate("performance.now()")
    return milliseconds


def _wait(url: str) -> None:
    for _ in range(1200):
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"no answer from {url}")


def _tell(what: str, milliseconds: list[float], goal: str) -> None:
    middle, worst = statistics.median(milliseconds), max(milliseconds)
    print(
        f"{what:28} median {middle:6.0f} ms   worst {worst:6.0f} ms   "
        f"n {len(milliseconds):3}   {goal}"
    )


if __name__ == "__main__":
    sys.exit(main())
