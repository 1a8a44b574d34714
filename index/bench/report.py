"""The benchmark's results as Markdown and as a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from index.errors import ExpectedError

# Colour-blind safe (Okabe and Ito).
_COLOURS = ("#999999", "#56b4e9", "#009e73", "#0072b2", "#e69f00", "#f0e442", "#d55e00")
_SHIPPED = "tuned + BM25, shipped fusion"


def markdown(results: Mapping[str, Any]) -> str:
    """Tables of everything that was measured."""
    machine = results["machine"]
    lines = [
        "# Index benchmark",
        "",
        f"{machine['date']}, {machine['cores']} cores ({machine['processor']}), "
        f"Python {machine['python']}, deck {results['options']['deck']}.",
    ]
    for name, found in results["sets"].items():
        lines += [
            "",
            f"## {name}: {found['questions']:,} questions, {found['documents']:,} documents",
        ]
        lines += ["", *_table("system", found["systems"])]
        if "int8" in found:
            parts = {key: found["int8"][key] for key in ("stock call", "int8")}
            lines += [
                "",
                f"The stock weights, dense, {found['int8']['questions']:,} questions on "
                f"{found['int8']['documents']:,} documents:",
                "",
                *_table("computed by", parts),
            ]
    lines += ["", "## Speed and memory", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _speed(results)]
    return "\n".join(lines) + "\n"


def _table(corner: str, rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    measures = list(next(iter(rows.values())))
    best = {m: max(row[m] for row in rows.values()) for m in measures}
    head = [f"| {corner} | {' | '.join(measures)} |", "|---" * (len(measures) + 1) + "|"]
    return head + [
        f"| {name} | "
        + " | ".join(f"**{v:.4f}**" if v == best[m] else f"{v:.4f}" for m, v in row.items())
        + " |"
        for name, row in rows.items()
    ]


def _speed(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if embedding := results.get("embedding"):
        rows += [
            ("cards/s, stock call (a card and its question)", f"{embedding['stock cards/s']:.0f}"),
            ("cards/s, ours", f"{embedding['our cards/s']:.0f}"),
            (
                "ratio, median and range of rounds",
                f"{embedding['ratio']:.2f} ({embedding['lowest ratio']:.2f} to "
                f"{embedding['highest ratio']:.2f})",
            ),
            ("ratio for the card alone", f"{embedding['ratio, whole alone']:.2f}"),
        ]
    latency = results["latency"]
    rows.append(
        (
            f"query on {latency['cards']:,} cards, ms p50 / p95",
            f"{latency['p50 ms']:.1f} / {latency['p95 ms']:.1f}",
        )
    )
    if results["memory MB"] is not None:
        rows.append(("peak memory of a process that serves it, MB", f"{results['memory MB']:.0f}"))
    if large := results.get("large"):
        of = f"{large['vectors']:,} vectors ({large['structure']})"
        settings = ", ".join(f"{key} {value}" for key, value in large["parameters"].items())
        rows += [
            (f"{of}, settings", settings or "none"),
            (f"{of}, recall@10 against exact", f"{large['recall@10 against exact']:.4f}"),
            (f"{of}, search ms p50 / p95", f"{large['p50 ms']:.1f} / {large['p95 ms']:.1f}"),
            (f"{of}, build s / open s", f"{large['build s']:.0f} / {large['open s']:.2f}"),
            (f"{of}, file MB", f"{large['file MB']:,.0f}"),
        ]
    return rows


def plot(results: Mapping[str, Any], path: Path) -> None:
    """nDCG@10 of every system on every set, and cards embedded a second, as a PNG.

    Raises:
        ExpectedError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExpectedError(
            "the plot needs matplotlib: pip install 'medcards[eval]'; the tables are written"
        ) from error
    sets = results["sets"]
    systems = list(dict.fromkeys(s for found in sets.values() for s in found["systems"]))
    figure = Figure(figsize=(10, 1.6 + 1.5 * max(len(sets), 1)), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(4, 1))
    height = 0.8 / max(len(systems), 1)
    for place, system in enumerate(systems):
        values = [found["systems"][system]["nDCG@10"] for found in sets.values()]
        where = [i + (place + 0.5) * height - 0.4 for i in range(len(sets))]
        bars = left.barh(
            where, values, height, label=system, color=_COLOURS[place % len(_COLOURS)],
            edgecolor="black" if system == _SHIPPED else "none",
        )  # fmt: skip
        left.bar_label(bars, fmt="%.3f", padding=2, fontsize=7)
    left.set_yticks(range(len(sets)), list(sets), fontsize=8)
    left.invert_yaxis()
    left.set_xlim(0, 1.08)
    left.set_xlabel("nDCG@10 (outlined: what is shipped)")
    left.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=2)
    embedding = results.get("embedding")
    if embedding:
        rates = [embedding["stock cards/s"], embedding["our cards/s"]]
        right.bar_label(right.bar(["stock call", "ours"], rates, color=_COLOURS[1:4:2]), fmt="%.0f")
    right.set_ylabel("cards embedded a second")
    figure.savefig(path)
