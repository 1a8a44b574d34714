"""Training for real: tiny models, a real index, runs that are killed, resumed and exported."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import pytest
import yaml

from assistant.generator import Sampling
from assistant.prompts import Prompt
from assistant.transformers_generator import TransformersGenerator
from index import build as index_build
from index import health, retrieve
from index.config import IndexConfig
from index.retrieve import open_split
from index.text import sentences
from training import folder
from training.__main__ import main
from training.config import RunConfig, load_config
from training.rows import Row
from training.source import build_rows, open_source

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
RUN: dict[str, Any] = {
    "rows": {"max_tokens": 512},
    "lora": {"rank": 8, "dropout": 0.1},
    "learning_rate": 1e-2,
    "max_steps": 12,
    "validations": 4,
    "batch": 1,
    "accumulation": 2,
}
# Of an unbroken run and of one that was killed and resumed: the same arithmetic in the same order.
SAME_LOSS = 1e-6


def load_doubles() -> ModuleType:
    """The doubles of tests/conftest.py, which is no module that can be imported by name."""
    spec = importlib.util.spec_from_file_location("doubles", ROOT / "tests" / "conftest.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Shop:
    """A place to train in: an index, a base, and a command line."""

    def __init__(self, home: Path, base: Path) -> None:
        self.home = home
        self.base = base
        self.index = home / "index" / "deck"

    def recipe(self, name: str, **changes: Any) -> Path:
        path = self.home / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**RUN, **changes}), encoding="utf-8")
        return path

    def arguments(self, recipe: Path, *options: str) -> list[str]:
        out = str(self.home / recipe.stem)
        where = ["--base", str(self.base), "--index", str(self.index), "--out", out]
        return ["run", str(recipe), *where, *options]

    def train(self, name: str, *options: str, **changes: Any) -> tuple[Path, dict[str, Any]]:
        assert main(self.arguments(self.recipe(name, **changes), *options)) == 0
        out = self.home / name
        return out, json.loads((out / folder.RECORD).read_text(encoding="utf-8"))


def some_cards() -> list[dict[str, str]]:
    """Every 15th card of the starter deck, with the first sentence of its answer."""
    lines = [
        line
        for path in sorted((ROOT / "index" / "starter").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    cards = [json.loads(line) for line in lines[::15]]
    return [{"question": c["question"], "answer": sentences(c["answer"])[0]} for c in cards]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and on busy cores a hundred times."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shop(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("training")
    doubles = load_doubles()
    embedder = doubles.make_hash_embedder()
    doubles.write_questions(home / "questions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDCARDS_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(health, "QUESTIONS", home / "questions")
        patch.setattr(index_build, "open_embedder", lambda name: embedder)
        patch.setattr(retrieve, "open_embedder", lambda name: embedder)
        shop = Shop(home, tiny_llama)
        deck = home / "deck.jsonl"
        deck.write_text("".join(json.dumps(row) + "\n" for row in some_cards()), encoding="utf-8")
        index_build.build(IndexConfig(decks=(str(deck),), out=shop.index))
        yield shop


@pytest.fixture(scope="module")
def unbroken(shop: Shop) -> tuple[Path, dict[str, Any]]:
    return shop.train("unbroken")


def test_a_run_lowers_the_validation_loss(unbroken: tuple[Path, dict[str, Any]]) -> None:
    _, record = unbroken
    assert record["validation_loss"] < record["validation_loss_before"] - 0.1
    assert record["bits_per_character"] < record["bits_per_character_before"]
    assert record["steps"] == 12
    assert record["rows"]["training"]["gold"] > record["rows"]["training"]["absent"] > 0


def test_the_folder_holds_what_an_adapter_must(
    unbroken: tuple[Path, dict[str, Any]], shop: Shop
) -> None:
    out, record = unbroken
    held = {path.name for path in out.iterdir()}
    assert held >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "training.yaml",
        "run.json",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
        "log.jsonl",
        "loss.png",
    }
    assert not held & {"training_args.bin", "optimizer.pt"}
    stamp = open_split(shop.index).stamp
    assert load_config(str(out / "training.yaml")).split_stamp == stamp == record["split_stamp"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert stamp in card
    assert f"{record['validation_loss']:.4f}" in card
    assert "not medical advice" in card
    assert list((out / "tensorboard").iterdir())
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
    assert len(config["target_modules"]) == 7
    assert "lm_head" not in config["target_modules"]


@pytest.fixture(scope="module")
def rows(shop: Shop) -> tuple[list[Row], list[Row], Any]:
    from training.base import load_tokenizer

    config = RunConfig.model_validate({**RUN, "base": str(shop.base), "index": shop.index})
    tokenizer = load_tokenizer(config.base)
    training, validation = build_rows(config, open_source(config), tokenizer)
    return training.rows, validation.rows, tokenizer


def test_no_held_out_card_is_in_any_row(rows: tuple[list[Row], list[Row], Any], shop: Shop) -> None:
    training, validation, _ = rows
    sides = open_split(shop.index).sides
    cards = {card.question: card.id for card in retrieve.open_index(shop.index).cards}
    for made, allowed in ((training, {"train"}), (validation, {"train", "validation"})):
        assert made
        assert {sides[card.id] for row in made for card in row.cards} <= allowed
    assert {sides[cards[row.question]] for row in training} == {"train"}
    assert {sides[cards[row.question]] for row in validation} == {"validation"}


def test_what_is_trained_on_is_what_is_served(
    rows: tuple[list[Row], list[Row], Any], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = TransformersGenerator(str(shop.base), device="cpu")
    _, model = generator.load()
    generate = model.generate
    served: list[list[int]] = []

    def spy(**options: Any) -> Any:
        served.append(options["inputs"][0].tolist())
        return generate(**options)

    monkeypatch.setattr(model, "generate", spy)
    some = [next(r for r in rows[0] if r.kind == k) for k in ("gold", "absent", "closed_book")]
    for row in some:
        prompt = Prompt(row.question, row.cards)
        list(generator.stream(prompt, Sampling(max_new_tokens=1), Event()))
    assert served == [list(row.prompt) for row in some]


KILLED = """
import importlib.util, os, signal, sys
from index import retrieve
from training.__main__ import main
from training.trainer import Progress

spec = importlib.util.spec_from_file_location("doubles", "tests/conftest.py")
doubles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(doubles)
retrieve.open_embedder = lambda name: doubles.make_hash_embedder()
step_end = Progress.on_step_end

def die(self, args, state, control, **fields):
    step_end(self, args, state, control, **fields)
    if state.global_step == 8:  # the last checkpoint is at step 6
        os.kill(os.getpid(), signal.SIGKILL)

Progress.on_step_end = die
sys.exit(main(sys.argv[1:]))
"""


def test_killed_and_resumed_ends_with_the_same_loss(
    shop: Shop, unbroken: tuple[Path, dict[str, Any]]
) -> None:
    arguments = shop.arguments(shop.recipe("killed"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    broken = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert broken.returncode == -signal.SIGKILL, broken.stderr[-2000:]
    out = shop.home / "killed"
    assert not (out / folder.RECORD).exists()
    assert {p.name for p in (out / folder.CHECKPOINTS).iterdir()} >= {"checkpoint-6"}

    out, record = shop.train("killed", "--resume")
    expected = unbroken[1]
    assert record["resumed"]
    assert record["steps"] == expected["steps"]
    assert record["validation_loss"] == pytest.approx(expected["validation_loss"], abs=SAME_LOSS)
    assert record["training_loss"] == pytest.approx(expected["training_loss"], abs=SAME_LOSS)

    from safetensors.torch import load_file

    left, right = (load_file(run / folder.ADAPTER) for run in (out, unbroken[0]))
    assert left.keys() == right.keys()
    assert all((left[name] - right[name]).abs().max() < SAME_LOSS for name in left)


@pytest.fixture
def quantisable(tiny_llama: Path, tmp_path: Path) -> Path:
    """A base whose layers divide into NF4's blocks of 64."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(tiny_llama)
    config.update({"hidden_size": 128, "head_dim": 32, "intermediate_size": 128})
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("error:.*an autograd kernel was not registered")
def test_every_option_trains_on_a_quantised_base(
    shop: Shop, quantisable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recipe = shop.recipe(
        "options",
        quantization="nf4",
        optimizer="paged_adamw_8bit",  # becomes AdamW where there is no CUDA
        packing=False,
        group_by_length=True,
        neftune_alpha=5.0,
        max_steps=4,
        validations=2,
        patience=1,
        batch=2,
        lora={"rank": 4, "rslora": True, "dora": True, "plus_ratio": 8, "modules": ["q_proj"]},
    )
    arguments = shop.arguments(recipe)
    arguments[arguments.index("--base") + 1] = str(quantisable)
    assert main(arguments) == 0
    record = json.loads((shop.home / "options" / folder.RECORD).read_text(encoding="utf-8"))
    assert record["nf4"]
    assert record["optimizer"] == "adamw_torch"
    assert record["validation_loss"] <= record["validation_loss_before"]
    assert "the loss mask covers exactly the answer" in caplog.text
    adapter = json.loads((shop.home / "options" / "adapter_config.json").read_text("utf-8"))
    assert adapter["use_dora"]
    assert adapter["use_rslora"]


def test_a_base_that_nf4_cannot_divide_stops_before_training(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shop.arguments(shop.recipe("bad", quantization="nf4"))) == 2
    assert "set quantization none" in said(capsys)


def test_packed_rows_do_not_see_each_other(
    rows: tuple[list[Row], list[Row], Any], shop: Shop
) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model = AutoModelForCausalLM.from_pretrained(shop.base)
    pair = rows[0][:2]
    lengths = [len(row.ids) for row in pair]
    item = {
        "input_ids": pair[0].ids + pair[1].ids,
        "labels": pair[0].labels + pair[1].labels,
        "seq_lengths": lengths,
    }
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)([item])
    with torch.inference_mode():
        places = {name: batch[name] for name in ("input_ids", "position_ids")}
        packed = model(**places, use_cache=False).logits[0]
        alone = [model(torch.tensor([row.ids])).logits[0] for row in pair]
    assert torch.allclose(packed, torch.cat(alone), atol=1e-4)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def write_gpt2(path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config(n_layer=1, n_head=1, n_embd=8, architectures=["GPT2LMHeadModel"]).save_pretrained(
        path
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"learning_rat": 1}, "there is no such key"),
        ({"lora": {"modules": ["q_proj", "query"]}}, "names 'query', which"),
        ({"lora": {"modules": ["lm_head"]}}, "names 'lm_head', which"),
        ({"split_stamp": "0" * 64}, "was made for split 000000000000, the index has"),
        ({"adapter": "nowhere"}, "no adapter to start from at 'nowhere'"),
        ({"batch": 4096, "rows": {"max_tokens": 100_000}}, "GB are free: set batch 1"),
    ],
)
def test_what_cannot_work_stops_before_training(
    changes: dict[str, Any], says: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = shop.recipe("bad", **changes)
    assert main(shop.arguments(recipe)) == 2
    assert says in said(capsys)
    assert not (shop.home / "bad").exists()


def test_bases_that_cannot_be_used(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shop.arguments(shop.recipe("bad"))
    where = arguments.index("--base") + 1
    arguments[where] = str(tmp_path / "missing")
    assert main(arguments) == 2
    assert "name a folder with --base" in said(capsys)
    write_gpt2(tmp_path / "gpt2")
    arguments[where] = str(tmp_path / "gpt2")
    assert main(arguments) == 2
    assert "is a GPT2LMHeadModel: expected a LlamaForCausalLM" in said(capsys)


def test_a_missing_index_and_a_run_that_is_there(
    shop: Shop, unbroken: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shop.arguments(shop.recipe("unbroken"))
    assert main(arguments) == 2
    assert "holds a run already: go on with it by --resume" in said(capsys)
    arguments[arguments.index("--index") + 1] = str(shop.home / "none")
    assert main(arguments) == 2
    assert "python -m index build --deck flashcards" in said(capsys)


def test_an_adapter_of_another_split_is_not_gone_on_with(
    shop: Shop, unbroken: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: Any
) -> None:
    stale = tmp_path / "stale"
    stale.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (stale / name).write_bytes((unbroken[0] / name).read_bytes())
    assert main(shop.arguments(shop.recipe("bad", adapter=str(stale)))) == 2
    assert "held-out cards may have been trained on" in said(capsys)


def test_an_adapter_can_be_trained_further(
    shop: Shop, unbroken: tuple[Path, dict[str, Any]]
) -> None:
    _, record = shop.train("further", adapter=str(unbroken[0]), max_steps=2)
    before = unbroken[1]["validation_loss"]
    assert record["validation_loss_before"] == pytest.approx(before, abs=1e-4)


def test_the_estimate_starts_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shop.arguments(shop.recipe("estimated"), "--estimate")) == 0
    text = capsys.readouterr().out
    assert "memory       about" in text
    assert "tokens/s" in text
    assert not (shop.home / "estimated").exists()
