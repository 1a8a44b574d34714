"""Answers of the same moment share steps, and each is what it would be alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from assistant.generator import GenerationError, Sampling
from assistant.prompts import Prompt
from assistant.transformers_generator import TransformersGenerator

pytestmark = pytest.mark.integration

PROMPTS = [Prompt("word " * n + "What is gout?") for n in (0, 3, 9, 27)]


def said(generator: TransformersGenerator, prompt: Prompt, sampling: Sampling) -> str:
    return "".join(generator.stream(prompt, sampling, Event()))


@pytest.fixture(scope="module")
def generator(tiny_llama: Path) -> TransformersGenerator:
    made = TransformersGenerator(str(tiny_llama), device="cpu", max_batch=4)
    made.load()
    return made


@pytest.fixture
def sizes(generator: TransformersGenerator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batches that the model is given, by their rows."""
    _, model = generator.load()
    seen: list[int] = []
    real = model.generate

    def generate(**options: object) -> object:
        seen.append(options["inputs"].shape[0])  # type: ignore[attr-defined]  # a tensor
        return real(**options)

    monkeypatch.setattr(model, "generate", generate)
    return seen


def together(generator: TransformersGenerator, samplings: list[Sampling]) -> list[str]:
    """All prompts at once, while the model is held up by another answer."""
    started = Barrier(len(PROMPTS) + 1)
    first = generator.stream(PROMPTS[0], Sampling(60), Event())
    next(first)

    def ask(pair: tuple[Prompt, Sampling]) -> str:
        started.wait()
        return said(generator, *pair)

    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        asked = pool.map(ask, zip(PROMPTS, samplings, strict=True))
        started.wait()
        list(first)
        return list(asked)


def test_each_text_in_a_batch_is_what_it_is_alone(
    generator: TransformersGenerator, sizes: list[int]
) -> None:
    alone = [said(generator, prompt, Sampling(4)) for prompt in PROMPTS]
    sizes.clear()
    assert together(generator, [Sampling(4)] * 4) == alone
    assert max(sizes) > 1
    assert sum(sizes) == 5


def test_each_row_ends_where_it_should(generator: TransformersGenerator) -> None:
    lengths = (1, 2, 3, 4)
    alone = [said(generator, p, Sampling(n)) for p, n in zip(PROMPTS, lengths, strict=True)]
    assert together(generator, [Sampling(n) for n in lengths]) == alone


def test_what_is_drawn_runs_alone(generator: TransformersGenerator, sizes: list[int]) -> None:
    drawn = Sampling(4, 1.0, 5)
    alone = said(generator, PROMPTS[1], drawn)
    sizes.clear()
    texts = together(generator, [Sampling(4), drawn, Sampling(4), Sampling(4)])
    assert texts[1] == alone
    assert 1 in sizes


def test_a_failure_reaches_everyone_and_the_next_is_served(
    generator: TransformersGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = generator.load()

    def broken(**options: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore lines")

    monkeypatch.setattr(model, "generate", broken)
    with pytest.raises(GenerationError, match="out of memory") as caught:
        said(generator, PROMPTS[0], Sampling(4))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert said(generator, PROMPTS[0], Sampling(4))
