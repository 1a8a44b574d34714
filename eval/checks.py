"""The mistakes that made the prior work's figures worthless, each looked for in every run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from assistant import prompts
from eval.config import CLOSED_BOOK
from eval.losses import Example, Loss
from eval.records import Predictions, Row
from eval.worlds import Item
from index.text import fold, words

_ROLE = 40  # characters of a role's name and marker before a prompt
_OPENING_WORDS = 8  # of an answer: as many in the prompt are no coincidence
_QUESTION_WORDS = 5  # from which a question repeated in an answer is no coincidence
_TOLERANCE = 0.02  # of a loss: 4-bit arithmetic differs a little with the shape of a batch


@dataclass(frozen=True, slots=True)
class Check:
    """A mistake that was looked for: `passed` is None where it could not be."""

    name: str
    passed: bool | None
    detail: str


def trained_on(items: Sequence[Item], train_ids: Collection[str]) -> list[str]:
    """Test cards that were trained on, themselves or as a near-duplicate."""
    trained = set(train_ids)
    return [item.card.id for item in items if trained.intersection(item.relevant)]


def padding_counts(
    measure: Callable[[Sequence[Example]], Sequence[Loss]], examples: Sequence[Example]
) -> str | None:
    """What is wrong with a loss, or None: it must not change when the batch pads an example, and
    must be over as many tokens as the answer has."""
    together = measure(examples)
    for one, padded in zip(examples, together, strict=True):
        (alone,) = measure([one])
        if padded.tokens != len(one.answer) or alone.tokens != len(one.answer):
            return f"{padded.tokens} tokens are counted, the answer has {len(one.answer)}"
        if abs(alone.nll - padded.nll) > _TOLERANCE * max(alone.nll, 1.0):
            return f"{alone.nll:.3f} nats alone, {padded.nll:.3f} when padded in a batch"
    return None


def look(predictions: Predictions) -> list[Check]:
    """Every check that a predictions file allows, on its sound rows."""
    rows = [row for row in predictions.rows if row.protocol is None and row.status != "failed"]
    return [
        _training(predictions),
        _rows_check("no answer repeats its prompt", rows, repeats_prompt),
        _rows_check("no prompt holds the answer", rows, holds_answer),
        _rows_check("the loss counts the answer's tokens only", rows, counts_padding),
        _rows_check("hidden cards stay hidden", rows, shows_hidden),
        _base_differs(rows),
    ]


def _training(predictions: Predictions) -> Check:
    name = "no test card was trained on"
    leaks, adapter = predictions.header.training_leaks, predictions.header.adapter
    if leaks:
        return Check(name, False, f"{len(leaks)} test cards were, such as {leaks[0]}")
    if leaks is not None:
        return Check(name, True, "the adapter lists its training cards; no test card is among them")
    if adapter is None:
        return Check(name, None, "no adapter was measured")
    if adapter.split_stamp:
        return Check(name, True, "the adapter was trained on this split's training side")
    return Check(name, None, "the adapter records neither its split nor its training cards")


def _rows_check(name: str, rows: Sequence[Row], wrong: Callable[[Row], bool | None]) -> Check:
    found = [(row, verdict) for row in rows if (verdict := wrong(row)) is not None]
    bad = [row for row, verdict in found if verdict]
    if bad:
        first = bad[0]
        return Check(
            name, False, f"{len(bad)} of {len(found)} rows, e.g. {first.item} {first.label}"
        )
    if not found:
        return Check(name, None, "no row to look at")
    return Check(name, True, f"{len(found)} rows looked at")


def repeats_prompt(row: Row) -> bool | None:
    """Whether the text that is scored, or its reference, opens with question or instruction.

    Further on, a model that copies may have written them itself: a fault of the model's.
    """
    if row.raw is None and not row.text:
        return None
    texts = [fold(text) for text in (row.text, row.raw or "", row.reference)]
    asked = fold(row.question)
    markers = [fold(prompts.SYSTEM), fold(prompts.SYSTEM_WITHOUT_CARDS)]
    if len(words(asked)) >= _QUESTION_WORDS:
        markers.append(asked)
    return any(0 <= text.find(marker) <= _ROLE for marker in markers for text in texts)


def holds_answer(row: Row) -> bool | None:
    """Whether a prompt without cards contains the beginning of the reference."""
    if row.world != CLOSED_BOOK or row.prompt is None:
        return None
    opening = words(row.reference)[:_OPENING_WORDS]
    if len(opening) < _OPENING_WORDS:
        return None
    return " ".join(opening) in " ".join(words(row.prompt))


def counts_padding(row: Row) -> bool | None:
    """Whether the loss is over more or fewer tokens than the reference has."""
    if row.nll_tokens is None or row.answer_tokens is None:
        return None
    return row.nll_tokens != row.answer_tokens


def shows_hidden(row: Row) -> bool | None:
    """Whether a card that this world hides was found."""
    if row.world not in ("removed", "distractors"):
        return None
    found = {card.id for card in row.cards} | set(row.ranked or ())
    return bool(found & set(row.relevant))


def _base_differs(rows: Sequence[Row]) -> Check:
    name = "base and fine-tuned are not the same model"
    closed = {(r.system, r.item): r for r in rows if r.world == CLOSED_BOOK}
    pairs = [
        (row, closed["tuned", item])
        for (system, item), row in closed.items()
        if system == "base" and ("tuned", item) in closed
    ]
    if not pairs:
        return Check(name, None, "base and tuned were not both measured")
    same = sum(b.raw == t.raw and b.nll == t.nll for b, t in pairs)
    if same == len(pairs):
        return Check(
            name, False, "every answer and loss is equal: the adapter changed the base, or nothing"
        )
    return Check(name, True, f"{len(pairs) - same} of {len(pairs)} answers or losses differ")
