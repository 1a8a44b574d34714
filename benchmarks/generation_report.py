"""The table and the plot of `benchmarks/generation.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BASELINE = "transformers-fp32"
# Key, heading, whether less is better.
COLUMNS = (
    ("load_s", "load, s", True),
    ("first_token_s", "first token, s", True),
    ("second_turn_s", "second turn, s", True),
    ("decode_tokens_per_s", "decode, tokens/s", False),
    ("answer_s", "120 tokens, s", True),
    ("peak_gb", "peak memory, GB", True),
)


def write(rows: dict[str, Any], folder: Path) -> None:
    """Write `generation.json`, `generation-table.md` and `generation.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "generation.json").write_text(json.dumps(rows, indent=1) + "\n")
    (folder / "generation-table.md").write_text(table(rows) + "\n" + crowd_table(rows))
    plot(rows, folder / "generation.png")


def table(rows: dict[str, Any]) -> str:
    """One user; in brackets the ratio to transformers in fp32."""
    lines = [
        "| engine | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    base = rows.get(BASELINE)
    for name, row in rows.items():
        cells = []
        for key, _, _ in COLUMNS:
            ratio = f" ({row[key] / base[key]:.2f} x)" if base and name != BASELINE else ""
            cells.append(f"{row[key]:.2f}{ratio}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def crowd_table(rows: dict[str, Any]) -> str:
    """Several users at the same moment."""
    lines = [
        "| engine | users | tokens/s together | first token, s (median) | slowest answer, s |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        for users, crowd in row["users"].items():
            lines.append(
                f"| {name} | {users} | {crowd['tokens_per_s']:.2f} | {crowd['first_token_s']:.1f} "
                f"| {crowd['slowest_answer_s']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def plot(rows: dict[str, Any], file: Path) -> None:
    """One panel for each figure, one bar for each engine."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 3, figsize=(11, 5.5), layout="constrained")
    names = list(rows)
    for panel, (key, heading, less) in zip(panels.flat, COLUMNS, strict=True):
        bars = panel.barh(names, [rows[name][key] for name in names], color="#2a6f97")
        panel.bar_label(bars, fmt="%.2f", padding=3)
        panel.set_title(f"{heading} ({'less' if less else 'more'} is better)", fontsize=10)
        panel.invert_yaxis()
        panel.margins(x=0.2)
        panel.spines[["top", "right"]].set_visible(False)
        if panel not in panels[:, 0]:
            panel.set_yticklabels([])
    figure.savefig(file, dpi=110)
