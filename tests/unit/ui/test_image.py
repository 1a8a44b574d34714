"""The image: every path that the Dockerfile copies is there, is seen, and is enough to serve."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import serving

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")


def test_every_copied_path_is_there_and_not_hidden() -> None:
    ignored = serving.hidden(IGNORED)
    sources = [source for group, _ in serving.copied(DOCKERFILE) for source in group]
    assert len(sources) >= 8
    for source in sources:
        path = REPOSITORY / source
        assert path.exists(), source
        assert not ignored.match_file(source), f".dockerignore hides {source}"
        files = [p for p in serving._files(path) if "__pycache__" not in p.parts]
        seen = [p for p in files if not ignored.match_file(p.relative_to(REPOSITORY).as_posix())]
        assert seen, f".dockerignore hides all of {source}"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (".git/config", True),
        ("index/__pycache__/cards.pyc", True),
        (".medcards/feedback.sqlite", True),
        ("docs/screenshots/chat.png", True),
        ("docs/deploy.md", False),
        ("index/build.py", False),  # the pattern "build" means the folder at the root
        ("ui/page.js", False),
    ],
)
def test_what_is_hidden(name: str, hidden: bool) -> None:
    assert serving.hidden(IGNORED).match_file(name) is hidden


def test_what_is_copied_holds_the_package_data(tmp_path: Path) -> None:
    serving.context(tmp_path)
    for name in ("app.py", "ui/page.js", "index/starter/cardiology.jsonl", "deploy/install.sh"):
        assert (tmp_path / name).is_file(), name
    assert list(tmp_path.glob("index/models/*/model.onnx"))
    assert not list(tmp_path.rglob("__pycache__"))
    # What serving imports is all there: nothing of training or the evaluation is needed.
    code = "import app, ui.page, ui.service, assistant.build, index.build; print(app.__file__)"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ran.stdout.strip() == str(tmp_path / "app.py"), ran.stderr


def test_the_install_steps_are_those_of_the_script() -> None:
    script = (REPOSITORY / "deploy" / "install.sh").read_text(encoding="utf-8")
    assert serving.steps(DOCKERFILE) == ["system", "dependencies", "application", "data"]
    for step in serving.steps(DOCKERFILE):
        assert f"\n{step})" in script
    subprocess.run(["bash", "-n", "deploy/install.sh"], cwd=REPOSITORY, check=True)


def test_it_serves_as_nobody_special_on_the_port_of_a_space() -> None:
    found = serving.instructions(DOCKERFILE)
    names = [name for name, _ in found]
    assert dict(found)["USER"] == "medcards"
    assert names.index("USER") < names.index("CMD")
    assert "--uid 1000" in DOCKERFILE, "a Space runs the image as user 1000"
    assert dict(found)["EXPOSE"] == "7860"
    assert "HEALTHCHECK" in names


def test_serving_needs_no_training_stack() -> None:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    names = {requirement.split(">")[0].split("=")[0] for requirement in project["dependencies"]}
    assert not names & {"torch", "transformers", "trl", "peft", "bitsandbytes", "datasets"}
