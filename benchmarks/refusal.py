"""Is a question refused that the deck does not cover, and answered when it does? Four worlds.

    python benchmarks/refusal.py --index DIR [--deck DECK.jsonl] [--plot FILE.png] [--read 30]

`present`: held-out cards asked in their own words, with the card in the deck. `removed`: the same
with the card and its near-duplicates taken away; what is left may still answer now and then.
`reworded`: hand-written lay questions about cards of the deck, with the card there and without:
those of the starter deck (eval/sets/reworded_starter.jsonl), or with `--deck` those of the deck
that eval/sets/README.md describes. `other`: messages that no medical deck answers. Everything is
judged as served; labels come from which card was shown, not from reading it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from assistant.safety.gate import screen
from index.cards import card_id
from index.leave_out import LeaveOut, open_leave_out
from index.relevance import Relevance, calibration_error
from index.retrieve import open_index, open_split

SETS = Path(__file__).resolve().parents[1] / "eval" / "sets"


@dataclass(frozen=True)
class Outcome:
    """One question judged: its card shown, refused, and how confident."""

    world: str
    question: str
    shown: str
    answer: str
    right: bool
    refused: bool
    confidence: float
    ms: float


def main(argv: list[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--deck", type=Path, help="the stand-in deck, for its reworded questions")
    parser.add_argument("--limit", type=int, default=250, help="held-out cards to ask")
    parser.add_argument("--plot", type=Path, help="write the risk-coverage curve here")
    parser.add_argument("--read", type=int, default=0, help="print so many outcomes to stderr")
    options = parser.parse_args(argv)
    relevance, leave = open_index(options.index).relevance, open_leave_out(options.index)
    sides = open_split(options.index)
    held = sides.select(leave.cards, "test")
    held = random.Random(0).sample(held, min(options.limit, len(held)))
    own = [(card.question, card.id) for card in held]
    reworded = _reworded(options.deck)
    other = [row["question"] for row in _rows(SETS / "out_of_scope_dev.jsonl")]
    outcomes = [
        *_ask(leave, relevance, "present", own),
        *_ask(leave, relevance, "removed", own, removed=True),
        *_ask(leave, relevance, "reworded, present", reworded),
        *_ask(leave, relevance, "reworded, removed", reworded, removed=True),
        *_ask(leave, relevance, "other", [(question, None) for question in other]),
    ]
    if options.read:
        _read_out(random.Random(1).sample(outcomes, options.read))
    if options.plot:
        _plot(outcomes, options.plot)
    print(json.dumps(_figures(outcomes), indent=2))
    return 0


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _reworded(deck: Path | None) -> list[tuple[str, str]]:
    if deck is None:
        return [(r["question"], r["card_id"]) for r in _rows(SETS / "reworded_starter.jsonl")]
    cards = {row["id"]: card_id(row["question"], row["answer"]) for row in _rows(deck)}
    return [
        (row["question"], cards[row["standin_id"]]) for row in _rows(SETS / "reworded_dev.jsonl")
    ]


def _ask(
    leave: LeaveOut,
    relevance: Relevance,
    world: str,
    asked: Sequence[tuple[str, str | None]],
    *,
    removed: bool = False,
) -> Iterable[Outcome]:
    for question, card in tqdm(asked, desc=world, file=sys.stderr):
        started = time.perf_counter()
        found = leave.found(question, card, removed=removed)
        judged = relevance.judge(question, found.health, found.hits, len(leave.cards))
        ms = 1000 * (time.perf_counter() - started)
        shown = found.hits[0].card
        yield Outcome(
            world=world,
            question=question,
            shown=shown.question,
            answer=shown.answer,
            right=found.right and not removed,
            # What the safety gate declines is refused as well, as in the pipeline.
            refused=not judged.covered
            or (world == "other" and screen(question, []).kind == "harmful"),
            confidence=judged.confidence,
            ms=ms,
        )


def _figures(outcomes: Sequence[Outcome]) -> dict[str, object]:
    worlds = list(dict.fromkeys(o.world for o in outcomes))
    found: dict[str, object] = {w: _refused([o for o in outcomes if o.world == w]) for w in worlds}
    health = [o for o in outcomes if o.world != "other"]
    lay = [o for o in outcomes if o.world in ("reworded, present", "removed")]
    times = [o.ms for o in outcomes]
    return {
        **found,
        "right card shown": {
            w: round(float(np.mean([o.right for o in outcomes if o.world == w])), 3)
            for w in ("present", "reworded, present")
        },
        "AUROC, right card or not, all worlds": _auroc(outcomes),
        "AUROC, the same without other": _auroc(health),
        "AUROC, reworded with card or own words without": _auroc(lay),
        "ECE": _ece(outcomes),
        "ECE, reworded worlds": _ece([o for o in outcomes if o.world.startswith("reworded")]),
        "ECE of those answered": _ece([o for o in outcomes if not o.refused]),
        "risk at coverage": _risk(health),
        "query ms p50": round(float(np.quantile(times, 0.5)), 1),
        "query ms p95": round(float(np.quantile(times, 0.95)), 1),
    }


def _refused(outcomes: Sequence[Outcome]) -> dict[str, object]:
    k, n = sum(o.refused for o in outcomes), len(outcomes)
    low, high = wilson(k, n)
    return {
        "refused": f"{k} of {n}",
        "share": round(k / n, 3),
        "95 %": [round(low, 3), round(high, 3)],
        "median confidence": round(float(np.median([o.confidence for o in outcomes])), 3),
    }


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of k in n (Wilson, 1927)."""
    centre = (k + z * z / 2) / (n + z * z)
    half = z * float(np.sqrt(k * (n - k) / n + z * z / 4)) / (n + z * z)
    return max(0.0, centre - half), min(1.0, centre + half)


def _auroc(outcomes: Sequence[Outcome]) -> float:
    return round(
        float(roc_auc_score([o.right for o in outcomes], [o.confidence for o in outcomes])), 3
    )


def _ece(outcomes: Sequence[Outcome]) -> float:
    confidence = np.array([o.confidence for o in outcomes])
    right = np.array([o.right for o in outcomes])
    return round(calibration_error(confidence, right), 3)


def _curve(outcomes: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    """Share answered, and share of wrong cards among those, from the surest answer on."""
    ordered = sorted(outcomes, key=lambda o: -o.confidence)
    wrong = np.cumsum([not o.right for o in ordered])
    counts = np.arange(1, len(ordered) + 1)
    return (counts / len(ordered)).tolist(), (wrong / counts).tolist()


def _risk(outcomes: Sequence[Outcome]) -> dict[str, float]:
    coverage, risk = _curve(outcomes)
    return {
        f"{share:.0%}": round(risk[int(np.searchsorted(coverage, share - 1e-9))], 3)
        for share in (0.25, 0.5, 0.75, 1.0)
    }


def _plot(outcomes: Sequence[Outcome], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 4))
    groups = {
        "own words": [o for o in outcomes if o.world in ("present", "removed")],
        "reworded": [o for o in outcomes if o.world.startswith("reworded")],
    }
    for label, group in groups.items():
        axes.plot(*_curve(group), label=f"{label} (half of the cards removed)")
        answered = [o for o in group if not o.refused]
        if answered:
            risk = sum(not o.right for o in answered) / len(answered)
            axes.plot(len(answered) / len(group), risk, "o", color=axes.lines[-1].get_color())
    axes.set(xlabel="share answered (dot: as served)", ylabel="share of those with another card")
    axes.set_ylim(0, 1)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _read_out(outcomes: Sequence[Outcome]) -> None:
    for o in outcomes:
        print(
            f"[{o.world}] {'REFUSED' if o.refused else 'answered'} {o.confidence:.2f} "
            f"{'right' if o.right else 'other card'}\n  Q {o.question}\n  C {o.shown}\n"
            f"  A {o.answer[:300]}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
