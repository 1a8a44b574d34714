"""From a predictions file alone to figures with intervals; nothing is generated here."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from eval import checks, findings
from eval.checks import Check
from eval.citations import Judge, held
from eval.columns import Columns, Embed, columns
from eval.findings import Difference, Figure, Helped, Refusals, figure
from eval.judges import open_judge
from eval.measures import BY_KEY, MEASURES
from eval.records import Header, Predictions, Row

logger = logging.getLogger(__name__)

SERVING_CHECK = "the serving support check"


@dataclass(frozen=True)
class Series:
    """One system in one world."""

    system: str
    world: str
    protocol: str | None
    items: int
    failed: int
    status: dict[str, int]
    figures: dict[str, Figure]
    corpus: dict[str, float | None]
    speed: dict[str, float | None]


@dataclass(frozen=True)
class Scores:
    """Everything that a report says. `values` are by series, measure and item."""

    header: Header
    sha256: str
    items: int
    judge: str
    notes: list[str]
    series: dict[str, Series]
    differences: list[Difference]
    refusals: dict[str, Refusals]
    helped: list[Helped]
    by_topic: dict[str, dict[str, Figure]]
    by_length: dict[str, dict[str, Figure]]
    checks: list[Check]
    values: dict[str, dict[str, dict[str, float | None]]]


def score(
    predictions: Predictions,
    embed: Embed | None,
    judge: Judge = held,
    judge_name: str = SERVING_CHECK,
) -> Scores:
    """All figures of a predictions file."""
    labels = predictions.labels()
    measured = {label: columns(rows, embed, judge) for label, rows in labels.items()}
    values = {
        label: {
            key: dict(zip((row.item for row in labels[label]), column, strict=True))
            for key, column in found.values.items()
        }
        for label, found in measured.items()
    }
    notes = [] if embed else ["The index's embedder is not at hand: cosine is missing."]
    sound = {k: v for k, v in labels.items() if v[0].protocol is None}
    return Scores(
        header=predictions.header,
        sha256=predictions.sha256,
        items=len({row.item for row in predictions.rows}),
        judge=judge_name,
        notes=notes,
        series={label: _series(rows, measured[label]) for label, rows in labels.items()},
        differences=findings.differences(sound, values),
        refusals=findings.refusals(sound, values),
        helped=findings.helped(sound, values),
        by_topic={k: findings.by_topic(v, values[k]["token_f1"]) for k, v in sound.items()},
        by_length={k: findings.by_length(v, values[k]["token_f1"]) for k, v in sound.items()},
        checks=checks.look(predictions),
        values=values,
    )


def score_with(predictions: Predictions, judge: str | None = None) -> Scores:
    """`score` with the embedder that the file names and a judge by name.

    Raises:
        ExpectedError: the judge cannot be loaded.
    """
    chosen = open_judge(judge)
    return score(predictions, open_embed(predictions.header), chosen, judge or SERVING_CHECK)


def _series(rows: Sequence[Row], found: Columns) -> Series:
    status: dict[str, int] = {}
    for row in rows:
        status[row.status] = status.get(row.status, 0) + 1
    speed: dict[str, float | None] = {}
    for key in ("first_token_ms", "total_ms"):
        there = [v for v in found.values[key] if v is not None]
        cut = quantiles(there, n=20, method="inclusive") if len(there) > 1 else []
        speed |= {f"{key}_p50": cut[9] if cut else None, f"{key}_p95": cut[18] if cut else None}
    peaks = [row.peak_mb for row in rows if row.peak_mb is not None]
    speed["peak_mb_max"] = max(peaks, default=None)
    speed["timed"] = sum(value is not None for value in found.values["total_ms"])
    return Series(
        system=rows[0].system,
        world=rows[0].world,
        protocol=rows[0].protocol,
        items=len(rows),
        failed=status.get("failed", 0),
        status=status,
        figures={m.key: figure(found.values[m.key]) for m in MEASURES if m.key in found.values},
        corpus=found.corpus,
        speed=speed,
    )


def write(scores: Scores, folder: Path) -> Path:
    """Write `scores.json` and, a line for each item and series, `item_scores.jsonl`."""
    fields = asdict(scores) | {"header": scores.header.model_dump(mode="json")}
    values = fields.pop("values")
    path = folder / "scores.json"
    path.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / "item_scores.jsonl").open("w", encoding="utf-8") as file:
        for label, by_key in values.items():
            for item in next(iter(by_key.values())):
                row = {key: by_key[key][item] for key in BY_KEY if key in by_key}
                line = {"series": label, "item": item, **row}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def open_embed(header: Header) -> Embed | None:
    """The embedder that made the index, or None (and a warning) where it cannot be had."""
    from index.embedder import embed, open_embedder
    from index.errors import ExpectedError

    try:
        embedder = open_embedder(str(header.embedder["name"]))
    except ExpectedError as error:
        logger.warning("cosine is missing: %s", error)
        return None
    if embedder.record.model_dump() != header.embedder:
        name = header.embedder["name"]
        logger.warning("cosine is missing: the embedder here is another version of %s", name)
        return None
    known: dict[str, Any] = {}

    def embed_once(texts: list[str]) -> list[Any]:
        """References and repeated answers come again in every series."""
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, embed(embedder.model, new) if new else [], strict=True))
        return [known[text] for text in texts]

    return embed_once
