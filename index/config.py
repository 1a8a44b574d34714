"""The settings of one index build: defaults, a YAML file, or the command line."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import ExpectedError

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"


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

    decks: tuple[str, ...] = ("starter",)
    out: Path | None = None
    embedder: str = DEFAULT_EMBEDDER
    max_megabytes: int = Field(512, ge=1)
    cleaning: CleaningConfig = CleaningConfig()
    split: SplitConfig = SplitConfig()


def load_config(path: Path) -> IndexConfig:
    """Read an `IndexConfig` from a YAML file.

    Raises:
        ExpectedError: the file is missing, is no YAML mapping, or has an unknown or bad key.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        return IndexConfig.model_validate(fields or {})
    except OSError as error:
        raise ExpectedError(f"cannot read the configuration {str(path)!r}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpectedError(f"{str(path)!r} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ExpectedError(
            f"{str(path)!r}, key {where!r}: {first['msg']}; got {first['input']!r}"
        ) from error
