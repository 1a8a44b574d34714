"""What the full profile does where its packages are not installed: one line, no download."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assistant import full
from assistant.generator import EngineMissingError
from assistant.progress import Progress
from assistant.settings import Settings

LORA: dict[str, Any] = {"adapter": "owner/lora"}
CASES = [
    # What is there, settings, what is missing; None where nothing is.
    ((), {}, "'transformers' needs torch, transformers: install medcards[models]"),
    ((), LORA, "needs torch, transformers, peft"),
    (("xllamacpp",), {}, "'llamacpp' needs torch, transformers, gguf: install"),
    (("xllamacpp",), {"base": "owner/name/model.gguf"}, None),
    (("xllamacpp",), {"device": "cuda"}, "'transformers' needs torch, transformers: install"),
    (("xllamacpp", "torch", "transformers", "gguf"), {}, None),
    (("xllamacpp", "torch", "transformers", "gguf"), LORA, "'llamacpp' needs peft: install"),
    (("torch", "transformers"), {}, None),
    (("torch", "transformers"), {"generator": "llamacpp"}, "'llamacpp' needs xllamacpp, gguf: "),
    ((), {"generator": "openai:http://x:1/v1"}, "'openai' needs openai: install medcards[remote]"),
    (("openai",), {"generator": "openai:http://x:1/v1"}, None),
    ((), {"generator": "extractive"}, None),
]  # fmt: skip


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """The packages that there are; none at first, on a machine without weights and driver."""
    packages: set[str] = set()
    monkeypatch.setattr(full, "_installed", lambda name: name in packages)
    monkeypatch.setattr(full, "_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(full, "is_local", lambda settings: False)
    return packages


@pytest.mark.parametrize(("there", "settings", "missing"), CASES)
def test_what_a_generator_needs(
    installed: set[str], there: tuple[str, ...], settings: dict[str, Any], missing: str | None
) -> None:
    installed |= set(there)
    wanted = Settings(profile="auto", **settings)
    if missing is None:
        full.require_engine(wanted)
        return
    with pytest.raises(EngineMissingError) as error:
        full.require_engine(wanted)
    assert missing in str(error.value)


def test_weights_that_are_converted_need_no_torch(
    installed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.add("xllamacpp")
    monkeypatch.setattr(full, "is_local", lambda settings: True)
    monkeypatch.setattr(full, "is_converted", lambda settings: True)
    wanted = Settings(profile="auto")
    full.require_engine(wanted)
    assert full.engine(wanted) == "llamacpp"


def test_the_way_up_ends_before_anything_is_fetched(
    installed: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetched(*_: Any) -> Any:
        raise AssertionError("fetched")

    monkeypatch.setattr(full, "_fetched", fetched)
    progress = Progress()
    progress.at("waiting", "the full profile")
    assistant: Any = SimpleNamespace(progress=progress, generator=SimpleNamespace(name="cards"))
    settings = Settings(profile="auto")
    with caplog.at_level(logging.INFO):
        promotion = full.Promotion(
            assistant, fetched, lambda: full.make_generator(settings, progress), (0.0, 0.0)
        )
        promotion.start()
        promotion.join(10)
    assert not promotion.is_alive()
    assert progress.state.stage == "ready"
    assert "install medcards[models]" in progress.state.reason
    (line,) = caplog.messages
    assert line == f"stays in service: cards; {progress.state.reason}"


def test_a_driver_without_torch_is_no_cuda_device(installed: set[str], tmp_path: Path) -> None:
    (tmp_path / "driver").mkdir()
    assert full._has_cuda() is False
    installed.add("xllamacpp")
    assert full.engine(Settings(profile="auto")) == "llamacpp"
