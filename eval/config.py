"""The settings of one evaluation: which systems, in which worlds, with which weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant import embedded
from index.errors import ExpectedError
from index.paths import default_index, home

System = Literal["extractive", "base", "tuned", "base+rag", "tuned+rag"]
World = Literal["gold", "removed", "distractors"]
SYSTEMS: tuple[System, ...] = get_args(System)
WORLDS: tuple[World, ...] = get_args(World)
CLOSED_BOOK = "closed-book"  # the world of a system that reads no card


class EvalConfig(BaseModel):
    """One run. A misspelt key stops it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    systems: tuple[System, ...] = SYSTEMS
    worlds: tuple[World, ...] = WORLDS
    index: Path = Field(default_factory=lambda: default_index("starter"))
    base: str | None = None  # a checkpoint: folder or hub id
    adapter: str | None = None  # a LoRA adapter: folder or hub id
    out: Path = Field(default_factory=lambda: home() / "eval")
    limit: int | None = Field(None, ge=1)  # items; a seeded sample of the test side
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch: int = Field(16, ge=1, le=256)  # prompts at once
    timed: int = Field(10, ge=0)  # items answered one by one, as they are served, for the times
    top_k: int = Field(5, ge=1, le=20)
    prompt_cards: int = Field(3, ge=1, le=5)
    max_new_tokens: int = Field(160, ge=1, le=512)
    temperature: float = Field(0.0, ge=0, le=2)
    related: float = Field(0.5, gt=0, le=1)  # cosine with the gold card: no distractor
    protocol: bool = False  # also measure the ways in which the prior work measured


def make_config(fields: dict[str, Any]) -> EvalConfig:
    """A configuration from what was given; None counts as not given.

    Where neither base nor adapter is given, the small model that comes with medcards is measured.

    Raises:
        ExpectedError: names the option that has no meaning.
    """
    given = {k: v for k, v in fields.items() if v is not None}
    if embedded.is_there() and not given.keys() & {"base", "adapter"}:
        given |= {"base": str(embedded.BASE), "adapter": str(embedded.ADAPTER)}
    try:
        return EvalConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1])
        raise ExpectedError(f"--{where} {first['input']!r}: {first['msg']}") from error


def uses_cards(system: str) -> bool:
    """Whether a system reads cards."""
    return system == "extractive" or system.endswith("+rag")


def uses_adapter(system: str) -> bool:
    """Whether a system needs the adapter."""
    return system.startswith("tuned")
