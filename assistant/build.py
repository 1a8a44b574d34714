"""Wire an assistant from settings: the only place that chooses index, embedder and generator."""

from __future__ import annotations

import logging
from pathlib import Path

from assistant import embedded, full, support
from assistant.extractive import ExtractiveGenerator
from assistant.generator import Generator
from assistant.pipeline import Assistant
from assistant.progress import Progress
from assistant.safety import score as safety
from assistant.settings import REMOTE, Settings
from index import build as index_build
from index import manifest
from index.config import IndexConfig
from index.decks import STARTER
from index.errors import ExpectedError, IndexMissingError
from index.hub import FLASHCARDS
from index.paths import default_index
from index.retrieve import CardRetriever, open_index

logger = logging.getLogger(__name__)


def build_assistant(settings: Settings, background: bool = False) -> Assistant:
    """The assistant of a profile.

    `embedded` takes the starter deck and the cards' own sentences; `full` the full deck and the
    model, fetched and built before it returns; `auto` the full ones where they are on this disk,
    else the embedded ones.

    Args:
        background: in `auto`, fetch and build what is missing while the assistant serves, then
            put it in service.

    Raises:
        ExpectedError: what the profile insists on cannot be had; says what to do.
    """
    safety.ready()  # what is missing is said now, not to the first who asks
    if settings.profile == "full":
        assistant = _full(settings)
    else:
        retriever = _open(_index(settings), settings)
        progress = Progress()
        later = background and settings.profile == "auto"  # what is missing is prepared meanwhile
        generator = _generator(settings, progress, at_once=later)
        assistant = Assistant(retriever, generator or ExtractiveGenerator(), settings)
        assistant.progress = progress
        if later:
            _promote(assistant, generator)
    logger.info("in service: %s; %s", assistant.generator.name, assistant.index_name)
    return assistant


def warm(assistant: Assistant) -> None:
    """Do once what the first question would wait for: many files are opened at first use."""
    hits, _ = assistant.retriever.judged("What is asthma?")
    support.check("Asthma is a disease of the airways.", [hit.card for hit in hits])


def _full(settings: Settings) -> Assistant:
    """Whoever insists on the full profile wants to know now if it cannot be had."""
    if settings.generator != "extractive":
        full.require_engine(settings)
    progress = Progress()
    retriever = _full_index(settings, progress)
    generator: Generator = ExtractiveGenerator()
    if settings.generator != "extractive":
        generator = full.make_generator(settings, progress)
        full.prove(generator)
    return Assistant(retriever, generator, settings)


def _full_index(settings: Settings, progress: Progress) -> CardRetriever:
    if settings.index is not None:
        return _open(settings.index, settings)
    return _open(full.make_index(progress), settings)


def _open(folder: Path, settings: Settings) -> CardRetriever:
    return open_index(
        folder, top_k=settings.top_k, reranker=settings.reranker, vectors=settings.vectors
    )


def _promote(assistant: Assistant, generator: Generator | None) -> None:
    """Start to prepare what the full profile has and this assistant has not.

    Args:
        generator: what is in service already and stays; None if it has to be made.
    """
    settings = assistant.settings
    has_index = settings.index is not None or _is_index(default_index(FLASHCARDS))
    if has_index and generator is not None:
        return
    assistant.progress.at("waiting", "the full profile")
    full.Promotion(
        assistant,
        retriever=lambda: _full_index(settings, assistant.progress),
        generator=lambda: generator or full.make_generator(settings, assistant.progress),
    ).start()


def _index(settings: Settings) -> Path:
    if settings.index is not None:
        return settings.index
    deck = default_index(FLASHCARDS)
    if settings.profile == "auto" and _is_index(deck):
        return deck
    starter = default_index(STARTER)
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


def _generator(settings: Settings, progress: Progress, at_once: bool) -> Generator | None:
    """What can write answers with what is on this disk; None if something better is wanted.

    Args:
        at_once: leave what takes minutes, such as converting a checkpoint, for later.
    """
    if settings.generator == "extractive":
        return ExtractiveGenerator()
    if settings.profile == "embedded":
        # The small model copies what the cards' own sentences say at once, and less faithfully:
        # it answers where it is asked for (docs/pocket.md has the figures).
        if settings.generator == "auto" or not embedded.is_there():
            return ExtractiveGenerator()
        settings = embedded.settings(settings)
    remote = settings.generator.startswith(REMOTE)
    if not remote and not full.is_local(settings):
        return None
    if at_once and not full.is_converted(settings):
        return None
    try:
        generator = full.make_generator(settings, progress)
        if not remote:  # an endpoint may come and go: each question finds out
            full.prove(generator)
    except ExpectedError as error:
        logger.warning("the model on this disk cannot serve: %s", error)
        progress.given_up(" ".join(str(error).split()))
        return None
    progress.reached()
    return generator
