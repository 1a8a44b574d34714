"""Deployment settings, from environment variables that start with MEDCARDS_."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.errors import ExpectedError

Profile = Literal["auto", "embedded", "full"]
Quantization = Literal["q8_0", "q4_0", "f16"]

REMOTE = "openai:"
LONGEST_QUESTION = 20_000  # characters, the most that a deployment may allow
_ENGINES = ("auto", "extractive", "llamacpp", "transformers")


def _generator(value: str) -> str:
    if value in _ENGINES or re.fullmatch(rf"{REMOTE}https?://\S+", value):
        return value
    raise ValueError(f"expected one of {', '.join(_ENGINES)}, or {REMOTE}http://HOST:PORT/v1")


class Settings(BaseSettings):
    """What is served and within which limits."""

    model_config = SettingsConfigDict(env_prefix="MEDCARDS_", frozen=True, extra="ignore")

    profile: Profile = "auto"
    index: Path | None = None  # an index folder; by default that of the profile's deck
    # The model of the full profile: a folder, a hub id, a .gguf file or OWNER/NAME/FILE.gguf.
    base: str = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
    adapter: str | None = None  # LoRA adapter of the full profile: folder, hub id or .gguf file
    # What writes the answers of the full profile: auto is llama.cpp on a CPU and transformers in
    # NF4 on CUDA; openai:http://HOST:PORT/v1 is any endpoint that speaks OpenAI's protocol.
    generator: Annotated[str, AfterValidator(_generator)] = "auto"
    quantization: Quantization = "q8_0"  # of the GGUF file that is made for llama.cpp
    slots: int = Field(4, ge=1, le=64)  # answers at a time in llama.cpp; more of them wait
    threads: int = Field(0, ge=0, le=512)  # for llama.cpp; 0: the cores of this process
    model: str | None = None  # the name of the model, or of its LoRA, at an openai: endpoint
    api_key: SecretStr = SecretStr("none")  # for an openai: endpoint
    answer_seconds: float = Field(120, gt=0, le=3600)  # after which an answer ends with its cards
    cached_answers: int = Field(512, ge=0, le=100_000)  # kept for questions that come again
    device: Literal["auto", "cpu", "cuda"] = "auto"
    top_k: int = Field(5, ge=1, le=20)  # cards that are found
    vectors: str | None = None  # the URI of a Milvus that holds the index's vectors
    reranker: str | None = None  # a cross-encoder that orders them again: folder or hub id
    prompt_cards: int = Field(3, ge=1, le=5)  # cards that the generator reads
    max_new_tokens: int = Field(160, ge=16, le=512)
    temperature: float = Field(0.0, ge=0, le=2)
    max_question_chars: int = Field(2_000, ge=50, le=LONGEST_QUESTION)


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
