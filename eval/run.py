"""Ask every system every held-out question in every world; each answer is a row on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import platform
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from assistant import prompts
from eval import checks, records, weights
from eval.config import CLOSED_BOOK, EvalConfig, System, uses_cards
from eval.records import Header, Row, Weights
from eval.systems import Asker, missing, open_generator
from eval.worlds import Item, Worlds
from index import manifest
from index.errors import ExpectedError

logger = logging.getLogger(__name__)

_PACKAGES = ("medcards", "torch", "transformers", "peft", "sacrebleu", "rouge-score", "numpy")


def run(config: EvalConfig, named: bool = True) -> Path:
    """Write the predictions of a configuration and return their path; goes on with what is there.

    Args:
        named: the systems were asked for by name; otherwise those that lack weights are left out.

    Raises:
        ExpectedError: weights are missing, nothing is held out, or another run holds the folder.
        RunMismatchError: what is there was made with another index, split, adapter or setting.
    """
    systems = _possible(config, named)
    worlds = Worlds(config.index, config.top_k, config.related)
    items = worlds.items(config.limit, config.seed)
    if not items:
        raise ExpectedError(
            f"the index {str(config.index)!r} holds out no card: expected a test side; build it "
            "with a split that has one"
        )
    config = config.model_copy(update={"systems": systems})
    header = _header(config, worlds)
    path = config.out / records.PREDICTIONS
    config.out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(config.out / ".lock", timeout=0):
            _go_on(config, header, worlds, items, path)
    except Timeout as error:
        raise ExpectedError(
            f"another run writes to {str(config.out)!r}: wait for it, or give another --out"
        ) from error
    return path


def _possible(config: EvalConfig, named: bool) -> tuple[System, ...]:
    lacking = {s: what for s in config.systems if (what := missing(s, config))}
    lines = "; ".join(f"{system} needs {what}" for system, what in lacking.items())
    if lacking and named:
        raise ExpectedError(f"{lines}; 'extractive' needs no weights")
    if lacking:
        logger.info("left out: %s", lines)
    return tuple(s for s in config.systems if s not in lacking)


def _header(config: EvalConfig, worlds: Worlds) -> Header:
    """Everything that another run must share for their answers to be comparable."""
    record = worlds.retriever.manifest
    base = weights.describe(config.base) if config.base else None
    adapter = weights.describe(config.adapter) if config.adapter else None
    leaks = _leaks(config, worlds, adapter)
    for name, one in (("base", base), ("adapter", adapter)):
        # An adapter that lists its cards is judged by them, whatever split they were drawn with.
        listed = name == "adapter" and leaks == ()
        if one and one.split_stamp and not listed:
            worlds.split.require(one.split_stamp, f"the {name} {one.name!r}")
    return Header(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=config.seed,
        generation=record.generation,
        deck_hash=record.deck_hash,
        decks=record.decks,
        cards=record.cards,
        test_cards=record.split_counts["test"],
        embedder=record.embedder.model_dump(),
        split_stamp=worlds.split.stamp,
        relevance_sha256=record.files[manifest.RELEVANCE].sha256,
        assistant_sha256=_assistant_hash(),
        base=base,
        adapter=adapter,
        training_leaks=leaks,
        versions=_versions(),
        cpus=os.cpu_count() or 1,
        config=config.model_dump(mode="json", exclude={"out", "index"}),
    )


def _leaks(config: EvalConfig, worlds: Worlds, adapter: Weights | None) -> tuple[str, ...] | None:
    """Test cards that the adapter says it was trained on; None if it does not say."""
    if config.adapter is None or adapter is None or not Path(config.adapter).is_dir():
        return None
    trained = weights.provenance(Path(config.adapter)).get("train_ids")
    if not isinstance(trained, list):
        return None
    return tuple(checks.trained_on(worlds.items(None, config.seed), trained))


def _assistant_hash() -> str:
    """Of the code, rules and fitted weights between question and answer; the small Llama apart."""
    folder = Path(prompts.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        place = path.relative_to(folder)
        if place.parts[0] != "pocket" and path.suffix != ".pyc":
            digest.update(f"{place.as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _go_on(
    config: EvalConfig, header: Header, worlds: Worlds, items: list[Item], path: Path
) -> None:
    rows: list[Row] = []
    before = records.recover(path)
    if before:
        old, rows = before
        header = records.merged(old, header)
        rows = [row for row in rows if row.status != "failed"]  # what failed is tried again
        logger.info("going on: %s answers are there", f"{len(rows):,}")
    records.write(path, header, rows)
    done = {row.key for row in rows}
    plan = [
        (system, world, todo)
        for system in config.systems
        for world in (config.worlds if uses_cards(system) else (CLOSED_BOOK,))
        if (todo := [i for i in items if (i.card.id, system, world, None) not in done])
    ]
    total = sum(len(todo) for *_, todo in plan)
    timed = {item.card.id for item in items[: config.timed if config.batch > 1 else None]}
    with tqdm(total=total, unit=" answers", file=sys.stderr, disable=not total) as bar:
        for row in _rows(plan, config, worlds, timed, bar):
            records.append(path, row)
            bar.update()
    if config.protocol:
        from eval import protocols

        for row in protocols.rows(config, items, done):
            records.append(path, row)


def _rows(
    plan: list[tuple[System, str, list[Item]]],
    config: EvalConfig,
    worlds: Worlds,
    timed: Collection[str],
    bar: tqdm[None],
) -> Iterator[Row]:
    opened: System | None = None
    generator = None
    for system, world, todo in plan:
        if system != opened or generator is None:
            generator = None  # the former weights go before the next ones come
            generator, opened = open_generator(system, config), system
        bar.set_description(f"{system}, {world}")
        asker = Asker(system, world, generator, worlds, config)
        asker.check_loss(todo)
        alone = [item for item in todo if item.card.id in timed]
        together = [item for item in todo if item.card.id not in timed]
        yield from asker.rows(alone, together=False)
        for start in range(0, len(together), config.batch):
            yield from asker.rows(together[start : start + config.batch], together=True)
