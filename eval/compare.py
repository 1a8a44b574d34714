"""Two runs side by side: did a figure fall by more than a margin? For CI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval import stats
from eval.findings import paired
from eval.measures import BY_KEY, GUARDED
from eval.records import changed
from eval.score import Scores

EXIT_FELL = 1


@dataclass(frozen=True, slots=True)
class Change:
    """A measure of one series in both runs, on the items that both have.

    `fall` is how much worse the second run is on the scale 0 to 1, negative if it is better.
    """

    series: str
    measure: str
    before: float
    after: float
    fall: float
    p: float | None
    n: int


def changes(a: Scores, b: Scores) -> list[Change]:
    """Every guarded measure that both runs have, the largest fall first.

    Raises:
        RunMismatchError: the runs hold out different cards, or share no series.
    """
    if a.header.split_stamp != b.header.split_stamp:
        raise changed("split", a.header.split_stamp[:12], b.header.split_stamp[:12])
    found = []
    for series in a.values.keys() & b.values.keys():
        for key in GUARDED:
            one = _change(series, key, a, b)
            if one is not None:
                found.append(one)
    if not found:
        raise changed("set of systems", ", ".join(a.values), ", ".join(b.values))
    return sorted(found, key=lambda change: (-change.fall, change.series, change.measure))


def _change(series: str, key: str, a: Scores, b: Scores) -> Change | None:
    before, after = a.values[series].get(key, {}), b.values[series].get(key, {})
    both = [
        (old, new)
        for item, old in before.items()
        if old is not None and (new := after.get(item)) is not None
    ]
    if not both:
        return None
    old_mean = sum(old for old, _ in both) / len(both)
    new_mean = sum(new for _, new in both) / len(both)
    measure = BY_KEY[key]
    worse = old_mean - new_mean if measure.better == "higher" else new_mean - old_mean
    deltas = paired(before, after)
    p = stats.permutation_p(deltas) if any(deltas) else None
    return Change(series, key, old_mean, new_mean, worse / measure.scale, p, len(both))


def status(found: Sequence[Change], margin: float) -> int:
    """0, or 1 if a figure fell by more than the margin."""
    return EXIT_FELL if any(change.fall > margin for change in found) else 0


def table(found: Sequence[Change], margin: float) -> str:
    """The changes as text: all falls beyond the margin, then the five largest other changes."""
    fell = [change for change in found if change.fall > margin]
    rest = [change for change in found if abs(change.fall) > 0 and change not in fell]
    rest.sort(key=lambda change: -abs(change.fall))
    lines = [f"{len(fell)} of {len(found)} figures fell by more than {margin:g}"]
    lines += [f"FELL  {_line(change)}" for change in fell]
    lines += [f"      {_line(change)}" for change in rest[:5]]
    return "\n".join(lines)


def _line(change: Change) -> str:
    measure = BY_KEY[change.measure]
    p = f", p {change.p:.3f}" if change.p is not None else ""
    return (
        f"{change.series}: {measure.title} {change.before:.{measure.digits}f} -> "
        f"{change.after:.{measure.digits}f} ({change.n} items{p})"
    )
