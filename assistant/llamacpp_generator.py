"""Generate with llama.cpp: a GGUF file, with an optional LoRA adapter as GGUF, on CPU cores."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import IO, Any
from weakref import finalize

from assistant.generator import GenerationError, GeneratorUnavailableError, Sampling
from assistant.gguf_tokenizer import GgufHeader, GgufTokenizer
from assistant.prompts import Prompt, fitting_ids, prompt_ids
from index.cards import make_card
from index.paths import REPOSITORY

logger = logging.getLogger(__name__)

CONTEXT = 2048  # tokens a slot holds, or the model's own limit where that is less
_BATCH = 256  # tokens of a prompt read in one go; smaller ones read more slowly
_START_SECONDS = 180
# How long OpenMP's threads wait awake for each other. By default they spin for a millisecond, which
# burns the cores that the awaited thread needs as soon as anything else runs: with ten busy
# processes beside it, 0.8 tokens/s; 13 with this.
_SPIN = "2000"
_SILENCE_SECONDS = 30  # the engine says something every second once it has taken a question
_TURN_SECONDS = 0.5  # between two signs of life of an answer that waits for its turn
# Prompt look-up (Saxena, 2023, https://github.com/apoorvumang/prompt-lookup-decoding): where the
# last tokens stand in the prompt already, what follows them there is tried in one step.
_LOOK_UP = (4, 6)  # tokens that must match, tokens that are tried


@dataclass(frozen=True)
class EngineOptions:
    """How the engine runs: answers at a time, threads, and whether it looks up in the prompt."""

    slots: int = 4
    threads: int = 0  # 0: as many as this process may use
    look_up: bool = True


@dataclass
class _Engine:
    """The engine's process while it lives."""

    process: subprocess.Popen[str]
    log: IO[bytes]
    address: str
    key: str
    tokenizer: GgufTokenizer | None
    context: int

    def alive(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last line that the engine wrote to stderr, for the message of an error."""
        if self.log.closed:
            return "it was closed"
        self.log.seek(0)
        lines = self.log.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:200] if lines else f"exit status {self.process.poll()}"


class LlamaCppGenerator:
    """A GGUF file served by llama.cpp in a process of its own, which is started again if it dies.

    Concurrent answers share the model, each in a slot of its own; more of them wait their turn.
    """

    grounded = False

    def __init__(
        self,
        model: Path,
        name: str,
        adapter: Path | None = None,
        options: EngineOptions = EngineOptions(),
    ) -> None:
        """Args:
        model: a GGUF file.
        adapter: a LoRA adapter as GGUF.
        """
        self._model = model
        self._name = name
        self._adapter = adapter
        self._options = options
        self._lock = Lock()
        self._turns = BoundedSemaphore(options.slots)
        self._engine: _Engine | None = None

    @property
    def name(self) -> str:
        """Model and engine."""
        return f"{self._name} (llama.cpp)"

    def load(self) -> None:
        """Start the engine if it does not run, and read the fixed part of the prompt.

        Raises:
            GeneratorUnavailableError: says what is missing or wrong, and what to do.
        """
        self._running()

    def close(self) -> None:
        """End the engine; the next question would start it again."""
        with self._lock:
            if self._engine is not None:
                _end(self._engine.process, self._engine.log)
                self._engine = None

    def ids(self, prompt: Prompt, room: int) -> list[int]:
        """Token ids of a prompt as the engine reads it, at most `room`."""
        engine = self._running()
        if engine.tokenizer is not None:
            return fitting_ids(engine.tokenizer, prompt, room)
        return fitting_ids(_EngineTokenizer(self._call), prompt, room)

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces; "" while it waits for its turn or the prompt is read."""
        # The engine has a queue too, but says nothing to those in it: a long wait looks like death.
        while not self._turns.acquire(timeout=_TURN_SECONDS):
            if stop.is_set():
                return
            yield ""
        try:
            engine = self._running()
            ids = self.ids(prompt, engine.context - sampling.max_new_tokens)
            pieces = self._complete(engine, request(ids, sampling), stop)
            yield from _from_first_word(pieces)
        finally:
            self._turns.release()

    def _running(self) -> _Engine:
        with self._lock:
            if self._engine is not None and not self._engine.alive():
                logger.warning(
                    "the engine ended (%s): starting it again", self._engine.last_words()
                )
                self._engine = None
            if self._engine is None:
                self._engine = self._start()
                Thread(target=self._warm, args=[self._engine], daemon=True).start()
            return self._engine

    def _start(self) -> _Engine:
        model = self._model
        logger.info("loading %s", self.name)
        header: Future[tuple[int, GgufTokenizer | None]] = Future()

        def read() -> None:
            try:
                found = GgufHeader(model)
                header.set_result((min(CONTEXT, found.context), found.tokenizer()))
            except BaseException as error:
                header.set_exception(error)

        # The file is checked while the engine's process starts.
        Thread(target=read, name="gguf-header", daemon=True).start()
        log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the engine
        process = subprocess.Popen(
            [sys.executable, "-m", "assistant.engine_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=REPOSITORY,
            env={"GOMP_SPINCOUNT": _SPIN, **os.environ},
        )
        finalize(self, _end, process, log)
        key = secrets.token_hex(16)
        try:
            context, tokenizer = header.result()
            address = self._told(process, model, context, key)
        except BaseException:
            engine = _Engine(process, log, "", key, None, 0)
            _end(process, None)
            reason = engine.last_words()
            log.close()
            if "ModuleNotFoundError" in reason:
                raise GeneratorUnavailableError(
                    f"llama.cpp needs xllamacpp ({reason}): pip install 'medcards[models]'"
                ) from None
            raise
        return _Engine(process, log, address, key, tokenizer, context)

    def _told(self, process: subprocess.Popen[str], model: Path, context: int, key: str) -> str:
        """Tell the engine what to load; returns its address once it has."""
        assert process.stdin is not None
        assert process.stdout is not None
        options = {
            "model": str(model.resolve()),
            "adapter": str(self._adapter.resolve()) if self._adapter else "",
            "slots": self._options.slots,
            "context": context,
            "threads": self._options.threads or cores(),
            "batch": _BATCH,
            "speculate": _LOOK_UP if self._options.look_up else None,
            "key": key,
        }
        answer: list[str] = []
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(options) + "\n")
            process.stdin.flush()
        reader = Thread(target=lambda: answer.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]  # asserted above
        reader.start()
        reader.join(_START_SECONDS)
        if not answer or not answer[0]:
            what = "too little memory, or a file that it does not know"
            if reader.is_alive():
                what = f"nothing came within {_START_SECONDS} s"
            raise GeneratorUnavailableError(
                f"llama.cpp cannot load {model.name!r} ({what}): free memory, choose a smaller "
                "MEDCARDS_QUANTIZATION, or export the file again"
            )
        return str(json.loads(answer[0])["address"])

    def _warm(self, engine: _Engine) -> None:
        """Have every slot read what all prompts begin with, so that no question waits for it."""
        if engine.tokenizer is None:
            return
        first, second = (
            prompt_ids(engine.tokenizer, Prompt("", [make_card(text, text)])) for text in "ab"
        )
        same = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
        body = {**request(first[:same], Sampling(1)), "stream": False}
        with contextlib.suppress(GenerationError):  # then the first question tells
            for slot in range(self._options.slots):
                self._call("/completion", {**body, "id_slot": slot}, engine)

    def _call(self, path: str, body: dict[str, Any], engine: _Engine | None = None) -> Any:
        engine = engine or self._running()
        with _failures(engine), self._http(engine) as client:
            response = client.post(path, json=body, headers=_headers(engine))
        if response.status_code != 200:
            raise GenerationError(f"the engine refused ({response.text[:200]})")
        return response.json()

    def _http(self, engine: _Engine) -> Any:
        import httpx

        return httpx.Client(
            base_url=engine.address,
            timeout=httpx.Timeout(_SILENCE_SECONDS, pool=None),
            trust_env=False,  # a proxy must not stand between the service and its own engine
        )

    def _complete(self, engine: _Engine, body: dict[str, Any], stop: Event) -> Iterator[str]:
        with (
            _failures(engine),
            self._http(engine) as client,
            client.stream("POST", "/completion", json=body, headers=_headers(engine)) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise GenerationError(f"the engine refused ({response.text[:200]})")
            done = False
            for line in response.iter_lines():
                if stop.is_set():
                    return  # the engine notices the closed connection and frees the slot
                said = _event(line)
                yield said.get("content", "")
                done = done or bool(said.get("stop"))
            if not done:
                raise GenerationError("the engine ended in the middle of the answer")


class _EngineTokenizer:
    """llama.cpp's own reading of a file's tokenizer, where the file holds no other."""

    bos_token_id = None  # the engine's template and tokenizer put it there
    _TOKENIZE: dict[str, Any] = {"add_special": True, "parse_special": True}  # noqa: RUF012

    def __init__(self, call: Callable[[str, dict[str, Any]], Any]) -> None:
        self._call = call

    def apply_chat_template(self, messages: Any, **_: Any) -> str:
        return str(self._call("/apply-template", {"messages": messages})["prompt"])

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        ids = self._call("/tokenize", {"content": text, **self._TOKENIZE})["tokens"]
        twice = len(ids) > 1 and ids[0] == ids[1]  # the template brings a BOS of its own
        return {"input_ids": ids[1:] if twice else ids}


def _from_first_word(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces without white space before the first word, which transformers does not write."""
    begun = False
    for piece in pieces:
        yield piece if begun else piece.lstrip()
        begun = begun or bool(piece.strip())


def request(ids: list[int], sampling: Sampling) -> dict[str, Any]:
    """What the engine is asked; draws as the transformers generator does."""
    return {
        "prompt": ids,
        "n_predict": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_k": 50 if sampling.temperature else 1,
        "top_p": 0.9,
        "samplers": ["temperature", "top_k", "top_p"] if sampling.temperature else ["top_k"],
        "seed": sampling.seed,
        "cache_prompt": True,
        "stream": True,
        "return_progress": True,
    }


def cores() -> int:
    """CPU cores that this process may use: those it is bound to, within its container's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(bound or 1, -(-int(quota) // int(period))))
    return bound or 1


def _headers(engine: _Engine) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.key}"}


def _event(line: str) -> dict[str, Any]:
    """A server-sent event; {} for a sign of life or an empty line."""
    kind, _, data = line.partition(": ")
    if kind == "error" or (kind == "data" and '"error"' in data[:12]):
        raise GenerationError(f"the engine failed ({data[:200]})")
    said: dict[str, Any] = json.loads(data) if kind == "data" and data != "[DONE]" else {}
    return said


@contextlib.contextmanager
def _failures(engine: _Engine) -> Iterator[None]:
    """A broken connection as an error of this answer, with the engine's end as its reason."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.process.wait(1)
        if engine.alive():
            reason = type(error).__name__
        else:
            reason = f"its process ended: {engine.last_words()}"
        raise GenerationError(f"the engine broke off ({reason})") from error


def _end(process: subprocess.Popen[str], log: IO[bytes] | None) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, log):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
