"""The messages that the safety gate is fitted on, and which of them must stay together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from sklearn.model_selection import StratifiedGroupKFold

from assistant.safety.frames import Frames
from assistant.safety.gate import fired_rules, tag
from assistant.safety.score import CLASSES, evidence, features
from index.config import DEFAULT_EMBEDDER
from index.embedder import embed, open_embedder
from index.health import QUESTIONS

FOLDS = 2
DATA = Path(str(files("assistant.safety") / "data"))
_SAME = 0.8  # cosine from which two messages are near duplicates

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Message:
    """A labelled message with what the gate's rules and words see of it."""

    text: str
    kind: str
    source: str  # cases, data, ordinary or lay
    theme: str
    found: frozenset[str]
    evidence: tuple[float, ...]
    rules: tuple[str, ...]  # ids


def read(paths: Sequence[Path]) -> list[Message]:
    """The messages of the cases, of `assistant/safety/data` and of `index/questions`, each once.

    A line has `text`, `kind` and perhaps `theme` or `history`; with a history it is left out.
    """
    rows: list[dict[str, str]] = []
    for path in [*paths, *sorted(DATA.glob("*.jsonl"))]:
        source = "data" if path.parent == DATA else "cases"
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if not row.get("history"):
                rows.append({"theme": "", **row, "source": source})
    for path in sorted(QUESTIONS.rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            asked = {"kind": "none", "theme": "", "source": "ordinary"}
            rows.append({**asked, "text": row["question"] if "question" in row else row["plain"]})
            if "lay" in row:
                rows.append({**asked, "text": row["lay"], "source": "lay"})
    once = {row["text"]: row for row in reversed(rows)}
    found = [_message(row) for row in reversed(once.values())]
    return [message for message in found if message]


def _message(row: dict[str, str]) -> Message | None:
    tagged = tag(row["text"])
    if not tagged.text.words:
        return None
    frames = Frames(tagged)
    fired = fired_rules(tagged, frames)
    # Ordinary questions that the rules take for urgent are left out: many describe emergencies.
    if row["source"] in ("ordinary", "lay") and fired.keys() - {"harmful", "dosing"}:
        return None
    return Message(
        row["text"],
        row["kind"],
        row["source"],
        f"{row['kind']} {row['theme']}" if row["theme"] else "",
        frozenset(features(tagged, frames)),
        tuple(evidence(tagged, frames, fired)),
        tuple(rule.id for rule in fired.values()),
    )


def labels(messages: Sequence[Message]) -> Ints:
    """Their classes, (messages,)."""
    return np.array([CLASSES.index(message.kind) for message in messages])


def folds(messages: Sequence[Message]) -> list[tuple[Ints, Ints]]:
    """Training and held-out positions of each fold; a theme, or near duplicates, lie in one."""
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros(len(messages)), labels(messages), _groups(messages)))


def _groups(messages: Sequence[Message]) -> Ints:
    """One number for each theme, and for each set of near duplicates without one."""
    unit = embed(open_embedder(DEFAULT_EMBEDDER).model, [message.text for message in messages])
    alike = [csr_matrix(unit[i : i + 1000] @ unit.T > _SAME) for i in range(0, len(unit), 1000)]
    from scipy.sparse import vstack

    count, groups = connected_components(vstack(alike))
    themes = {theme: count + i for i, theme in enumerate(sorted({m.theme for m in messages}))}
    pairs = zip(messages, groups, strict=True)
    return np.array([themes[m.theme] if m.theme else group for m, group in pairs])
