"""The small model that comes with medcards: a Llama and its LoRA adapter, beside this file."""

from __future__ import annotations

from pathlib import Path

from assistant.settings import Settings

NAME = "pocket"
FOLDER = Path(__file__).parent / NAME
BASE = FOLDER / "base"
ADAPTER = FOLDER / "adapter"


def is_there() -> bool:
    """Whether the weights are installed: a slim install may leave them out."""
    return (BASE / "config.json").is_file() and (ADAPTER / "adapter_config.json").is_file()


def settings(given: Settings) -> Settings:
    """The settings that put this model to work, with whatever engine this machine has."""
    engine = "auto" if given.generator == "extractive" else given.generator
    return given.model_copy(
        update={"base": str(BASE), "adapter": str(ADAPTER), "generator": engine}
    )
