"""Speed and memory of the generators on TinyLlama's shape, each engine in a process of its own.

    python benchmarks/generation.py --work DIR [--engines llamacpp-q8_0 ...] [--report docs]

The weights (2.2 GB, and their GGUF files) are made in DIR and stay there until it is removed, so
that one engine after another can be measured; results are kept in DIR/results.json. Transformers
in fp32, as earlier systems deploy on a CPU, is what every ratio refers to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from assistant.generator import Generator, Sampling
from assistant.prompts import Message, Prompt
from index.cards import Flashcard, make_card

BASELINE = "transformers-fp32"
ENGINES = (BASELINE, "llamacpp-f16", "llamacpp-q8_0", "llamacpp-q4_0")
ANSWER_TOKENS = 120  # of a typical answer
SHARED_TOKENS = 24  # of each answer where several users share the machine
CONVERSATIONS = (
    ("What are the symptoms of asthma?", "How is it treated?"),
    ("What is gout?", "What causes it?"),
    ("What are the warning signs of a stroke?", "Can it be prevented?"),
    ("What is iron deficiency anaemia?", "What are its symptoms?"),
    ("How is type 2 diabetes treated?", "What are its complications?"),
)


@dataclass(frozen=True)
class StockPrompt(Prompt):
    """What earlier systems send: LlamaIndex's stock question-answering prompt, whole cards."""

    def messages(self) -> list[Message]:
        from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT

        context = "\n\n".join(card.text for card in self.cards)
        text = DEFAULT_TEXT_QA_PROMPT.format(context_str=context, query_str=self.question)
        return [
            {"role": "system", "content": "You are a helpful medical assistant."},
            {"role": "user", "content": text},
        ]


def main() -> int:
    """Make what is missing, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--users", nargs="*", type=int, default=[1, 4, 16])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--report", type=Path, help="a folder for the table and the plot")
    parser.add_argument("--measure", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        found = measure(arguments.measure, arguments.work, arguments.users, arguments.repeat)
        print(json.dumps(found))
        return 0
    arguments.work.mkdir(parents=True, exist_ok=True)
    prepare(arguments.work, arguments.engines)
    for engine in arguments.engines:
        row = in_own_process(engine, arguments)
        keep(arguments.work / "results.json", engine, row)
        print(json.dumps({engine: row}), flush=True)
    if arguments.report:
        from benchmarks.generation_report import write

        write(json.loads((arguments.work / "results.json").read_text()), arguments.report)
    return 0


def prepare(work: Path, engines: Sequence[str]) -> None:
    """The weights, their GGUF files, and the prompts of the conversations."""
    from assistant.conversion import convert
    from benchmarks.shaped import make

    base = work / "tinyllama-shaped"
    if not (base / "tokenizer_config.json").exists():
        make(base)
    for engine in engines:
        kind = engine.partition("-")[2]
        file = work / f"{kind}.gguf"
        if engine != BASELINE and not file.exists():
            convert(base, kind, file)
    if not (work / "prompts.json").exists():
        (work / "prompts.json").write_text(json.dumps(conversation_prompts()))


def conversation_prompts() -> list[list[dict[str, Any]]]:
    """For each turn of each conversation the question, its three cards whole, and its prompt."""
    from assistant.build import build_assistant
    from assistant.prompts import grounded
    from assistant.settings import Settings

    helper = build_assistant(Settings(profile="embedded"))
    conversations = []
    for questions in CONVERSATIONS:
        turns: list[dict[str, Any]] = []
        earlier: Sequence[Flashcard] = ()
        for number, question in enumerate(questions):
            reading, hits, _ = helper._retrieve(question, questions[:number])
            cards = [hit.card for hit in hits]
            prompt = grounded(reading, cards, 3, earlier)
            earlier = prompt.cards
            turns.append(
                {
                    "question": reading,
                    "whole": [[card.question, card.answer] for card in cards[:3]],
                    "cards": [[card.question, card.answer] for card in prompt.cards],
                }
            )
        conversations.append(turns)
    return conversations


def in_own_process(engine: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure an engine in a process of its own, with the peak memory of it and its children."""
    command = [sys.executable, __file__, "--work", str(arguments.work), "--measure", engine]
    command += ["--repeat", str(arguments.repeat), "--users", *map(str, arguments.users)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=watch, args=[process.pid, peak], daemon=True)
    watcher.start()
    out, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{engine} failed")
    return {**json.loads(out.splitlines()[-1]), "peak_gb": round(peak[0] / 1e9, 2)}


def watch(pid: int, peak: list[int]) -> None:
    """The largest resident memory of a process with its children, in bytes."""
    import psutil

    while True:
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(one.memory_info().rss for one in family))
        except psutil.Error:
            return
        time.sleep(0.02)


def open_generator(engine: str, work: Path) -> Generator:
    """The generator as the service makes it. Look-up is off: random words quote nothing."""
    if engine == BASELINE:
        from assistant.transformers_generator import TransformersGenerator

        return TransformersGenerator(str(work / "tinyllama-shaped"), device="cpu")
    from assistant.llamacpp_generator import EngineOptions, LlamaCppGenerator

    kind = engine.partition("-")[2]
    return LlamaCppGenerator(
        work / f"{kind}.gguf", "tinyllama-shaped", options=EngineOptions(look_up=False)
    )


def measure(engine: str, work: Path, users: Sequence[int], repeat: int) -> dict[str, Any]:
    """All figures of an engine but its memory; times in seconds."""
    began = time.perf_counter()
    generator = open_generator(engine, work)
    generator.load()  # type: ignore[attr-defined]  # both have it
    found: dict[str, Any] = {"load_s": round(time.perf_counter() - began, 2)}
    time.sleep(4)  # the engine reads the fixed part of the prompt meanwhile
    conversations = json.loads((work / "prompts.json").read_text())[:repeat]
    stock = engine == BASELINE
    first, second, decode, total = [], [], [], []
    for turns in conversations:
        timed = ask(generator, made(turns[0], stock), ANSWER_TOKENS)
        first.append(timed[0])
        decode.append((ANSWER_TOKENS - 1) / (timed[1] - timed[0]))
        total.append(timed[1])
        second.append(ask(generator, made(turns[1], stock), 2)[0])
    found |= {
        "first_token_s": middle(first),
        "decode_tokens_per_s": middle(decode),
        "answer_s": middle(total),
        "second_turn_s": middle(second),
        "second_to_first": middle([b / a for a, b in zip(first, second, strict=True)]),
    }
    if stock:  # the same engine with the project's own prompt
        found["first_token_own_prompt_s"] = middle(
            [ask(generator, made(turns[0], False), 2)[0] for turns in conversations]
        )
    found["users"] = {n: crowd(generator, conversations, n, stock) for n in users if n > 1}
    close = getattr(generator, "close", lambda: None)
    close()
    return found


def made(turn: dict[str, Any], stock: bool) -> Prompt:
    """A prompt from the file of prompts."""
    cards = [make_card(*card) for card in turn["whole" if stock else "cards"]]
    return (StockPrompt if stock else Prompt)(turn["question"], cards)


def ask(generator: Generator, prompt: Prompt, tokens: int) -> tuple[float, float]:
    """Seconds to the first piece of text and to the last."""
    began = time.perf_counter()
    first = 0.0
    for piece in generator.stream(prompt, Sampling(tokens), Event()):
        if piece and not first:
            first = time.perf_counter() - began
    return first, time.perf_counter() - began


def crowd(
    generator: Generator, conversations: Sequence[Any], users: int, stock: bool
) -> dict[str, float]:
    """Users who ask at the same moment, each something else."""
    prompts = [
        Prompt(f"{prompt.question} I am user {n}.", prompt.cards)
        if not stock
        else StockPrompt(f"{prompt.question} I am user {n}.", prompt.cards)
        for n in range(users)
        for prompt in [made(conversations[n % len(conversations)][n % 2], stock)]
    ]
    began = time.perf_counter()
    with ThreadPoolExecutor(users) as pool:
        timed = list(pool.map(lambda prompt: ask(generator, prompt, SHARED_TOKENS), prompts))
    return {
        "tokens_per_s": round(users * SHARED_TOKENS / (time.perf_counter() - began), 2),
        "first_token_s": middle([first for first, _ in timed]),
        "slowest_answer_s": round(max(last for _, last in timed), 2),
    }


def middle(values: Sequence[float]) -> float:
    """The median, to three digits after the point."""
    return round(statistics.median(values), 3)


def keep(file: Path, engine: str, row: dict[str, Any]) -> None:
    """Add a row to the results."""
    rows = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**rows, engine: row}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
