"""The predictions file: whole or refused, torn or recovered, and never mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eval import records
from eval.records import Header, Row, RunMismatchError, Weights
from index.errors import ExpectedError

MakeRow = Callable[..., Row]


def test_round_trip(tmp_path: Path, header: Header, row: MakeRow) -> None:
    path = tmp_path / records.PREDICTIONS
    records.write(path, header, [row("a1")])
    records.append(path, row("b2"))
    found = records.read(tmp_path)
    assert found.header == header
    assert [one.item for one in found.rows] == ["a1", "b2"]
    assert found.labels().keys() == {"extractive, gold"}


def test_a_torn_line_is_recovered_by_a_run_and_refused_by_a_reader(
    tmp_path: Path, header: Header, row: MakeRow
) -> None:
    path = tmp_path / records.PREDICTIONS
    records.write(path, header, [row("a1")])
    with path.open("a") as file:
        file.write('{"item": "b2", "sys')
    with pytest.raises(ExpectedError, match="interrupted"):
        records.read(path)
    recovered = records.recover(path)
    assert recovered is not None
    assert [one.item for one in recovered[1]] == ["a1"]


def test_nothing_to_recover(tmp_path: Path) -> None:
    assert records.recover(tmp_path / "none.jsonl") is None
    (tmp_path / "half.jsonl").write_text('{"kind"')
    assert records.recover(tmp_path / "half.jsonl") is None


@pytest.mark.parametrize("text", ["", "{}\n", "not json\n", '{"kind": "other"}\n'])
def test_what_is_no_predictions_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(ExpectedError):
        records.read(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="python -m eval run"):
        records.read(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"generation": "g2"}, "index"),
        ({"split_stamp": "t" * 64}, "split"),
        ({"deck_hash": "e"}, "deck"),
        ({"relevance_sha256": "q"}, "refusal model"),
        ({"assistant_sha256": "q"}, "assistant"),
        ({"seed": 1}, "seed"),
        ({"embedder": {"name": "other"}}, "embedder"),
    ],
)
def test_a_changed_run_is_refused_with_the_reason(
    header: Header, change: dict[str, object], name: str
) -> None:
    with pytest.raises(RunMismatchError, match=f"another {name} "):
        records.merged(header, header.model_copy(update=change))


def test_a_changed_option_is_refused(header: Header) -> None:
    other = header.model_copy(update={"config": {**header.config, "max_new_tokens": 99}})
    with pytest.raises(RunMismatchError, match="max_new_tokens"):
        records.merged(header, other)


def test_another_adapter_is_refused_and_a_first_one_added(header: Header) -> None:
    one, other = Weights(name="a", sha256="1" * 64), Weights(name="a", sha256="2" * 64)
    with_one = header.model_copy(update={"adapter": one})
    with pytest.raises(RunMismatchError, match="another adapter"):
        records.merged(with_one, header.model_copy(update={"adapter": other}))
    assert records.merged(header, with_one).adapter == one
    assert records.merged(with_one, header).adapter == one, "a later part without it keeps it"


def test_more_systems_and_items_are_welcome(header: Header) -> None:
    more = {**header.config, "systems": ["base"], "limit": 5}
    assert records.merged(header, header.model_copy(update={"config": more})).config == more
