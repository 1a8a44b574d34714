"""Wire an assistant from settings: the only place that chooses index, embedder and generator."""

from __future__ import annotations

import logging
from pathlib import Path

from assistant.extractive import ExtractiveGenerator
from assistant.generator import Generator
from assistant.pipeline import Assistant
from assistant.settings import Settings
from assistant.transformers_generator import TransformersGenerator
from index import build as index_build
from index import manifest
from index.config import IndexConfig
from index.decks import STARTER
from index.errors import ExpectedError, IndexMissingError
from index.hub import FLASHCARDS
from index.paths import default_index
from index.retrieve import open_index

logger = logging.getLogger(__name__)


def build_assistant(settings: Settings) -> Assistant:
    """The assistant of a profile, with what is on this disk.

    `auto` takes the full deck and model where they are, else the embedded ones; `embedded` takes
    the starter deck and the cards' own sentences; `full` insists on deck and model.

    Raises:
        ExpectedError: what the profile insists on is not there; says what to do.
    """
    retriever = open_index(_index(settings), top_k=settings.top_k)
    assistant = Assistant(retriever, _generator(settings), settings)
    logger.info("in service: %s; %s", assistant.generator.name, assistant.index_name)
    return assistant


def _index(settings: Settings) -> Path:
    if settings.index is not None:
        return settings.index
    full, starter = default_index(FLASHCARDS), default_index(STARTER)
    if settings.profile == "full" or (settings.profile == "auto" and _is_index(full)):
        return full
    if not _is_index(starter):
        logger.info("building the starter index (once)")
        index_build.build(IndexConfig(decks=(STARTER,), out=starter))
    return starter


def _is_index(folder: Path) -> bool:
    try:
        manifest.read(folder)
    except IndexMissingError:
        return False
    return True


def _generator(settings: Settings) -> Generator:
    if settings.profile == "embedded":
        return ExtractiveGenerator()
    if settings.profile == "full" or _on_disk(settings.base):
        generator = TransformersGenerator(settings.base, settings.adapter, settings.device)
        if settings.profile == "full":
            generator.load()  # whoever insists on the model wants to know now if it is not there
        return generator
    return ExtractiveGenerator()


def _on_disk(checkpoint: str) -> bool:
    """Whether a checkpoint can be loaded without a network."""
    if Path(checkpoint).is_dir():
        return True
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    try:
        return isinstance(try_to_load_from_cache(checkpoint, "config.json"), str)
    except ValueError as error:  # not a valid hub id
        raise ExpectedError(
            f"MEDCARDS_BASE={checkpoint!r}: expected a folder or a hub id such as owner/name"
        ) from error
