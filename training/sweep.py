"""A grid of runs that survives a failed one and ends in one table and one plot.

Each run has its own process: a crash or a kill for memory ends that run only, and its peak memory
is its own. A sweep that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import ExpectedError
from index.paths import REPOSITORY, home
from training import folder
from training.config import RunConfig, complaint, dump, first_error, parse, read_yaml, recipe_path
from training.estimate import duration

logger = logging.getLogger(__name__)

TABLE = "table.md"
PLOT = "sweep.png"
GIGABYTE = 1e9

Launch = Callable[[Path, Path], str | None]  # YAML file, folder -> why it failed, or None


class Plan(BaseModel):
    """A sweep: a recipe, what all runs change in it, and the grid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("sweep", pattern=r"^[\w.-]+$")
    recipe: str = "default"
    set: dict[str, Any] = {}  # key of a run, dotted where it is nested -> value
    grid: dict[str, list[Any]] = Field(min_length=1)  # key -> values


@dataclass(frozen=True)
class Outcome:
    """One run of a sweep."""

    name: str
    settings: Mapping[str, Any]
    record: Mapping[str, Any] | None  # None: it failed
    failure: str | None


def load_plan(path: Path) -> Plan:
    """Read a sweep.

    Raises:
        ExpectedError: the file is missing or has an unknown or bad key.
    """
    try:
        return Plan.model_validate({"name": path.stem, **read_yaml(path)})
    except ValidationError as error:
        first = first_error(error)
        where = ".".join(str(part) for part in first["loc"])
        raise ExpectedError(
            f"{str(path)!r}, key {where!r}: {first['msg']}; expected the keys "
            f"{', '.join(Plan.model_fields)}"
        ) from error


def configs(plan: Plan, given: Mapping[str, Any]) -> list[tuple[dict[str, Any], RunConfig]]:
    """The settings that differ and the whole configuration, for each run.

    Raises:
        ExpectedError: a key or value of the grid is none of a run's. Nothing has started then.
    """
    path = recipe_path(plan.recipe)
    found = []
    for values in itertools.product(*plan.grid.values()):
        settings = dict(zip(plan.grid, values, strict=True))
        fields = read_yaml(path)
        for key, value in {**plan.set, **settings, **given}.items():
            _put(fields, key, value)
        fields["name"] = _name(settings)
        try:
            found.append((settings, RunConfig.model_validate(fields)))
        except ValidationError as error:
            raise ExpectedError(f"sweep {plan.name!r}, {complaint(error)}") from error
    return found


def run(
    plan: Plan, given: Mapping[str, Any], out: Path | None, launch: Launch | None = None
) -> str:
    """Run the grid; returns the table, which is written into the sweep's folder with the plot."""
    launch = launch or in_own_process
    where = out or home() / "sweeps" / plan.name
    where.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    planned = configs(plan, given)
    for number, (settings, config) in enumerate(planned, start=1):
        target = where / config.name
        file = where / f"{config.name}.yaml"
        if not _same(file, config):
            file.write_text(dump(config), encoding="utf-8")
        logger.info("run %d of %d: %s", number, len(planned), config.name)
        failure = None if (target / folder.RECORD).exists() else launch(file, target)
        if failure:
            logger.warning("run %s failed: %s", config.name, failure)
            outcomes.append(Outcome(config.name, settings, None, failure))
        else:
            _, record = folder.read_run(target)
            outcomes.append(Outcome(config.name, settings, record, None))
        text = table(outcomes)  # after each run: an interrupted sweep leaves what it has
        (where / TABLE).write_text(text, encoding="utf-8")
    plot(outcomes, where / PLOT)
    return text


def in_own_process(file: Path, target: Path) -> str | None:
    """Train in a process of its own, going on where an earlier one stopped."""
    command = [sys.executable, "-m", "training", "run", str(file.resolve()), "--resume"]
    command += ["--out", str(target.resolve())]
    # The working folder stays: the configuration may name folders relative to it.
    found = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    finished = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": found},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if finished.returncode == 0:
        return None
    (target.parent / f"{target.name}.log").write_text(finished.stderr, encoding="utf-8")
    if finished.returncode < 0:
        return f"killed by signal {-finished.returncode}; out of memory is the usual reason"
    lines = finished.stderr.strip().splitlines() or ["no message"]
    return lines[-1].removeprefix("error: ")


def table(outcomes: Sequence[Outcome]) -> str:
    """The runs as a Markdown table, best first, the failed ones last with their reason."""
    keys = list(outcomes[0].settings)
    heads = [*keys, "loss", "bits/character", "memory, GB", "time", "tokens/s", ""]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for outcome in sorted(outcomes, key=_rank):
        cells = [_text(outcome.settings[key]) for key in keys]
        record = outcome.record
        if record is None:
            cells += ["-", "-", "-", "-", "-", f"failed: {outcome.failure}"]
        else:
            cells += [
                _number(record["validation_loss"], 4),
                _number(record["bits_per_character"], 4),
                _number(record["peak_memory_bytes"] / GIGABYTE, 2),
                duration(record["seconds"]) + (" (resumed)" if record["resumed"] else ""),
                _number(record["tokens_per_second"], 0),
                "",
            ]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Loss, bits per character, memory and time of the runs that finished, as bars."""
    from matplotlib.figure import Figure

    done = [o for o in sorted(outcomes, key=_rank, reverse=True) if o.record is not None]
    figure = Figure(figsize=(12, 1.6 + 0.35 * len(done)), layout="constrained")
    panels: tuple[tuple[str, str, float], ...] = (
        ("validation loss", "validation_loss", 1),
        ("bits per character", "bits_per_character", 1),
        ("peak memory, GB", "peak_memory_bytes", GIGABYTE),
        ("time, s", "seconds", 1),
    )
    for axes, (title, key, unit) in zip(figure.subplots(1, 4, sharey=True), panels, strict=True):
        values = [(o.record or {}).get(key) or 0 for o in done]
        axes.barh([o.name for o in done], [value / unit for value in values])
        axes.set_title(title)
    figure.savefig(path, dpi=120)


def _put(fields: dict[str, Any], key: str, value: Any) -> None:
    *outer, last = key.split(".")
    for part in outer:
        fields = fields.setdefault(part, {})
    fields[last] = value


def _name(settings: Mapping[str, Any]) -> str:
    parts = (f"{key.rpartition('.')[2]}-{_text(value)}" for key, value in settings.items())
    return re.sub(r"[^\w.-]+", "-", "_".join(parts)).strip("-")


def _same(file: Path, config: RunConfig) -> bool:
    if not file.exists():
        return False
    if parse(yaml.safe_load(file.read_text(encoding="utf-8")), file) != config:
        raise ExpectedError(
            f"{str(file)!r} belongs to a sweep with other settings: give another --out"
        )
    return True


def _rank(outcome: Outcome) -> tuple[bool, float]:
    loss = outcome.record and outcome.record["bits_per_character"]
    return (outcome.record is None, loss if isinstance(loss, float) else float("inf"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
