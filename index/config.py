"""The settings of one index build: defaults, a YAML file, or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import ExpectedError

Engine = Literal["local", "ray"]
DEFAULT_EMBEDDER = "medcards-minilm"  # index/models; all-MiniLM-L6-v2 tuned for this job


class CleaningConfig(BaseModel):
    """What makes a row a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_question_chars: int = Field(5, ge=1)
    min_answer_chars: int = Field(3, ge=1)
    near_duplicates: bool = True


class SplitConfig(BaseModel):
    """How cards are divided into training, validation and test sides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: float = Field(0.1, ge=0, lt=0.5)
    test: float = Field(0.1, ge=0, lt=0.5)
    seed: int = 20260801
    question_jaccard: float = Field(0.67, gt=0, le=1)


class IndexConfig(BaseModel):
    """One build. Paths are as given by the user; a misspelt key stops the build."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decks: tuple[str, ...] = Field(("starter",), min_length=1)
    out: Path | None = None
    embedder: str = DEFAULT_EMBEDDER
    max_megabytes: int = Field(512, ge=1)
    engine: Engine = "local"  # what embeds: this machine, or the workers of a Ray cluster
    cleaning: CleaningConfig = CleaningConfig()
    split: SplitConfig = SplitConfig()


def load_config(path: Path | None, given: Mapping[str, Any]) -> IndexConfig:
    """An `IndexConfig` from a YAML file, if any, and the options given beside it, which win.

    Raises:
        ExpectedError: the file is missing or no YAML mapping, or a key is unknown or its value bad.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path else {}
        if not isinstance(fields, dict):
            raise ExpectedError(
                f"{str(path)!r} holds a {type(fields).__name__}: expected keys and values, as in "
                "'decks: [starter]'"
            )
        return IndexConfig.model_validate({**fields, **given})
    except OSError as error:
        raise ExpectedError(f"cannot read the configuration {str(path)!r}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ExpectedError(f"{str(path)!r} is not YAML: {str(error)[:200]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ExpectedError(
            f"{str(path) if path else 'the options'!r}, key {where!r}: {first['msg']}; got "
            f"{str(first['input'])[:80]!r}"
        ) from error
