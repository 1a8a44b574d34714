"""The report's plots, as data URIs of PNG images."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eval.findings import Difference, Refusals
from eval.measures import BY_KEY
from eval.score import Scores

# Colour-blind safe (Okabe and Ito); one colour a system on every plot.
COLOURS = {
    "extractive": "#666666",
    "base": "#56b4e9",
    "tuned": "#0072b2",
    "base+rag": "#e69f00",
    "tuned+rag": "#d55e00",
}
_WIDTH = 7.2  # inches
_DPI = 110


def closeness(scores: Scores, labels: Sequence[str]) -> str | None:
    """Token F1 of each series with its interval."""
    points = [
        (label, figure)
        for label in labels
        if (figure := scores.series[label].figures["token_f1"]).mean is not None
    ]
    if not points:
        return None
    with _figure(0.9 + 0.34 * len(points)) as (figure_, axes):
        for place, (label, one) in enumerate(reversed(points)):
            _interval(axes, place, one.mean, one.low, one.high, _colour(label))
        axes.set_yticks(range(len(points)), [label for label, _ in reversed(points)])
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("token F1 with 95 % interval (1 = the card's own words)")
        return _uri(figure_)


def differences(found: Sequence[Difference], key: str) -> str | None:
    """What each change does to one measure, with intervals; filled where it is beyond chance."""
    rows = [one for one in found if one.measure == key]
    if not rows:
        return None
    with _figure(0.9 + 0.4 * len(rows)) as (figure, axes):
        for place, one in enumerate(reversed(rows)):
            sure = one.p_holm < 0.05
            _interval(axes, place, one.mean, one.low, one.high, _colour(one.after), sure)
        names = [f"{one.before}  →  {one.after}" for one in reversed(rows)]
        axes.set_yticks(range(len(rows)), names)
        axes.axvline(0, color="#888888", linewidth=1)
        axes.set_xlabel(f"difference in {BY_KEY[key].title} (hollow: could be chance)")
        return _uri(figure)


def risk_coverage(refusals: Mapping[str, Refusals]) -> str | None:
    """Share of wrong answers as ever more questions are answered."""
    if not refusals:
        return None
    with _figure(3.6) as (figure, axes):
        for system, one in refusals.items():
            shares = [coverage for coverage, _ in one.curve]
            risks = [risk for _, risk in one.curve]
            axes.plot(shares, risks, color=_colour(system), label=system)
            at = min(range(len(shares)), key=lambda i: abs(shares[i] - one.coverage))
            axes.plot(shares[at], risks[at], "o", color=_colour(system))
        axes.set_xlabel("share of the questions that are answered, surest first (dot: as served)")
        axes.set_ylabel("share with the wrong card")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.02, 1)
        axes.legend(frameon=False)
        return _uri(figure)


def reliability(refusals: Mapping[str, Refusals]) -> str | None:
    """How often an answer of a stated confidence has the right card."""
    if not refusals:
        return None
    with _figure(3.6) as (figure, axes):
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--")
        for system, one in refusals.items():
            sizes = [20 + 3 * each.count for each in one.bins]
            sure = [each.confidence for each in one.bins]
            right = [each.right for each in one.bins]
            axes.plot(sure, right, color=_colour(system), linewidth=1, label=system)
            axes.scatter(sure, right, s=sizes, color=_colour(system), alpha=0.6)
        axes.set_xlabel("stated confidence (larger dot: more questions; dashed line: calibrated)")
        axes.set_ylabel("share with the right card")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.05, 1.05)
        axes.legend(frameon=False, loc="upper left")
        return _uri(figure)


def lengths(scores: Scores, labels: Sequence[str]) -> str | None:
    """Length of the answers as a multiple of the card's."""
    ratios = {
        label: [v for v in scores.values[label]["length_ratio"].values() if v is not None and v > 0]
        for label in labels
    }
    ratios = {label: values for label, values in ratios.items() if values}
    if not ratios:
        return None
    with _figure(0.9 + 0.34 * len(ratios)) as (figure, axes):
        names = list(reversed(ratios))
        boxes = axes.boxplot(
            [ratios[name] for name in names],
            orientation="horizontal",
            patch_artist=True,
            showfliers=False,
        )
        for name, box, median in zip(names, boxes["boxes"], boxes["medians"], strict=True):
            box.set(facecolor=_colour(name), alpha=0.6, linewidth=0.8)
            median.set(color="black")
        axes.set_yticks(range(1, len(names) + 1), names)
        axes.axvline(1, color="#888888", linewidth=1, linestyle="--")
        axes.set_xlabel("words of the answer over words of the card's (answered questions)")
        return _uri(figure)


def _interval(
    axes: Any, place: int, mean: float | None, low: float | None, high: float | None,
    colour: str, filled: bool = True,
) -> None:  # fmt: skip
    if mean is None or low is None or high is None:
        return
    axes.plot([low, high], [place, place], color=colour, linewidth=2)
    axes.plot(mean, place, "o", color=colour, markerfacecolor=colour if filled else "white")


def _colour(label: str) -> str:
    return COLOURS.get(label.split(",")[0], "#333333")


@contextmanager
def _figure(height: float) -> Iterator[tuple[Any, Any]]:
    """A figure with its axes, freed afterwards; drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    yield figure, axes


def _uri(figure: Any) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
