"""Deployment settings, from environment variables that start with MEDCARDS_."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.errors import ExpectedError

Profile = Literal["auto", "embedded", "full"]


class Settings(BaseSettings):
    """What is served and within which limits."""

    model_config = SettingsConfigDict(env_prefix="MEDCARDS_", frozen=True, extra="ignore")

    profile: Profile = "auto"
    index: Path | None = None  # an index folder; by default that of the profile's deck
    base: str = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"  # of the full profile: folder or hub id
    adapter: str | None = None  # LoRA adapter of the full profile: folder or hub id
    device: Literal["auto", "cpu", "cuda"] = "auto"
    top_k: int = Field(5, ge=1, le=20)  # cards that are found
    prompt_cards: int = Field(3, ge=1, le=5)  # cards that the generator reads
    max_new_tokens: int = Field(160, ge=16, le=512)
    temperature: float = Field(0.0, ge=0, le=2)
    max_question_chars: int = Field(2_000, ge=50, le=20_000)


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        ExpectedError: a variable has a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"MEDCARDS_{str(first['loc'][0]).upper()}"
        raise ExpectedError(f"{name}={first['input']!r}: {first['msg']}; correct it") from error
