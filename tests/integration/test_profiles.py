"""The way up to the full profile, against a hub on loopback that serves, breaks off, lies and dies.

It serves small weights under TinyLlama's name and a few cards under medalpaca's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytestmark = pytest.mark.integration

MODEL = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
CARDS = "medalpaca/medical_meadow_medical_flashcards"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROOT = Path(__file__).resolve().parents[2]
# Says what is in service at once, then waits for the way up to end, well or badly.
WATCH = """
import json, logging, sys, time
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
from assistant.build import build_assistant
from assistant.settings import load_settings
began = time.monotonic()
assistant = build_assistant(load_settings(), background=True)
def told():
    answer = assistant.answer("What is asthma?")
    return {**assistant.status(), "answer": answer.text, "by": answer.generator,
            "from": answer.index, "seconds": time.monotonic() - began}
stages = []
print(json.dumps(told()), flush=True)
while time.monotonic() < began + 240:
    state = assistant.progress.state
    if not stages or stages[-1] != state.stage:
        stages.append(state.stage)
    if state.stage == "ready" or (state.stage == "waiting" and state.reason):
        break
    time.sleep(0.01)
print(json.dumps({**told(), "stages": stages}), flush=True)
"""


class Files(BaseHTTPRequestHandler):
    """The part of the hub's protocol that its client uses."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.close_connection = True
        if self.server.dead:
            self.connection.close()
            return
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts == [""]:
            self._send(200, b"", {}, body)
        elif parts[0] == "api":
            self._listing("/".join(parts[2:4]), "tree" in parts, body)
        else:
            self._file("/".join(parts[parts[0] == "datasets" :]), body)

    def _listing(self, repository: str, tree: bool, body: bool) -> None:
        folder = self.server.repositories.get(repository)
        if folder is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
            return
        files = sorted(folder.iterdir())
        told: Any = {"id": repository, "sha": COMMIT, "private": False, "tags": []}
        told["siblings"] = [{"rfilename": file.name} for file in files]
        if tree:
            told = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": COMMIT}
                for file in files
            ]
        self._send(200, json.dumps(told).encode(), {}, body)

    def _file(self, path: str, body: bool) -> None:
        owner, name, _, _, file = path.split("/", 4)
        source = self.server.repositories[f"{owner}/{name}"] / file
        if not source.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        data = source.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        if file in self.server.lies:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = 0
        if "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        headers = {
            "ETag": f'"{etag}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206 if start else 200, data[start:], headers, body, file)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], body: bool, file: str = ""
    ) -> None:
        self.send_response(status)
        always = {"Content-Length": str(len(data)), "Connection": "close"}
        for key, value in {**headers, **always}.items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        cut = self.server.cut.pop(file, None)
        sent = data[:cut]
        self.server.sent[file] += len(sent)
        self.wfile.write(sent)
        if cut is not None:
            self.server.dead = True
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        pass


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repositories: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Files)
        self.repositories = repositories
        self.sent: Counter[str] = Counter()  # bytes by file
        self.cut: dict[str, int] = {}  # after so many bytes of a file the hub dies
        self.lies: set[str] = set()  # files whose bytes are not what their checksum says
        self.dead = False

    def handle_error(self, *_: Any) -> None:
        pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="module")
def repositories(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of 25 MB, as the hub's client keeps a cut file in pieces of 10 MB, and 30 cards."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    model, cards = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("cards")
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=8,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
        )
    ).save_pretrained(model)
    tokenizer.save_pretrained(model)
    (model / "pytorch_model.bin").write_bytes(b"never wanted")
    rows = [
        {
            "instruction": "Answer this question truthfully",
            "input": f"What is {name}?",
            "output": f"{name.capitalize()} is a disease that {what}.",
        }
        for name in ("asthma", "gout", "croup", "measles", "scurvy", "tetanus")
        for what in ("children get", "adults get", "hurts at night", "passes soon", "comes again")
    ]
    (cards / "cards.json").write_text(json.dumps(rows))
    (cards / "README.md").write_text("# Cards")
    return {MODEL: model, CARDS: cards}


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the starter deck is indexed: a copy of the checkout's own."""
    from assistant.build import build_assistant
    from assistant.settings import Settings
    from index.paths import home

    build_assistant(Settings(profile="embedded"))
    copy = tmp_path_factory.mktemp("starter")
    shutil.copytree(home() / "index" / "starter", copy / "index" / "starter")
    return copy


@pytest.fixture
def hub(repositories: dict[str, Path]) -> Iterator[Hub]:
    server = Hub(repositories)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Machine:
    """A machine on which medcards is started, once or again."""

    def __init__(self, folder: Path, starter: Path) -> None:
        self._folder = folder
        shutil.copytree(starter, folder / "home")

    def environment(self, hub: Hub) -> dict[str, str]:
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MEDCARDS_", "HF_"))},
            "MEDCARDS_HOME": str(self._folder / "home"),
            "HF_HOME": str(self._folder / "hf"),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, hub: Hub) -> tuple[dict[str, Any], dict[str, Any], str]:
        """What is in service at first and in the end, and the log."""
        done = subprocess.run(
            [sys.executable, "-c", WATCH],
            cwd=ROOT,
            env=self.environment(hub),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        first, last = (json.loads(line) for line in done.stdout.splitlines())
        return first, last, done.stderr


@pytest.fixture
def machine(tmp_path: Path, starter: Path) -> Machine:
    return Machine(tmp_path, starter)


def test_the_first_start_moves_up_and_the_second_needs_no_network(
    hub: Hub, machine: Machine
) -> None:
    first, last, log = machine.start(hub)
    assert first["by"].startswith("extractive")
    assert "starter" in first["from"]
    assert first["answer"]
    assert {"downloading", "converting", "indexing", "ready"} <= set(last["stages"])
    assert last["generator"] == last["by"] == "TinyLlama-1.1B-Chat-v1.0 q8_0 (llama.cpp)"
    assert "(30 cards" in last["from"]
    assert "starter" not in last["from"]
    assert "now in service: TinyLlama" in log
    assert "pytorch_model.bin" not in hub.sent
    hub.dead = True
    hub.sent.clear()
    first, last, _ = machine.start(hub)
    assert first["by"] == "TinyLlama-1.1B-Chat-v1.0 q8_0 (llama.cpp)"
    assert first["from"] == last["from"]
    assert not hub.sent


def test_a_cut_download_leaves_the_embedded_profile_and_goes_on_later(
    hub: Hub, machine: Machine
) -> None:
    size = (hub.repositories[MODEL] / "model.safetensors").stat().st_size
    hub.cut["model.safetensors"] = size * 3 // 5
    first, last, log = machine.start(hub)
    assert first["by"].startswith("extractive")
    assert last["by"].startswith("extractive")
    assert "cannot fetch" in last["reason"]
    assert last["answer"]
    assert "still in service: extractive" in log
    hub.dead = False
    hub.sent.clear()
    _, last, _ = machine.start(hub)
    assert last["by"].startswith("TinyLlama")
    assert hub.sent["model.safetensors"] < size


def test_a_wrong_checksum_leaves_the_embedded_profile(hub: Hub, machine: Machine) -> None:
    hub.lies.add("model.safetensors")
    _, last, _ = machine.start(hub)
    assert last["by"].startswith("extractive")
    assert "checksum" in last["reason"]
    assert "model.safetensors" in last["reason"]
    hub.lies.clear()
    _, last, _ = machine.start(hub)
    assert last["by"].startswith("TinyLlama")


def test_a_hub_that_is_not_there_leaves_the_embedded_profile(hub: Hub, machine: Machine) -> None:
    hub.dead = True
    first, last, _ = machine.start(hub)
    assert first["by"].startswith("extractive")
    assert "cannot fetch" in last["reason"]


def test_the_page_serves_meanwhile_and_shows_what_is_in_service(
    hub: Hub, machine: Machine, unused_port: int
) -> None:
    import httpx

    environment = {**machine.environment(hub), "PORT": str(unused_port)}
    process = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    seen: list[str] = []
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not (seen and seen[-1].startswith("TinyLlama")):
            time.sleep(0.05)
            try:
                health = httpx.get(f"http://127.0.0.1:{unused_port}/healthz").json()
            except httpx.HTTPError:
                continue
            if not seen or seen[-1] != health["generator"]:
                seen.append(health["generator"])
        assert len(seen) == 2
        assert seen[0].startswith("extractive")
        assert seen[1].startswith("TinyLlama")
        assert health["stage"] == "ready"
        assert health["profile"] == "auto"
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
