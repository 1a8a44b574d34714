"""An OpenAI-compatible endpoint, played by a server on loopback: well, badly and not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from assistant import openai_generator
from assistant.generator import GenerationError, GeneratorUnavailableError, Sampling
from assistant.openai_generator import OpenAIGenerator
from assistant.prompts import SYSTEM, Prompt
from assistant.relay import relayed
from index.cards import make_card

CARDS = [make_card("What is gout?", "Gout is a kind of arthritis. " * 40)]
WORDS = ["Gout ", "is ", "arthritis."]


class Endpoint(BaseHTTPRequestHandler):
    """Behaves as its server is told to, and notes what it is asked."""

    server: Stand

    def do_GET(self) -> None:
        if self.server.mode == "not-an-endpoint":
            self._send(200, b"<html>hello</html>", "text/html")
            return
        self._send(200, json.dumps({"object": "list", "data": [{"id": "tiny", "object": "model"}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        mode, count = self.server.mode, len(self.server.asked)
        if mode == "busy-once" and count == 1:
            self._send(503, "{}")
        elif mode == "down":
            self._send(500, "{}")
        elif mode == "short" and len(json.dumps(body)) > 2500:
            self._send(400, '{"error": {"message": "context length exceeded"}}')
        elif mode == "rubbish":
            self._send(200, b'data: {"choices": 7}\n\ndata: ]]]\n\n', "text/event-stream")
        elif mode == "html":
            self._send(200, b"<html>hello</html>", "text/html")
        else:
            self._stream(mode)

    def _stream(self, mode: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, word in enumerate(WORDS):
            if mode == "dies" and number == 1:
                self.connection.close()
                return
            if mode == "slow":
                self.server.over.wait(5)
            delta = {"role": "assistant", "content": word}
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "tiny",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            }
            self._chunk(f"data: {json.dumps(chunk)}\n\n")
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _send(self, status: int, body: str | bytes, kind: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Stand(ThreadingHTTPServer):
    daemon_threads = True
    mode = "well"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.asked: list[dict[str, Any]] = []
        self.over = Event()

    def handle_error(self, *_: Any) -> None:
        pass  # a reader that leaves is part of the tests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@pytest.fixture
def endpoint() -> Iterator[Stand]:
    server = Stand()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def said(generator: OpenAIGenerator, question: str = "What is gout?") -> str:
    return "".join(generator.stream(Prompt(question, CARDS), Sampling(50, 0.5, 3), Event()))


def test_the_prompt_goes_there_and_the_text_comes_back(endpoint: Stand) -> None:
    generator = OpenAIGenerator(endpoint.url, "my-lora", "secret")
    assert said(generator) == "Gout is arthritis."
    (body,) = endpoint.asked
    assert body["model"] == "my-lora"
    assert body["messages"][0] == {"role": "system", "content": SYSTEM}
    assert body["messages"][1]["content"].endswith("Question: What is gout?")
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (50, 0.5, 3)
    assert "secret" not in generator.name


def test_without_a_name_the_first_model_is_taken(endpoint: Stand) -> None:
    generator = OpenAIGenerator(endpoint.url)
    said(generator)
    assert endpoint.asked[0]["model"] == "tiny"
    assert generator.name.startswith("tiny at 127.0.0.1")


def test_a_busy_endpoint_is_asked_again(endpoint: Stand) -> None:
    endpoint.mode = "busy-once"
    assert said(OpenAIGenerator(endpoint.url, "m")) == "Gout is arthritis."
    assert len(endpoint.asked) == 2


def test_a_prompt_too_long_for_the_model_is_shortened(endpoint: Stand) -> None:
    endpoint.mode = "short"
    assert said(OpenAIGenerator(endpoint.url, "m"), "Why? " * 400) == "Gout is arthritis."
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("down", "does not answer"),
        ("rubbish", "no answer|does not answer"),
        ("html", "no answer|does not answer|empty"),
        ("dies", "no answer|does not answer"),
    ],
)
def test_what_goes_wrong_is_one_line(endpoint: Stand, mode: str, says: str) -> None:
    endpoint.mode = mode
    with pytest.raises(GenerationError, match=says) as caught:
        said(OpenAIGenerator(endpoint.url, "m"))
    assert "\n" not in str(caught.value)
    endpoint.mode = "well"
    assert said(OpenAIGenerator(endpoint.url, "m")) == "Gout is arthritis."


def test_a_slow_endpoint_is_given_up(endpoint: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_generator, "_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(openai_generator, "_RETRIES", 0)
    endpoint.mode = "slow"
    began = time.monotonic()
    with pytest.raises(GenerationError):
        said(OpenAIGenerator(endpoint.url, "m"))
    assert time.monotonic() - began < 4


def test_a_stop_does_not_wait_for_a_slow_endpoint(endpoint: Stand) -> None:
    endpoint.mode = "slow"
    stop = Event()
    generator = OpenAIGenerator(endpoint.url, "m")
    pieces = relayed(
        lambda gone: generator.stream(Prompt("What?", CARDS), Sampling(), gone), stop, 60
    )
    stop.set()
    began = time.monotonic()
    assert list(pieces) == []
    assert time.monotonic() - began < 1


def test_an_endpoint_that_is_not_there_is_one_line() -> None:
    server = Stand()
    url = server.url
    server.server_close()
    with pytest.raises(GeneratorUnavailableError, match="MEDCARDS_GENERATOR") as caught:
        OpenAIGenerator(url).load()
    assert "\n" not in str(caught.value)


def test_something_else_at_the_url_is_said(endpoint: Stand) -> None:
    endpoint.mode = "not-an-endpoint"
    with pytest.raises(GeneratorUnavailableError, match="/v1"):
        OpenAIGenerator(endpoint.url).load()
