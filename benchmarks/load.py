"""Ask the chat by many users at once, on this machine alone, and count what they get.

    python benchmarks/load.py --questions FILE [--users 1 10 50] [--requests 2000]

Starts the embedded profile (or takes --url, loopback only), asks the file's lines as the page does
- a place in the queue, then the answer - and compares every answer with the one that a single user
got to the same question: its sentences, cards and scores. An answer that is lost, mixed up with
another or left without an end is counted, and so is each traceback in the log.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS = 120  # after which an answer counts as lost
WARM_UP = 1000  # requests before memory is looked at


@dataclass
class Count:
    """What a phase saw; times in seconds."""

    answers: list[float] = field(default_factory=list)  # from the accepted question to its end
    places: list[float] = field(default_factory=list)  # to the place in the queue, or the refusal
    accepted: int = 0  # put into the queue
    refused: int = 0  # asked again a little later
    lost: int = 0
    mixed: int = 0
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Server:
    """The chat in a process of its own."""

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        own = {
            "PORT": str(self.port),
            "MEDCARDS_PROFILE": "embedded",
            "MEDCARDS_FEEDBACK": "off",
            "MEDCARDS_CACHED_ANSWERS": "0",  # every answer is made
            **dict(pair.split("=", 1) for pair in settings),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=REPOSITORY, env={**os.environ, **own},
                stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + 300
        while True:
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit(f"the chat did not start:\n{self.log.read_text()}")
            time.sleep(0.2)

    @property
    def resident(self) -> float:
        """Megabytes in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    @property
    def tracebacks(self) -> int:
        return self.log.read_text(errors="replace").count("Traceback")


class Client:
    """A user with an address, a session and one question at a time."""

    def __init__(self, http: httpx.AsyncClient, function: int, number: int) -> None:
        self._http = http
        self._function = function
        self._number = number
        self.renew()
        self._from = {"x-forwarded-for": f"10.1.{number // 250}.{number % 250 + 1}"}

    def renew(self) -> None:
        """Be somebody who has just come: a session that the server does not know."""
        self._session = f"load{self._number}x{random.getrandbits(40):x}"

    async def ask(self, question: str, count: Count) -> Any:
        """The answer as JSON; None where it was lost, and a text where an error was told."""
        while True:
            began = time.perf_counter()
            reply = await self._http.post(
                "/gradio_api/queue/join",
                json={
                    "data": [question, []],
                    "fn_index": self._function,
                    "session_hash": self._session,
                },
                headers=self._from,
            )
            if reply.status_code in (429, 503):
                count.places.append(time.perf_counter() - began)
                count.refused += 1
                if "going down" in reply.text:
                    return reply.text
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            reply.raise_for_status()
            count.accepted += 1
            return await self._listen(reply.json()["event_id"], began, count)

    async def _listen(self, event: str, began: float, count: Count) -> Any:
        placed = False
        url = f"/gradio_api/queue/data?session_hash={self._session}"
        async with self._http.stream("GET", url, headers=self._from) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") not in (None, event):
                    count.mixed += 1
                if not placed and message["msg"] in ("estimation", "process_starts"):
                    placed = True
                    count.places.append(time.perf_counter() - began)
                if message["msg"] == "process_completed":
                    count.answers.append(time.perf_counter() - began)
                    output = message["output"]
                    return output["data"][0] if message["success"] else str(output.get("error"))
        return None


def fingerprint(answer: Any) -> str:
    """All of an answer but the times it took."""
    kept = {k: v for k, v in answer.items() if k not in ("timings_ms", "tokens")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


async def phase(
    url: str,
    users: int,
    questions: Sequence[str],
    expected: dict[str, str],
    strangers: bool = False,
) -> Count:
    """Every question once, by so many users; what is not yet expected is learnt.

    Args:
        strangers: whether each question comes from somebody who was not here before.
    """
    count = Count()
    waiting = list(questions)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=SECONDS) as http:
        function = await function_of(http)

        async def user(number: int) -> None:
            client = Client(http, function, number)
            while waiting:
                question = waiting.pop()
                if strangers:
                    client.renew()
                try:
                    answer = await asyncio.wait_for(client.ask(question, count), SECONDS)
                except (httpx.HTTPError, TimeoutError) as error:
                    count.errors.append(repr(error))
                    answer = None
                if answer is None:
                    count.lost += 1
                elif isinstance(answer, str):
                    count.errors.append(answer)
                elif fingerprint(answer) != expected.setdefault(question, fingerprint(answer)):
                    count.mixed += 1

        began = time.perf_counter()
        await asyncio.gather(*(user(n) for n in range(users)))
        count.seconds = time.perf_counter() - began
    return count


async def function_of(http: httpx.AsyncClient) -> int:
    """The number by which the page calls the endpoint `ask`."""
    config = (await http.get("/config")).json()
    return next(int(f["id"]) for f in config["dependencies"] if f["api_name"] == "ask")


async def leavers(url: str, questions: Sequence[str]) -> float:
    """Clients that go as soon as they have asked; seconds until no answer is under way."""
    async with httpx.AsyncClient(base_url=url, timeout=SECONDS) as http:
        function = await function_of(http)
        for number, question in enumerate(questions):
            body = {"data": [question, []], "fn_index": function, "session_hash": f"gone{number}"}
            own = {"x-forwarded-for": f"10.2.0.{number + 1}"}
            await http.post("/gradio_api/queue/join", json=body, headers=own)
        began = time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            text = (await http.get("/metrics")).text
            if "medcards_answers_in_progress 0.0" in text:
                break
            await asyncio.sleep(0.1)
        return time.perf_counter() - began


async def farewell(server: Server, users: int, questions: Sequence[str]) -> dict[str, int]:
    """What clients get whose questions are under way when the server is told to stop."""
    ends = {"answered": 0, "told": 0, "refused": 0, "lost": 0}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        function = await function_of(http)

        async def user(number: int) -> None:
            count = Count()
            try:
                answer = await Client(http, function, number).ask(questions[number], count)
            except httpx.HTTPError:
                # Where the server has taken nothing on, the client knows it at once.
                ends["lost" if count.accepted else "refused"] += 1
            else:
                kind = "lost" if answer is None else "told"
                ends["answered" if isinstance(answer, dict) else kind] += 1

        asking = [asyncio.create_task(user(n)) for n in range(users)]
        await asyncio.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)
    return ends


def percentile(values: Sequence[float], share: float) -> float:
    """By the nearest rank; NaN of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, required=True, help="one a line")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--requests", type=int, default=2000, help="of each phase of many users")
    parser.add_argument("--distinct", type=int, default=400, help="questions; one user asks each")
    parser.add_argument(
        "--strangers", action="store_true", help="each question from a new session, as of visitors"
    )
    parser.add_argument("--url", help="a chat that runs already, on loopback")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    host = urllib.parse.urlsplit(arguments.url or "http://127.0.0.1").hostname
    if host not in ("127.0.0.1", "localhost", "::1"):
        parser.error(f"--url: expected a loopback address, got {host!r}")
    lines = arguments.questions.read_text(encoding="utf-8").splitlines()
    questions = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    random.seed(3)
    random.shuffle(questions)
    questions = questions[: arguments.distinct]
    with tempfile.TemporaryDirectory() as folder:
        server = None if arguments.url else Server(Path(folder), arguments.set)
        url = arguments.url or (server.url if server else "")
        return run(url, server, arguments.users, questions, arguments.requests, arguments.strangers)


def run(
    url: str,
    server: Server | None,
    users: Sequence[int],
    questions: list[str],
    requests: int,
    strangers: bool,
) -> int:
    """Warm up, then each phase; 1 where anything was lost, mixed up or a traceback."""
    expected: dict[str, str] = {}
    asyncio.run(phase(url, max(users), (questions * WARM_UP)[:WARM_UP], {}, strangers))
    memory = [server.resident] if server else []
    bad = 0
    print("users requests answers/s  p50 s  p95 s  p99 s  refused  place p99/max s  lost mixed MB")
    for number in users:
        asked = questions if number == 1 else (questions * requests)[:requests]
        shuffled = random.sample(asked, len(asked))
        count = asyncio.run(phase(url, number, shuffled, expected, strangers))
        if server:
            memory.append(server.resident)
        p50, p95, p99 = (percentile(count.answers, share) for share in (0.5, 0.95, 0.99))
        print(
            f"{number:5} {len(count.answers):8,} {len(count.answers) / count.seconds:9.1f}"
            f" {p50:6.2f} {p95:6.2f} {p99:6.2f} {count.refused:8,}"
            f" {percentile(count.places, 0.99):8.2f}/{max(count.places):.2f}"
            f" {count.lost:9} {count.mixed:5} {memory[-1] if memory else 0:.0f}",
            flush=True,
        )
        bad += count.lost + count.mixed + len(count.errors)
        for error in sorted(set(count.errors))[:5]:
            print(f"      {count.errors.count(error)} times: {error[:150]}")
    left = asyncio.run(leavers(url, questions[:20]))
    print(f"20 clients that left at once: nothing under way after {left:.1f} s")
    if server:
        growth = 100 * (memory[-1] / memory[0] - 1)
        print(
            f"memory after warm-up {memory[0]:.0f} MB, at the end {memory[-1]:.0f}: {growth:+.1f} %"
        )
        ends = asyncio.run(farewell(server, 20, questions))
        status = server.process.wait(timeout=60)
        print(f"stopped with 20 questions under way: {ends}, exit status {status}")
        print(f"tracebacks in the log: {server.tracebacks}")
        bad += ends["lost"] + server.tracebacks + (status != 0)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
