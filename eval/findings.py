"""What the values of the series say together: differences, refusals, help and harm, breakdowns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from eval import refusal, stats
from eval.config import CLOSED_BOOK
from eval.measures import TESTED
from eval.metrics_trust import Refusal
from eval.records import Row
from eval.stats import Interval

RIGHT_AT = 0.5  # token F1 from which an answer counts as right where right or wrong is needed
Values = dict[str, dict[str, dict[str, float | None]]]  # series, measure, item


@dataclass(frozen=True)
class Figure:
    """A measure of a series: None where nothing could be measured; how many items are missing."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    missing: int


@dataclass(frozen=True)
class Difference:
    """`after` minus `before` on the items that both have, with p after Holm's correction."""

    before: str
    after: str
    measure: str
    mean: float
    low: float
    high: float
    n: int
    p: float
    p_holm: float
    detectable: float | None


@dataclass(frozen=True)
class Refusals:
    """How well confidence tells answerable questions from those that the cards cannot answer."""

    auroc: float | None
    aurc: float | None
    ece: float | None
    answered_gold: float
    answered_distractors: float
    curve: list[tuple[float, float]]
    bins: list[refusal.Bin]
    coverage: float  # share that is taken for covered at the thresholds in use


@dataclass(frozen=True)
class Helped:
    """Answers right (token F1 at least RIGHT_AT) without and with cards."""

    without: str
    with_cards: str
    helped: int
    harmed: int
    both_right: int
    both_wrong: int
    harmed_items: list[str]


def figure(values: Sequence[float | None]) -> Figure:
    """Mean with its interval over what was measured."""
    there = [value for value in values if value is not None]
    found = stats.interval(there)
    missing = len(values) - len(there)
    if found is None:
        return Figure(None, None, None, 0, missing)
    return Figure(found.mean, found.low, found.high, found.n, missing)


def comparisons(labels: Collection[str]) -> list[tuple[str, str]]:
    """Which series are compared: what changes between them is one thing."""
    closed = CLOSED_BOOK
    wanted = [
        (f"base, {closed}", f"tuned, {closed}"),
        (f"tuned, {closed}", "tuned+rag, gold"),
        (f"tuned, {closed}", "tuned+rag, removed"),
        (f"base, {closed}", "base+rag, gold"),
        (f"base, {closed}", "tuned+rag, gold"),
        ("base+rag, gold", "tuned+rag, gold"),
        ("extractive, gold", "tuned+rag, gold"),
        ("extractive, gold", "base+rag, gold"),
        ("tuned+rag, gold", "tuned+rag, removed"),
        ("base+rag, gold", "base+rag, removed"),
        ("extractive, gold", "extractive, removed"),
    ]
    return [(a, b) for a, b in wanted if a in labels and b in labels]


def paired(before: dict[str, float | None], after: dict[str, float | None]) -> list[float]:
    """After minus before for the items that both have measured."""
    return [
        new - old
        for item, old in before.items()
        if old is not None and (new := after.get(item)) is not None
    ]


def differences(labels: dict[str, list[Row]], values: Values) -> list[Difference]:
    found: list[tuple[str, str, str, Interval, float, float | None]] = []
    for before, after in comparisons(labels):
        for key in TESTED:
            if key not in values[before] or key not in values[after]:
                continue
            deltas = paired(values[before][key], values[after][key])
            spread, p = stats.interval(deltas), stats.permutation_p(deltas)
            if spread is not None and p is not None and spread.n > 1:
                found.append((before, after, key, spread, p, stats.detectable(deltas)))
    corrected = stats.holm([p for *_, p, _ in found])
    return [
        Difference(before, after, key, s.mean, s.low, s.high, s.n, p, p_holm, least)
        for (before, after, key, s, p, least), p_holm in zip(found, corrected, strict=True)
    ]


def refusals(labels: dict[str, list[Row]], values: Values) -> dict[str, Refusals]:
    systems = {rows[0].system for rows in labels.values() if rows[0].world == "gold"}
    found = {}
    for system in sorted(systems):
        series = [f"{system}, {world}" for world in ("gold", "distractors")]
        if any(label not in labels for label in series):
            continue
        rows = [r for label in series for r in labels[label] if r.confidence is not None]
        sure = [r.confidence for r in rows if r.confidence is not None]
        right = [bool(r.ranked and r.ranked[0] in r.relevant) for r in rows]
        whole = Refusal().compute(predictions=sure, references=[float(r) for r in right])
        answered = {label: values[label]["answered"].values() for label in series}
        shares = [_mean([v for v in answered[label] if v is not None]) for label in series]
        found[system] = Refusals(
            auroc=whole["auroc"],
            aurc=whole["aurc"],
            ece=whole["ece"],
            answered_gold=shares[0],
            answered_distractors=shares[1],
            curve=refusal.risk_coverage(sure, [1.0 - r for r in right]),
            bins=refusal.reliability(sure, right),
            coverage=_mean([float(bool(r.covered)) for r in rows]),
        )
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def helped(labels: dict[str, list[Row]], values: Values) -> list[Helped]:
    found = []
    for system in ("base", "tuned"):
        without, with_cards = f"{system}, {CLOSED_BOOK}", f"{system}+rag, gold"
        if without not in labels or with_cards not in labels:
            continue
        before, after = values[without]["token_f1"], values[with_cards]["token_f1"]
        pairs = {
            item: (old >= RIGHT_AT, new >= RIGHT_AT)
            for item, old in before.items()
            if old is not None and (new := after.get(item)) is not None
        }
        kinds = list(pairs.values())
        found.append(
            Helped(
                without=without,
                with_cards=with_cards,
                helped=kinds.count((False, True)),
                harmed=kinds.count((True, False)),
                both_right=kinds.count((True, True)),
                both_wrong=kinds.count((False, False)),
                harmed_items=[item for item, kind in pairs.items() if kind == (True, False)],
            )
        )
    return found


def _topics(rows: Sequence[Row]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.topic or ""):
        groups.setdefault(row.topic or "(no topic)", []).append(row.item)
    return groups


def _lengths(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Thirds by the length of the card's answer."""
    ordered = sorted(rows, key=lambda row: (len(row.reference.split()), row.item))
    cuts = [0, len(ordered) // 3, 2 * len(ordered) // 3, len(ordered)]
    groups: dict[str, list[str]] = {}
    for name, (start, end) in zip(("short", "medium", "long"), pairwise(cuts), strict=True):
        part = ordered[start:end]
        if part:
            low, high = len(part[0].reference.split()), len(part[-1].reference.split())
            groups[f"{name} ({low} to {high} words)"] = [row.item for row in part]
    return groups


def _by(groups: dict[str, list[str]], values: dict[str, float | None]) -> dict[str, Figure]:
    return {name: figure([values[item] for item in items]) for name, items in groups.items()}


def by_topic(rows: Sequence[Row], values: dict[str, float | None]) -> dict[str, Figure]:
    """A measure by topic."""
    return _by(_topics(rows), values)


def by_length(rows: Sequence[Row], values: dict[str, float | None]) -> dict[str, Figure]:
    """A measure by thirds of the length of the card's answer."""
    return _by(_lengths(rows), values)
