"""A sweep survives a failed run, goes on where it stopped, and ends in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from index.errors import ExpectedError
from training import folder, sweep
from training.config import load_config

GRID = {"lora.rank": [4, 8], "learning_rate": [1e-4, 1e-3]}


def record(bits: float) -> dict[str, Any]:
    return {
        "validation_loss": bits * 2,
        "bits_per_character": bits,
        "peak_memory_bytes": 3_210_000_000,
        "seconds": 75.0,
        "tokens_per_second": 1234.5,
        "resumed": False,
    }


class Launcher:
    """Trains nothing: writes what a run leaves, or fails where it is told to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.launched: list[str] = []

    def __call__(self, file: Path, target: Path) -> str | None:
        config = load_config(str(file))
        self.launched.append(config.name)
        if config.name == self.failing:
            return "out of memory | set batch 1"
        folder.start(target, config)
        (target / folder.ADAPTER).write_bytes(b"x")
        folder.write_record(target, record(1.0 / config.lora.rank + config.learning_rate))
        return None


@pytest.fixture
def plan(tmp_path: Path) -> sweep.Plan:
    file = tmp_path / "ranks.yaml"
    fields = {"recipe": "closed-book", "grid": GRID}
    file.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    return sweep.load_plan(file)


def test_the_grid_is_run_whole_though_one_run_fails(plan: sweep.Plan, tmp_path: Path) -> None:
    launcher = Launcher(failing="rank-8_learning_rate-0.0001")
    text = sweep.run(plan, {"base": "somewhere"}, tmp_path / "out", launcher)
    assert len(launcher.launched) == 4
    lines = text.splitlines()
    assert lines[0].startswith("| lora.rank | learning_rate | loss | bits/character | memory, GB |")
    assert lines[2].startswith("| 8 | 0.001 |")  # best first
    assert "| 3.21 | 75 s |" in lines[2]
    assert "failed: out of memory / set batch 1" in lines[-1]
    assert (tmp_path / "out" / sweep.TABLE).read_text(encoding="utf-8") == text
    assert (tmp_path / "out" / sweep.PLOT).read_bytes().startswith(b"\x89PNG")
    first = load_config(str(tmp_path / "out" / f"{launcher.launched[0]}.yaml"))
    assert first.base == "somewhere"


def test_finished_runs_are_not_run_again(plan: sweep.Plan, tmp_path: Path) -> None:
    sweep.run(plan, {}, tmp_path, Launcher(failing="rank-4_learning_rate-0.001"))
    again = Launcher()
    text = sweep.run(plan, {}, tmp_path, again)
    assert again.launched == ["rank-4_learning_rate-0.001"]
    assert "failed" not in text


def test_a_folder_of_another_sweep_is_refused(plan: sweep.Plan, tmp_path: Path) -> None:
    sweep.run(plan, {}, tmp_path, Launcher())
    with pytest.raises(ExpectedError, match="other settings"):
        sweep.run(plan, {"base": "other"}, tmp_path, Launcher())


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"grid": {}}, "grid"), ({"gird": GRID}, "gird"), ({"grid": {"lora.rnk": [1]}}, "lora.rnk")],
)
def test_a_bad_sweep_stops_before_it_starts(
    fields: dict[str, Any], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    launcher = Launcher()
    with pytest.raises(ExpectedError, match=says):
        sweep.run(sweep.load_plan(file), {}, tmp_path / "out", launcher)
    assert not launcher.launched


def test_the_reason_of_a_failed_process_is_its_last_line(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("batch: 0\n", encoding="utf-8")
    failure = sweep.in_own_process(file, tmp_path / "run")
    assert failure is not None
    assert "'batch'" in failure
    assert "'batch'" in (tmp_path / "run.log").read_text(encoding="utf-8")
