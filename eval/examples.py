"""Which answers a reader should see: best, worst, most changed, and where retrieval harmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.config import CLOSED_BOOK
from eval.records import Predictions, Row
from eval.score import Scores

_EACH = 3
_SHOWN_WORLDS = (CLOSED_BOOK, "gold", "removed")


@dataclass(frozen=True)
class Side:
    """What one series answered, with citation marks, and its token F1."""

    label: str
    status: str
    text: str
    f1: float | None


@dataclass(frozen=True)
class Example:
    """A question with its card's answer and everybody's answers."""

    question: str
    topic: str | None
    reference: str
    sides: list[Side]


def choose(scores: Scores, predictions: Predictions) -> list[tuple[str, str, list[Example]]]:
    """Groups of examples: title, how they were chosen, the examples."""
    labels = [k for k, v in scores.series.items() if v.protocol is None]
    main = _first(labels, ("tuned+rag, gold", f"tuned, {CLOSED_BOOK}", "base+rag, gold",
                           f"base, {CLOSED_BOOK}", "extractive, gold"))  # fmt: skip
    if main is None:
        return []
    f1 = {item: v for item, v in scores.values[main]["token_f1"].items() if v is not None}
    order = sorted(f1, key=lambda item: (f1[item], item))
    rows = {(row.item, row.label): row for row in predictions.rows}
    shown = [label for label in labels if scores.series[label].world in _SHOWN_WORLDS]

    def group(title: str, why: str, items: Sequence[str]) -> tuple[str, str, list[Example]]:
        found = [_example(item, shown, rows, scores) for item in items[:_EACH]]
        return title, why, [one for one in found if one is not None]

    groups = [
        group("Best", f"the highest token F1 of {main}", order[::-1]),
        group("Worst", f"the lowest token F1 of {main}", order),
    ]
    before = _before(labels, main)
    if before:
        old = scores.values[before]["token_f1"]
        change = {i: f1[i] - v for i in f1 if (v := old.get(i)) is not None}
        most = sorted(change, key=lambda item: (-abs(change[item]), item))
        why = f"the largest change of token F1 between {before} and {main}"
        groups.append(group("Most changed", why, most))
    for helped in scores.helped:
        if helped.harmed_items:
            why = f"right without cards ({helped.without}), wrong with them ({helped.with_cards})"
            groups.append(group("Where retrieval harmed", why, helped.harmed_items))
    return [one for one in groups if one[2]]


def _first(labels: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((label for label in wanted if label in labels), None)


def _before(labels: Sequence[str], main: str) -> str | None:
    """What the main series is held against."""
    system = main.partition(",")[0]
    plain = f"{system.removesuffix('+rag')}, {CLOSED_BOOK}"
    choices = [plain, f"base, {CLOSED_BOOK}", f"{system}, removed"]
    return _first(labels, [label for label in choices if label != main])


def _example(
    item: str, labels: Sequence[str], rows: dict[tuple[str, str], Row], scores: Scores
) -> Example | None:
    found = [(label, row) for label in labels if (row := rows.get((item, label))) is not None]
    if not found:
        return None
    one = found[0][1]
    sides = [
        Side(label, row.status, _marked(row), scores.values[label]["token_f1"].get(item))
        for label, row in found
    ]
    return Example(one.question, one.topic, one.reference, sides)


def _marked(row: Row) -> str:
    if not row.sentences or row.status != "answered":
        return row.text
    parts = [said.text + "".join(f" [{n + 1}]" for n in said.citations) for said in row.sentences]
    return " ".join(parts)
