"""What the cards are about: intents, names and descriptions of subjects, and which are held out.

Subjects are held out in groups of near-equal names and synonyms, so that no rewording of a
held-out subject is trained on. The same corpora give the same sides on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from index import lexical
from index.similar import Groups, jaccard, pairs
from index.split import Side
from index.text import clean, content_words, fold, sentences, words

PHRASES = Path(__file__).parent / "data" / "embedder_phrases.yaml"
TEST_SHARE, VALIDATION_SHARE = 0.125, 0.03
BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_SEED = "medcards-embedder-1"
_SAME_SUBJECT = 0.66  # Jaccard of the names' stems
_ALIAS = re.compile(
    r"\b(?:also|sometimes|often|commonly|previously|formerly) "
    r"(?:called|known as|referred to as|termed|named) "
    r"([^.;()]{3,90}?)(?=[.;()]|,? (?:is|are|was)\b|$)"
)
_IS_A = re.compile(r"\b(?:is|are|refers to|describes)\s+((?:an?|the|one|any|when)\s.+)$")


class Row(NamedTuple):
    """One question with its answer, whom or what it is about and what it wants to know."""

    question: str
    answer: str
    subject: str
    intent: str | None


@dataclass(frozen=True)
class Phrases:
    """The hand-written phrases: see the comments in `embedder_phrases.yaml`."""

    intents: Mapping[str, Mapping[str, Any]]
    who: Sequence[str]
    describe: Sequence[str]
    modifiers: Mapping[str, Sequence[str]]
    glossary: Mapping[str, Sequence[str]]
    off_topic: Sequence[tuple[str, str]]

    @classmethod
    def load(cls, path: Path = PHRASES) -> Phrases:
        return cls(**yaml.safe_load(path.read_text(encoding="utf-8")))

    def parse(self, question: str) -> tuple[str | None, str]:
        """The intent and the subject of a card's question; (None, question) if unknown."""
        text = clean(question).rstrip(" ?.")
        for intent, phrase in self.intents.items():
            if match := re.fullmatch(phrase["card"], text, re.IGNORECASE):
                subject = re.sub(r"\s*\(outlook/prognosis\)$", "", match[1], flags=re.IGNORECASE)
                return intent, subject.strip(" ?.")
        return None, text


def read_rows(path: Path, phrases: Phrases) -> list[Row]:
    """Rows of a JSONL corpus with `question`, `answer` and, if known, `topic`."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        intent, subject = phrases.parse(record["question"])
        subject = clean(record.get("topic") or "") or subject
        if content_words(subject) and len(words(record.get("answer") or "")) >= 5:
            rows.append(Row(clean(record["question"]), record["answer"], subject, intent))
    return rows


def subject_key(subject: str) -> frozenset[str]:
    """The stems of a subject's name, without what stands in brackets."""
    stems = lexical.tokens(BRACKETS.sub(" ", subject)) or lexical.tokens(subject)
    return frozenset(stems) or frozenset(words(subject))


def held_out(
    rows: Iterable[Row], excluded: Iterable[str] = ()
) -> dict[frozenset[str], Side | None]:
    """The side of every subject key; `None` for groups with a subject in `excluded`.

    The side follows from a hash of the group's first name, so it is the same on every machine. It
    depends on the corpora's subjects, not on `excluded`.
    """
    names: dict[frozenset[str], set[str]] = defaultdict(set)
    for row in rows:
        names[subject_key(row.subject)].update(
            other_names(row.subject, row.answer) if row.intent == "what" else ()
        )
    keys = sorted(names, key=sorted)
    place = {key: i for i, key in enumerate(keys)}
    groups = Groups(len(keys))
    for i, j in pairs(keys, _SAME_SUBJECT):
        groups.join(i, j)
    for key in keys:
        for name in names[key]:
            if (other := place.get(subject_key(name))) is not None:
                groups.join(place[key], other)
    sides: dict[frozenset[str], Side | None] = {}
    for i, key in enumerate(keys):
        sides[key] = _side(" ".join(sorted(keys[groups.find(i)])))
    for key in map(subject_key, excluded := list(excluded)):
        sides.setdefault(key, None)
    barred = {groups.find(place[k]) for k in map(subject_key, excluded) if k in place}
    for i, key in enumerate(keys):
        if sides[key] == "train" and groups.find(i) in barred:
            sides[key] = None
    return sides


def side_of(subject: str, sides: Mapping[frozenset[str], Side | None]) -> Side | None:
    """The side of any subject: that of the nearest known name, else "train"."""
    key = subject_key(subject)
    if key in sides:
        return sides[key]
    close = (k for k, side in sides.items() if side != "train" and jaccard(k, key) >= _SAME_SUBJECT)
    return sides[nearest] if (nearest := next(close, None)) is not None else "train"


def names_held_out(text: str, sides: Mapping[frozenset[str], Side | None]) -> bool:
    """Whether a text has all the words of the name of a subject that is not trained on."""
    stems = subject_key(text)
    return any(key <= stems for key, side in sides.items() if side != "train")


def _side(group: str) -> Side:
    digest = hashlib.sha256(f"{_SEED}:{group}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < TEST_SHARE:
        return "test"
    return "validation" if position < TEST_SHARE + VALIDATION_SHARE else "train"


def other_names(subject: str, answer: str) -> list[str]:
    """Synonyms and abbreviations of a subject that a defining answer gives."""
    head = clean(answer)[:600]
    bare = clean(BRACKETS.sub(" ", subject))
    found = [] if bare == subject else [bare]
    found += re.findall(r"\((?:also (?:known as|called) )?([^)]{2,40})\)", subject)
    found += re.findall(re.escape(bare) + r"s?\s*\(([A-Z][A-Za-z0-9-]{1,9})\)", head, re.IGNORECASE)
    found += re.findall(r", or ([A-Z][A-Za-z0-9-]{1,7}),", head[:200])
    for names in _ALIAS.findall(head):
        found += re.split(r",? or |, ", names)
    tidy = (re.sub(r"^(?:an? |the |as )", "", clean(name).strip(" '\",")) for name in found)
    return list(
        dict.fromkeys(n for n in tidy if n and len(n.split()) <= 6 and fold(n) != fold(subject))
    )


def description(subject: str, names: Sequence[str], answer: str) -> str | None:
    """What a defining answer says its subject is, with the subject's names removed."""
    for sentence in sentences(clean(answer))[:3]:
        match = _IS_A.search(sentence)
        if match is None:
            continue
        text = match[1]
        for name in sorted((subject, *names), key=len, reverse=True):
            text = re.sub(rf"\b{re.escape(name)}\b", "it", text, flags=re.IGNORECASE)
        text = BRACKETS.sub(" ", text)
        text = " ".join(text.split()[:26]).rstrip(" .,;")
        if len(text.split()) >= 5 and subject_key(subject) - set(lexical.tokens(text)):
            return text
    return None
