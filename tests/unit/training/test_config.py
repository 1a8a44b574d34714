"""Recipes load; what is misspelt or contradicts itself is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from index.errors import ExpectedError
from training.config import RECIPES, RowsConfig, RunConfig, dump, load_config, parse, recipes


def test_every_recipe_loads_and_says_what_it_is() -> None:
    files = sorted(RECIPES.rglob("*.yaml"))
    assert len(files) >= 14
    assert {"default", "closed-book", "reproduce/d-dialogues"} < set(recipes())
    for name in recipes():
        config = load_config(name)
        assert config.name == Path(name).name
        assert recipes()[name].read_text(encoding="utf-8").startswith("# ")
    assert len(recipes()) == len(files)


def test_recipes_that_repeat_others_use_no_cards_and_say_what_was_reported() -> None:
    for name, path in recipes().items():
        if name.startswith("reproduce/"):
            assert load_config(name).rows.closed_book == 1
            text = path.read_text(encoding="utf-8")
            assert "report" in text
            assert "Ours:" in text


def test_prior_settings_are_as_published() -> None:
    baseline = load_config("reproduce/a-baseline")
    assert (baseline.rows.limit, baseline.rows.validation_limit) == (4500, 500)
    assert (baseline.lora.rank, baseline.lora.alpha, baseline.lora.dropout) == (16, 32, 0.05)
    assert baseline.lora.modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert (baseline.batch * baseline.accumulation, baseline.learning_rate) == (4, 2e-4)
    assert load_config("reproduce/a-rank-32").lora.rank == 32
    assert load_config("reproduce/a-two-epochs").epochs == 2
    sections = load_config("reproduce/c-2e-4")
    assert sections.lora.modules == ("q_proj", "v_proj")
    assert (sections.rows.template, sections.batch * sections.accumulation) == ("sections", 8)
    assert len(load_config("reproduce/d-dialogues").lora.modules) == 7


def test_a_resolved_run_reads_back_as_it_was() -> None:
    config = load_config("default")
    assert parse(yaml.safe_load(dump(config)), Path("x.yaml")) == config


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"learning_rat": 1e-4}, "there is no such key; expected one of name, base"),
        ({"lora": {"rnk": 8}}, "'lora.rnk': there is no such key; expected one of rank, alpha"),
        ({"rows": {"gold": 0.9}}, "must add up to 1"),
        ({"rows": {"template": "chatml"}}, "has no place for cards"),
        ({"rows": {"limit": 0}}, "leaves no rows"),
        ({"group_by_length": True}, "set packing to false"),
        ({"batch": 0}, "'batch'"),
        ({"epochs": "many"}, "'many'"),
        ({"trackers": ["mlflow"]}, "'mlflow'"),
    ],
)
def test_a_bad_run_is_said_in_one_line(
    fields: dict[str, object], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(ExpectedError, match=r"bad\.yaml") as caught:
        load_config(str(path))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"), [("[1, 2]", "holds a list"), ("a: [", "is not YAML"), (None, "cannot read")]
)
def test_files_that_are_no_run(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ExpectedError, match=says):
        load_config(str(path))


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(ExpectedError, match="closed-book, default"):
        load_config("defualt")


def test_defaults_mix_rows_with_and_without_cards() -> None:
    rows = RunConfig().rows
    assert rows == RowsConfig()
    assert rows.gold > rows.absent > 0
