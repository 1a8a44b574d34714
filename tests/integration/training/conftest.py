"""A place to train in: a tiny base, a real index of a few starter cards, and the command line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from index import build as index_build
from index import health, retrieve
from index.config import IndexConfig
from index.text import sentences
from training import folder
from training.__main__ import main
from training.config import RunConfig
from training.rows import Row
from training.source import build_rows, open_source

ROOT = Path(__file__).resolve().parents[3]
RUN: dict[str, Any] = {
    "rows": {"max_tokens": 512},
    "lora": {"rank": 8, "dropout": 0.1},
    "learning_rate": 1e-2,
    "max_steps": 12,
    "validations": 4,
    "batch": 1,
    "accumulation": 2,
}


class Shop:
    """A place to train in: an index, a base, and a command line."""

    def __init__(self, home: Path, base: Path) -> None:
        self.home = home
        self.base = base
        self.index = home / "index" / "deck"

    def config(self, **changes: Any) -> RunConfig:
        fields = {**RUN, "base": str(self.base), "index": self.index, **changes}
        return RunConfig.model_validate(fields)

    def recipe(self, name: str, **changes: Any) -> Path:
        path = self.home / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**RUN, **changes}), encoding="utf-8")
        return path

    def arguments(self, recipe: Path, *options: str, base: Path | None = None) -> list[str]:
        out = str(self.home / recipe.stem)
        where = ["--base", str(base or self.base), "--index", str(self.index), "--out", out]
        return ["run", str(recipe), *where, *options]

    def train(
        self, name: str, *options: str, base: Path | None = None, **changes: Any
    ) -> tuple[Path, dict[str, Any]]:
        assert main(self.arguments(self.recipe(name, **changes), *options, base=base)) == 0
        out = self.home / name
        return out, json.loads((out / folder.RECORD).read_text(encoding="utf-8"))


def load_doubles() -> ModuleType:
    """The doubles of tests/conftest.py, which is no module that can be imported by name."""
    spec = importlib.util.spec_from_file_location("doubles", ROOT / "tests" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def some_cards() -> list[dict[str, str]]:
    """Every 15th card of the starter deck, with the first sentence of its answer."""
    lines = [
        line
        for path in sorted((ROOT / "index" / "starter").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    cards = [json.loads(line) for line in lines[::15]]
    return [{"question": c["question"], "answer": sentences(c["answer"])[0]} for c in cards]


@contextmanager
def doubles_in_place(home: Path) -> Iterator[None]:
    """The hash embedder for every other, no hub, and one thread.

    Models this small are slower on several threads, and on busy cores a hundred times.
    """
    import torch

    embedder = load_doubles().make_hash_embedder()
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDCARDS_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(health, "QUESTIONS", home / "questions")
        patch.setattr(index_build, "open_embedder", lambda name: embedder)
        patch.setattr(retrieve, "open_embedder", lambda name: embedder)
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shop(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    home = tmp_path_factory.mktemp("training")
    load_doubles().write_questions(home / "questions")
    shop = Shop(home, tiny_llama)
    deck = home / "deck.jsonl"
    deck.write_text("".join(json.dumps(row) + "\n" for row in some_cards()), encoding="utf-8")
    with doubles_in_place(home):
        index_build.build(IndexConfig(decks=(str(deck),), out=shop.index))
    return shop


@pytest.fixture(scope="module", autouse=True)
def in_place(shop: Shop) -> Iterator[None]:
    """What the tests of a module run with."""
    with doubles_in_place(shop.home):
        yield


@pytest.fixture(scope="session")
def unbroken(shop: Shop) -> tuple[Path, dict[str, Any]]:
    """A run from its start to its end: folder and record."""
    with doubles_in_place(shop.home):
        return shop.train("unbroken")


@pytest.fixture(scope="session")
def rows(shop: Shop) -> tuple[list[Row], list[Row], Any]:
    """Rows for training and for validation, and the tokenizer."""
    from training.base import load_tokenizer

    config = shop.config()
    tokenizer = load_tokenizer(config.base)
    with doubles_in_place(shop.home):
        training, validation = build_rows(config, open_source(config), tokenizer)
    return training.rows, validation.rows, tokenizer


@pytest.fixture(scope="session")
def quantisable(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose layers divide into NF4's blocks of 64."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    path = tmp_path_factory.mktemp("models") / "quantisable"
    config = LlamaConfig.from_pretrained(tiny_llama)
    config.update({"hidden_size": 128, "head_dim": 32, "intermediate_size": 128})
    LlamaForCausalLM(config).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(path)
    return path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """The one line that a command said of its failure."""

    def read() -> str:
        lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        assert len(lines) == 1
        return lines[0]

    return read
