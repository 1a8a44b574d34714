"""The run's folder: started once, resumed as it was, read when it is finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training import folder
from training.config import RunConfig


def checkpoint(run: Path, step: int, state: str = "{}") -> Path:
    path = run / folder.CHECKPOINTS / f"checkpoint-{step}"
    path.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (path / name).write_bytes(b"x")
    if state:
        (path / "trainer_state.json").write_text(state, encoding="utf-8")
    return path


def test_a_new_folder_starts_from_the_beginning(tmp_path: Path) -> None:
    assert folder.find_checkpoint(tmp_path / "new", RunConfig(), resume=False) is None
    assert folder.find_checkpoint(tmp_path / "new", RunConfig(), resume=True) is None


def test_a_started_folder_is_not_overwritten(tmp_path: Path) -> None:
    folder.start(tmp_path, RunConfig())
    with pytest.raises(folder.RunFolderError, match="--resume"):
        folder.find_checkpoint(tmp_path, RunConfig(), resume=False)


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    folder.start(tmp_path, RunConfig())
    good = checkpoint(tmp_path, 9)
    checkpoint(tmp_path, 3)
    cut_off = checkpoint(tmp_path, 10, state='{"global_st')
    no_state = checkpoint(tmp_path, 11, state="")
    assert folder.find_checkpoint(tmp_path, RunConfig(), resume=True) == good
    assert not cut_off.exists()
    assert not no_state.exists()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"split_stamp": "b" * 64}, "for another split of the cards"),
        ({"learning_rate": 1e-3}, "with another learning_rate"),
    ],
)
def test_another_run_is_not_resumed(fields: dict[str, object], says: str, tmp_path: Path) -> None:
    config = RunConfig(split_stamp="a" * 64)
    folder.start(tmp_path, config)
    with pytest.raises(folder.RunFolderError, match=says):
        folder.find_checkpoint(tmp_path, config.model_copy(update=fields), resume=True)
    free = config.model_copy(update={"check_memory": False, "index": Path("moved")})
    assert folder.find_checkpoint(tmp_path, free, resume=True) is None


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(folder.RunFolderError, match="give another --out"):
        folder.start(tmp_path / "file" / "run", RunConfig())


def test_only_a_finished_run_is_read(tmp_path: Path) -> None:
    folder.start(tmp_path, RunConfig(name="mine"))
    with pytest.raises(folder.RunFolderError, match="finish it with --resume"):
        folder.read_run(tmp_path)
    (tmp_path / folder.ADAPTER).write_bytes(b"x")
    folder.write_record(tmp_path, {"steps": 3})
    config, record = folder.read_run(tmp_path)
    assert (config.name, record) == ("mine", {"steps": 3})


def test_the_log_is_kept_as_lines_and_a_plot(tmp_path: Path) -> None:
    history = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 2, "eval_loss": 1.9}]
    folder.write_log(tmp_path, history)
    lines = (tmp_path / folder.LOG).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == history
    assert (tmp_path / folder.PLOT).read_bytes().startswith(b"\x89PNG")
