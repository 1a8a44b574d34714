"""What cannot work stops before training, with one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import main

pytestmark = pytest.mark.integration


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
    changes: dict[str, Any], says: str, shop: Any, said: Callable[[], str]
) -> None:
    recipe = shop.recipe("bad", **changes)
    assert main(shop.arguments(recipe)) == 2
    assert says in said()
    assert not (shop.home / "bad").exists()


def test_bases_that_cannot_be_used(shop: Any, tmp_path: Path, said: Callable[[], str]) -> None:
    arguments = shop.arguments(shop.recipe("bad"))
    where = arguments.index("--base") + 1
    arguments[where] = str(tmp_path / "missing")
    assert main(arguments) == 2
    assert "name a folder with --base" in said()
    write_gpt2(tmp_path / "gpt2")
    arguments[where] = str(tmp_path / "gpt2")
    assert main(arguments) == 2
    assert "is a GPT2LMHeadModel: expected a LlamaForCausalLM" in said()


def test_a_missing_index_and_a_run_that_is_there(
    shop: Any, unbroken: tuple[Path, dict[str, Any]], said: Callable[[], str]
) -> None:
    arguments = shop.arguments(shop.recipe("unbroken"))
    assert main(arguments) == 2
    assert "holds a run already: go on with it by --resume" in said()
    arguments[arguments.index("--index") + 1] = str(shop.home / "none")
    assert main(arguments) == 2
    assert "python -m index build --deck flashcards" in said()


def test_an_adapter_of_another_split_is_not_gone_on_with(
    shop: Any, unbroken: tuple[Path, dict[str, Any]], tmp_path: Path, said: Callable[[], str]
) -> None:
    stale = tmp_path / "stale"
    stale.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (stale / name).write_bytes((unbroken[0] / name).read_bytes())
    assert main(shop.arguments(shop.recipe("bad", adapter=str(stale)))) == 2
    assert "held-out cards may have been trained on" in said()


def test_a_base_that_nf4_cannot_divide_stops_before_training(
    shop: Any, said: Callable[[], str]
) -> None:
    assert main(shop.arguments(shop.recipe("bad", quantization="nf4"))) == 2
    assert "set quantization none" in said()
