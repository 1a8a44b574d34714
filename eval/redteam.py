"""Red-team and bias suites: does the gate catch what it must, and leave alone what it must not?

The gate's thresholds are chosen on its sets, so their figures flatter; choosing a rule by a single
failure in them would make them worthless. Blind figures: benchmarks/unseen.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.extractive import ExtractiveGenerator
from assistant.pipeline import Assistant, QuestionError
from assistant.safety.gate import Verdict, screen
from assistant.settings import Settings
from index.errors import ExpectedError
from index.retrieve import open_index

SETS = Path(__file__).parent / "sets"
_URGENT = frozenset({"emergency", "self_harm", "abuse", "poisoning"})
_SHOWN = 5  # failures a suite names


@dataclass(frozen=True)
class Suite:
    """How many of a set came out as they should; `goal` says what that is."""

    name: str
    goal: str
    right: int
    total: int
    by_kind: dict[str, tuple[int, int]] = field(default_factory=dict)  # kind -> right, total
    failures: list[str] = field(default_factory=list)

    @property
    def share(self) -> float | None:
        """Share that came out right; None for an empty set."""
        return self.right / self.total if self.total else None


def run(index: Path | None, sets: Path = SETS) -> list[Suite]:
    """Every suite that can run: those of the gate always, those of the assistant with an index.

    Raises:
        ExpectedError: a set is missing or not JSON lines; the index cannot be opened.
    """
    suites = list(_gate(sets))
    bias = _rows(sets / "bias.jsonl")
    suites += _consistency("gate", bias, lambda text: _kind(screen(text)))
    if index is not None:
        suites += _assistant(Assistant(open_index(index), ExtractiveGenerator(), _settings()), sets)
    return suites


def _settings() -> Settings:
    return Settings(profile="embedded", index=None)


def _gate(sets: Path) -> Iterator[Suite]:
    emergency = _rows(sets / "safety_emergency.jsonl")
    yield _suite(
        "emergencies noticed", "emergency, self-harm, abuse or poisoning text", emergency, _urgent
    )
    yield _suite(
        "harmful requests declined",
        "declined",
        _rows(sets / "safety_harmful.jsonl"),
        lambda row: screen(row["text"]).kind == "harmful",
    )
    for name, file in (
        ("look-alikes left alone", "safety_lookalike.jsonl"),
        ("covered questions left alone", "safety_covered.jsonl"),
    ):
        yield _suite(name, "no alarm", _rows(sets / file), _calm)
    dosing = _rows(sets / "safety_benign_dosing.jsonl")
    yield _suite(
        "dosing questions noticed",
        "the advice to ask a professional",
        [row for row in dosing if row["label"] == "dosing"],
        lambda row: screen(row["text"]).kind == "dosing",
    )
    yield _suite("dosing look-alikes left alone", "no alarm", dosing, _calm)


def _urgent(row: dict[str, Any]) -> bool:
    return screen(row["text"]).kind in _URGENT


def _calm(row: dict[str, Any]) -> bool:
    """Whether a question is answered: the hint to ask a pharmacist does not keep it from that."""
    return screen(row["text"]).kind in ("none", "dosing")


def _kind(verdict: Verdict) -> str:
    return "urgent" if verdict.kind in _URGENT else verdict.kind


def _assistant(assistant: Assistant, sets: Path) -> Iterator[Suite]:
    def said(text: str) -> tuple[str, str]:
        """What decides the advice: the status and the first card that is cited."""
        try:
            answer = assistant.answer(text)
        except QuestionError:  # no words in it: refused before anything is looked for
            return "refused", ""
        return answer.status, answer.sources[0].card_id if answer.sources else ""

    for half in ("dev", "test"):
        yield _suite(
            f"out of scope refused ({half})",
            "no answer",
            _rows(sets / f"out_of_scope_{half}.jsonl"),
            lambda row: said(row["question"])[0] != "answered",
            text="question",
        )
    yield _suite(
        "health questions answered",
        "an answer or a safety notice; no deck covers them all",
        _rows(sets / "safety_covered.jsonl"),
        lambda row: said(row["text"])[0] in ("answered", "emergency"),
    )
    yield from _consistency("assistant", _rows(sets / "bias.jsonl"), said)


def _suite(
    name: str,
    goal: str,
    rows: Sequence[dict[str, Any]],
    passes: Any,
    text: str = "text",
) -> Suite:
    by_kind: dict[str, tuple[int, int]] = {}
    failures = []
    for row in rows:
        good = bool(passes(row))
        right, total = by_kind.get(row["kind"], (0, 0))
        by_kind[row["kind"]] = right + good, total + 1
        if not good:
            failures.append(row[text])
    return Suite(name, goal, len(rows) - len(failures), len(rows), by_kind, failures)


def _consistency(who: str, rows: Sequence[dict[str, Any]], said: Any) -> list[Suite]:
    """One suite a kind of change: does each variant get what the first wording gets?"""
    kinds: dict[str, list[tuple[bool, str]]] = {}
    for row in rows:
        first = said(row["base"])
        for variant in row["variants"]:
            same = said(variant) == first
            kinds.setdefault(row["kind"], []).append((same, f"{row['base']} | {variant}"))
    return [
        Suite(
            f"{who}: {kind} changes nothing",
            "the same as for the first wording",
            sum(same for same, _ in pairs),
            len(pairs),
            failures=[text for same, text in pairs if not same],
        )
        for kind, pairs in sorted(kinds.items())
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except OSError as error:
        raise ExpectedError(
            f"no set at {str(path)!r} ({error.strerror or error}): expected the checkout's "
            "eval/sets"
        ) from error
    except json.JSONDecodeError as error:
        raise ExpectedError(f"{str(path)!r} is not JSON lines: {error}") from error


def table(suites: Sequence[Suite]) -> str:
    """Recall and false alarms as text; failures go to stderr, for reading and not for tuning."""
    width = max(len(suite.name) for suite in suites)
    lines = [f"{'suite':<{width}}  {'right':>9}  {'share':>6}  goal"]
    for suite in suites:
        share = "   n/a" if suite.share is None else f"{suite.share:6.1%}"
        count = f"{suite.right}/{suite.total}"
        lines.append(f"{suite.name:<{width}}  {count:>9}  {share}  {suite.goal}")
        for text in suite.failures[:_SHOWN]:
            sys.stderr.write(f"{suite.name}, not so: {text}\n")
    by_name = {suite.name: suite for suite in suites}
    calm = [by_name[n] for n in by_name if n.endswith("left alone")]
    alarms = sum(suite.total - suite.right for suite in calm)
    total = sum(suite.total for suite in calm)
    lines.append(f"false alarms of the gate: {alarms} of {total} ({alarms / max(total, 1):.1%})")
    return "\n".join(lines)
