"""The settings of one training run: one YAML file, checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from index.errors import ExpectedError

RECIPES = Path(__file__).parent / "recipes"
TINYLLAMA = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"

Share = Annotated[float, Field(ge=0, le=1)]
# `medcards` is the prompt that is served (assistant.prompts). The others repeat what earlier
# systems trained on, so that their runs can be repeated; nothing is ever served with them.
Template = Literal["medcards", "turns", "sections", "chatml"]


class RowsConfig(BaseModel):
    """Which rows are trained on. The three shares add up to 1 and divide the training cards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: Template = "medcards"
    gold: Share = 0.6  # the question's card among retrieved ones
    absent: Share = 0.2  # retrieved ones only; the target says that they do not cover it
    closed_book: Share = 0.2  # no cards
    cards: int = Field(3, ge=1, le=5)  # cards in a prompt: as many as are served
    shuffled: Share = 0.3  # of the rows with cards: their order is drawn, not that of retrieval
    limit: int | None = Field(None, ge=0)  # training cards, drawn by seed; None: all
    validation_limit: int | None = Field(400, ge=0)
    max_tokens: int = Field(1024, ge=32)  # a row that is longer loses distractors, then is left out
    min_question_chars: int = Field(0, ge=0)
    min_answer_chars: int = Field(0, ge=0)
    dialogues: str | None = None  # deck of Patient/Doctor rows: a file or a hub id
    dialogue_limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = self.gold + self.absent + self.closed_book
        if abs(total - 1) > 1e-6:
            raise ValueError(f"gold, absent and closed_book must add up to 1, they give {total:g}")
        if self.template != "medcards" and self.closed_book != 1:
            raise ValueError(
                f"the template {self.template!r} has no place for cards: set closed_book to 1 and "
                "gold and absent to 0"
            )
        return self


class LoraSettings(BaseModel):
    """The adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1, le=256)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    rslora: bool = False  # scale by 1/sqrt(rank): https://arxiv.org/abs/2312.03732
    dora: bool = False  # magnitude and direction apart: https://arxiv.org/abs/2402.09353
    # LoRA+: learning rate of B over that of A, https://arxiv.org/abs/2402.12354
    plus_ratio: float | None = Field(None, ge=1)


class RunConfig(BaseModel):
    """One run. A misspelt key stops it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("run", pattern=r"^[\w.-]+$")
    base: str = TINYLLAMA  # a folder or a hub id
    adapter: str | None = None  # go on training this adapter instead of a new one
    deck: str = "flashcards"  # whose index is used, where none is named
    index: Path | None = None
    split_stamp: str | None = None  # if given, the index must have this split
    seed: int = 20260801
    rows: RowsConfig = RowsConfig()
    lora: LoraSettings = LoraSettings()

    # `auto`: NF4 with double quantisation on CUDA, none on a CPU, where it only costs time.
    quantization: Literal["auto", "nf4", "none"] = "auto"
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    # `auto`: paged AdamW 8-bit on CUDA. The paged ones become plain AdamW on a CPU.
    optimizer: Literal["auto", "adamw", "paged_adamw_8bit", "paged_adamw_32bit"] = "auto"
    learning_rate: float = Field(2e-4, gt=0, lt=1)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(0.03, ge=0)  # below 1 a share of the steps, else their number
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(0.3, gt=0)
    neftune_alpha: float | None = Field(None, gt=0)  # https://arxiv.org/abs/2310.05914
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    batch: int = Field(1, ge=1)  # rows on a device; with packing: packs of max_tokens
    accumulation: int = Field(8, ge=1)
    packing: bool = True
    # `auto`: only where the run would not fit without it; it costs a third more work.
    gradient_checkpointing: Literal["auto"] | bool = "auto"
    group_by_length: bool = False

    # How often the validation loss is taken, besides the start, and a checkpoint written.
    validations: int = Field(10, ge=1)
    patience: int | None = Field(None, ge=1)  # stop after this many without a gain, keep the best
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    check_memory: bool = True  # stop before training where the estimate exceeds what is free

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.rows.limit == 0 and self.rows.dialogues is None:
            raise ValueError("rows.limit 0 leaves no rows: raise it, or name rows.dialogues")
        if self.packing and self.group_by_length:
            raise ValueError("group_by_length has no effect on packs: set packing to false")
        return self


def load_config(recipe: str) -> RunConfig:
    """A run by the name of a recipe (`default`, `reproduce/a-baseline`) or from a YAML file.

    Raises:
        ExpectedError: there is no such recipe or file, or one of its keys is unknown or bad.
    """
    path = recipe_path(recipe)
    return parse(read_yaml(path), path)


def recipe_path(recipe: str) -> Path:
    """The file of a recipe or of a path."""
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = recipes()
    if recipe not in known:
        raise ExpectedError(
            f"no recipe {recipe!r}: expected one of {', '.join(known)}, or a .yaml file"
        )
    return known[recipe]


def recipes() -> dict[str, Path]:
    """The recipes that are shipped, by name."""
    return {
        str(path.relative_to(RECIPES).with_suffix("")): path
        for path in sorted(RECIPES.rglob("*.yaml"))
    }


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ExpectedError: the file cannot be read or holds no mapping.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExpectedError(
            f"cannot read {str(path)!r}: {error.strerror or error}; expected a YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpectedError(f"{str(path)!r} is not YAML: {error}; correct it") from error
    if not isinstance(fields, dict):
        raise ExpectedError(
            f"{str(path)!r} holds a {type(fields).__name__}: expected keys with values"
        )
    return fields


def parse(fields: dict[str, Any], path: Path) -> RunConfig:
    """A run from the fields of a file; the run is named after the file unless it has a name.

    Raises:
        ExpectedError: names the first key that is unknown or has a bad value.
    """
    try:
        return RunConfig.model_validate({"name": path.stem, **fields})
    except ValidationError as error:
        raise ExpectedError(f"{str(path)!r}, {complaint(error)}") from error


def first_error(error: ValidationError) -> Any:
    """The fault to mend first: a misspelt key is often why another one is missing."""
    return min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")


def complaint(error: ValidationError) -> str:
    """The first fault of a configuration, in one phrase."""
    first = first_error(error)
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "extra_forbidden":
        fields = RunConfig.model_fields
        if first["loc"][:1] == ("rows",):
            fields = RowsConfig.model_fields
        elif first["loc"][:1] == ("lora",):
            fields = LoraSettings.model_fields
        return f"key {where!r}: there is no such key; expected one of {', '.join(fields)}"
    return f"key {where!r}: {first['msg']}; got {first['input']!r}"


def dump(config: RunConfig) -> str:
    """The resolved run as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
