"""llama.cpp for real, in its own process: words, stops, secrets, and everything that breaks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from assistant import conversion, llamacpp_generator
from assistant.generator import GenerationError, GeneratorUnavailableError, Sampling
from assistant.gguf_tokenizer import GgufHeader
from assistant.llamacpp_generator import EngineOptions, LlamaCppGenerator, request
from assistant.pipeline import CUT_OFF, FAILED, Assistant
from assistant.prompts import Prompt, answer_ids, prompt_ids
from assistant.settings import Settings
from assistant.transformers_generator import TransformersGenerator
from index.cards import make_card
from index.relevance import Judgement
from index.search import Hit

pytestmark = pytest.mark.integration

CARDS = [
    make_card("What is asthma?", "Asthma is a disease of the airways. It causes wheezing."),
    make_card("What is gout?", "Gout is a kind of arthritis caused by uric acid crystals."),
]
PROMPT = Prompt("What is asthma?", CARDS)
NAMES = ("Zebulon", "Quirina", "Thessaly", "Ozymandias", "Petronel")
QUESTIONS = [f"What is {name}?" for name in ("asthma", "gout", "croup", "scurvy", "measles")]


def secret(name: str) -> Prompt:
    return Prompt(f"My name is {name}. What is gout?", CARDS)


def told(name: str) -> str:
    return f"{name}, gout is a kind of arthritis, {name}."


@pytest.fixture(scope="module")
def taught(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama after it has learned who says what: it answers each of NAMES by name.

    What a random model writes hangs on the last digit of its logits, which differ from engine to
    engine and with the company in a batch; what this one writes hangs on the prompt.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "taught"
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    torch.manual_seed(0)
    config = AutoModelForCausalLM.from_pretrained(tiny_llama).config
    config.initializer_range = 0.05
    model = AutoModelForCausalLM.from_config(config)
    rows = []
    for name in NAMES:
        prompt, answer = prompt_ids(tokenizer, secret(name)), answer_ids(tokenizer, told(name))
        rows.append((prompt + answer, [-100] * len(prompt) + answer))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [2] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for _, row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on matrices as small as these a second one only waits
    for _ in range(400):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    torch.set_num_threads(threads)
    assert loss.item() < 0.05
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(taught: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    conversion.convert(taught, "f16", folder / "tiny.gguf")
    conversion.convert(taught, "f16", folder / "tuned.gguf", tiny_adapter)
    return folder


@pytest.fixture(scope="module")
def engine(files: Path) -> Iterator[LlamaCppGenerator]:
    generator = LlamaCppGenerator(files / "tiny.gguf", "tiny", options=EngineOptions(slots=2))
    yield generator
    generator.close()


def said(generator: Any, prompt: Prompt, sampling: Sampling = Sampling(40)) -> str:  # noqa: B008
    return "".join(generator.stream(prompt, sampling, Event()))


def test_greedy_text_is_that_of_transformers(
    files: Path, engine: LlamaCppGenerator, taught: Path, tiny_adapter: Path
) -> None:
    prompts = [secret(name) for name in NAMES]
    base = TransformersGenerator(str(taught), device="cpu")
    plain = [said(engine, prompt) for prompt in prompts]
    assert plain == [told(name) for name in NAMES]
    assert plain == [said(base, prompt) for prompt in prompts]
    merged = LlamaCppGenerator(files / "tuned.gguf", "tuned")
    tuned = TransformersGenerator(str(taught), str(tiny_adapter), device="cpu")
    try:
        with_adapter = [said(merged, prompt, Sampling(2)) for prompt in prompts]
        theirs = [said(tuned, prompt, Sampling(2)) for prompt in prompts]
        # With AMX the two engines choose "ul" with and without a space before, elsewhere the same.
        assert [t.lstrip() for t in with_adapter] == [t.lstrip() for t in theirs]
    finally:
        merged.close()
    assert not all(text.startswith(own) for text, own in zip(plain, with_adapter, strict=True))


def test_the_file_gives_the_ids_that_were_trained_on(files: Path, taught: Path) -> None:
    from transformers import AutoTokenizer

    own = GgufHeader(files / "tiny.gguf").tokenizer()
    theirs = AutoTokenizer.from_pretrained(taught)
    for question in (*QUESTIONS, "5 µg of naïve? <|user|> </s> \U0001f600"):
        assert prompt_ids(own, Prompt(question, CARDS)) == prompt_ids(
            theirs, Prompt(question, CARDS)
        )


def test_a_file_without_its_tokenizer_is_read_by_the_engines_own(
    engine: LlamaCppGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engine.ids(PROMPT, 1000)
    monkeypatch.setattr(engine._running(), "tokenizer", None)
    assert engine.ids(PROMPT, 1000) == expected


def test_draws_are_repeatable_by_seed(engine: LlamaCppGenerator) -> None:
    draws = [said(engine, PROMPT, Sampling(24, 1.0, seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
    for seed in (1, 7):
        assert said(engine, secret(NAMES[0]), Sampling(40, 0.0, seed)) == told(NAMES[0])


def test_look_up_in_the_prompt_changes_no_word(files: Path, engine: LlamaCppGenerator) -> None:
    plain = LlamaCppGenerator(
        files / "tiny.gguf", "plain", options=EngineOptions(slots=1, look_up=False)
    )
    try:
        for question in QUESTIONS:
            prompt = Prompt(question, CARDS)
            assert said(engine, prompt, Sampling(100)) == said(plain, prompt, Sampling(100))
    finally:
        plain.close()


def test_stop_ends_it_and_frees_the_engine(engine: LlamaCppGenerator) -> None:
    stop = Event()
    pieces = engine.stream(PROMPT, Sampling(1500), stop)
    texts = [next(p for p in pieces if p)]
    stop.set()
    texts += list(pieces)
    assert len("".join(texts)) < len(said(engine, PROMPT, Sampling(400)))
    left = engine.stream(PROMPT, Sampling(1500), Event())
    next(left)
    left.close()  # a reader that leaves
    assert said(engine, PROMPT, Sampling(4))


def test_who_waits_for_a_turn_is_told_so_and_may_leave(files: Path) -> None:
    one = LlamaCppGenerator(files / "tiny.gguf", "one", options=EngineOptions(slots=1))
    try:
        first = one.stream(PROMPT, Sampling(1500), Event())
        next(piece for piece in first if piece)
        stop = Event()
        second = one.stream(secret(NAMES[0]), Sampling(40), stop)
        third = one.stream(secret(NAMES[1]), Sampling(40), Event())
        assert next(second) == next(third) == ""  # a sign of life, though the engine is taken
        stop.set()
        assert list(second) == []
        first.close()
        assert "".join(third) == told(NAMES[1])
    finally:
        one.close()


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("\U0001f600" * 20_000, CARDS),
        Prompt("word " * 4_000, CARDS),
        Prompt("What?", [make_card("q" * 20_000, "a" * 50_000)] * 5),
        Prompt("What?", [make_card("What?", "\u6f22" * 9_000)] * 3),
    ],
)
def test_no_prompt_overflows_the_context(engine: LlamaCppGenerator, prompt: Prompt) -> None:
    assert len(engine.ids(prompt, 2048 - 512)) <= 2048 - 512
    assert said(engine, prompt, Sampling(512))


def test_conversations_with_secrets_stay_apart(files: Path) -> None:
    """Interleaved on few slots with cached prefixes, each gets its own answer and nobody else's."""
    shared = LlamaCppGenerator(files / "tiny.gguf", "shared", options=EngineOptions(slots=2))
    names = [name for _ in range(6) for name in NAMES]
    try:
        with ThreadPoolExecutor(5) as pool:
            texts = list(pool.map(lambda name: said(shared, secret(name)), names))
    finally:
        shared.close()
    assert texts == [told(name) for name in names]


def test_only_equal_prefixes_are_reused(engine: LlamaCppGenerator) -> None:
    ids = engine.ids(PROMPT, 1000)
    other = [*ids[:20], *reversed(ids[20:])]

    def reused(prompt: list[int]) -> int:
        body = {**llamacpp_generator.request(prompt, Sampling(2)), "stream": False}
        count: int = engine._call("/completion", {**body, "id_slot": 0})["timings"]["cache_n"]
        return count

    reused(ids)
    assert reused(other) == 20
    assert reused(other) >= len(other) - 8


def test_nobody_else_can_ask_the_engine_or_see_its_slots(engine: LlamaCppGenerator) -> None:
    running = engine._running()
    for path in ("/slots", "/props", "/metrics"):
        assert httpx.get(running.address + path).status_code == 401
    body = {"prompt": [1, 2, 3], "n_predict": 1}
    assert httpx.post(running.address + "/completion", json=body).status_code == 401
    mine = {"Authorization": f"Bearer {running.key}"}
    assert httpx.get(running.address + "/slots", headers=mine).status_code == 501


def test_a_killed_engine_costs_one_answer(
    engine: LlamaCppGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny model may end its answer after a few words: this one is long.
    monkeypatch.setattr(
        llamacpp_generator, "request", lambda *of: {**request(*of), "ignore_eos": True}
    )
    pieces = engine.stream(PROMPT, Sampling(1500), Event())
    next(p for p in pieces if p)
    os.kill(engine._running().process.pid, signal.SIGKILL)
    with pytest.raises(GenerationError, match=r"broke off|middle"):
        list(pieces)
    assert said(engine, PROMPT)


def test_a_full_memory_costs_one_start(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def small(command: list[str], **options: Any) -> Any:
        return real(["prlimit", "--as=400000000", *command], **options)

    generator = LlamaCppGenerator(
        files / "tiny.gguf", "tiny", options=EngineOptions(slots=64, threads=1)
    )
    monkeypatch.setattr(llamacpp_generator.subprocess, "Popen", small)
    with pytest.raises(GeneratorUnavailableError, match="memory"):
        generator.load()
    monkeypatch.undo()
    assert said(generator, PROMPT)
    generator.close()


def test_the_engine_ends_with_its_owner(files: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path\n"
        "from assistant.llamacpp_generator import LlamaCppGenerator\n"
        f"g = LlamaCppGenerator(Path({str(files / 'tiny.gguf')!r}), 'tiny'); g.load()\n"
        "print(g._engine.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    engine_pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{engine_pid}/cmdline").exists() and time.monotonic() < deadline:
        if not Path(f"/proc/{engine_pid}/cmdline").read_bytes():  # a zombie nobody waits for
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{engine_pid}").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[: len(data) // 2], "not a whole GGUF file"),
        (lambda data: data[:40], "not a whole GGUF file"),
        (lambda data: b"", "no GGUF file"),
        (lambda data: b"PK\x03\x04" + data[4:], "no GGUF file"),
        (
            lambda data: data.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gemma", 1),
            "gemma",
        ),
    ],
)
def test_a_file_that_cannot_be_served_is_said(
    files: Path, tmp_path: Path, change: Any, says: str
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(change((files / "tiny.gguf").read_bytes()))
    generator = LlamaCppGenerator(bad, "bad")
    with pytest.raises(GeneratorUnavailableError, match=says):
        generator.load()


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(GeneratorUnavailableError, match="cannot read"):
        LlamaCppGenerator(tmp_path / "none.gguf", "none").load()


class Retriever(SimpleNamespace):
    """A double that weak references can point to."""

    @property
    def shared(self) -> Retriever:
        return self


def assistant(generator: Any) -> Assistant:
    hits = [Hit(card, 0.9, 0.9, 1, None) for card in CARDS]
    retriever = Retriever(
        cards=[],
        manifest=SimpleNamespace(decks={"test": 2}, cards=2, generation="abc"),
        judged=lambda query: (hits, Judgement(0.8, in_scope=True, covered=True)),
        embed_model=SimpleNamespace(
            get_text_embedding_batch=lambda texts: [[1.0, 0.0] for _ in texts]
        ),
    )
    return Assistant(retriever, generator, Settings(profile="embedded"))  # type: ignore[arg-type]


def test_a_broken_engine_leaves_the_cards_and_a_notice(files: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes((files / "tiny.gguf").read_bytes()[:2000])
    helper = assistant(LlamaCppGenerator(bad, "bad"))
    answer = helper.answer("What is asthma?")
    assert answer.notice in (FAILED, CUT_OFF)
    assert answer.status == "answered"
    assert answer.sources[0].card_id == CARDS[0].id
    assert "not a whole GGUF file" in str(helper.status()["last_failure"])


def test_an_engine_killed_in_an_answer_leaves_the_cards_and_serves_on(files: Path) -> None:
    generator = LlamaCppGenerator(files / "tiny.gguf", "tiny")

    class Killed:
        """Loses its engine after the first piece of the first answer."""

        name, grounded, killed = "tiny", False, False

        def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
            pieces = generator.stream(prompt, sampling, stop)
            yield next(pieces)
            if not self.killed:
                self.killed = True
                os.kill(generator._running().process.pid, signal.SIGKILL)
            yield from pieces

    helper = assistant(Killed())
    *_, answer = helper.stream("What is asthma?", sampling=Sampling(1500))
    assert answer.notice in (FAILED, CUT_OFF)
    assert answer.sources
    after = helper.answer("What is asthma?")
    assert after.notice == ""
    generator.close()
