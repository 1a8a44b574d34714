"""The answer of a report in three sentences, by rule and never warmer than the figures."""

from __future__ import annotations

from eval.config import CLOSED_BOOK
from eval.findings import Difference
from eval.score import Scores

_SURE = 0.05
_PAIRS = (
    (f"base, {CLOSED_BOOK}", f"tuned, {CLOSED_BOOK}"),
    (f"tuned, {CLOSED_BOOK}", "tuned+rag, gold"),
    (f"base, {CLOSED_BOOK}", "base+rag, gold"),
)


_NAMES = {
    "base": "the base model without cards",
    "tuned": "the fine-tuned model without cards",
    "base+rag": "the base model with cards",
    "tuned+rag": "the fine-tuned model with cards",
    "extractive": "the extractive system",
}


def _name(label: str) -> str:
    return _NAMES[label.partition(",")[0]]


def sentences(scores: Scores) -> list[str]:
    """What was found; whether it knows when to refuse; what these figures are not."""
    return [_closeness(scores), _refusal(scores), _limits(scores)]


def _f1(scores: Scores, label: str) -> str:
    figure = scores.series[label].figures["token_f1"]
    if figure.mean is None or figure.low is None or figure.high is None:
        return "not measured"
    return f"{figure.mean:.2f}, 95 % interval {figure.low:.2f} to {figure.high:.2f}"


def _closeness(scores: Scores) -> str:
    n = scores.items
    models = [
        label
        for label, one in scores.series.items()
        if one.protocol is None
        and one.world in (CLOSED_BOOK, "gold")
        and one.system != "extractive"
    ]
    measured = [m for m in models if scores.series[m].figures["token_f1"].mean is not None]
    if not measured:
        return _floor_only(scores, n)
    best = max(measured, key=lambda m: scores.series[m].figures["token_f1"].mean or 0)
    tuning, cards, base_cards = _PAIRS
    parts = [
        _change(scores, *tuning, "fine-tuning"),
        _change(scores, *cards, "giving the tuned model cards")
        or _change(scores, *base_cards, "giving the base model cards"),
    ]
    effects = " and ".join(part for part in parts if part)
    first = (
        f"On {n} held-out cards, {_name(best)} comes closest to the cards' own answers "
        f"(token F1 {_f1(scores, best)})"
    )
    return f"{first}; {effects}." if effects else f"{first}."


def _floor_only(scores: Scores, n: int) -> str:
    gold = "extractive, gold"
    if gold not in scores.series:
        return f"On {n} held-out cards, no system was asked with its card in the index."
    text = (
        f"On {n} held-out cards only the extractive system was measured, which quotes cards and "
        f"writes nothing itself: with the question's own card in the index its words are nearly "
        f"the card's by construction (token F1 {_f1(scores, gold)})"
    )
    removed = "extractive, removed"
    if removed in scores.series:
        text += f", and with that card removed they are other cards' words ({_f1(scores, removed)})"
    return text + "."


def _change(scores: Scores, before: str, after: str, what: str) -> str:
    one = _difference(scores, before, after)
    if one is None:
        return ""
    certain = "beyond chance" if one.p_holm < _SURE else "which could be chance"
    return f"{what} changes it by {one.mean:+.2f} ({one.low:+.2f} to {one.high:+.2f}; {certain})"


def _difference(scores: Scores, before: str, after: str) -> Difference | None:
    return next(
        (
            d
            for d in scores.differences
            if (d.before, d.after, d.measure) == (before, after, "token_f1")
        ),
        None,
    )


def _refusal(scores: Scores) -> str:
    order = ("tuned+rag", "base+rag", "extractive")
    system = next((s for s in order if s in scores.refusals), None)
    if system is None:
        return "Whether it refuses what its cards cannot answer was not measured in this run."
    one = scores.refusals[system]
    return (
        f"With nothing but distractors in the index, where refusing is right, {_name(system)} "
        f"answered {one.answered_distractors:.0%} of the questions; where the cards could answer, "
        f"it answered {one.answered_gold:.0%}."
    )


def _limits(scores: Scores) -> str:
    mentioned = [one for pair in _PAIRS if (one := _difference(scores, *pair))]
    others = [d for d in scores.differences if d.measure == "token_f1"]
    least = [d.detectable for d in mentioned or others if d.detectable]
    size = (
        f"and this sample could only have shown differences in token F1 of about {max(least):.2f} "
        "or more"
        if least
        else "and one run over one deck is one sample"
    )
    return (
        "All this compares words with the words of a card: no figure here measures whether an "
        f"answer is medically correct, {size}."
    )
