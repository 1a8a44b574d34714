"""Training pairs for the embedder: what people ask, the card that answers it, one that does not.

A pair has an anchor (a question), a positive (the card's question, its answer, or both as the
index embeds them) and for short texts a hard negative. Long texts are put into batches with their
hard negatives instead, which costs no more tokens: the same subject with other intents, and the
subjects next to it by BM25.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from index import lexical
from index.text import clean, sentences, words
from training.embedder_subjects import (
    BRACKETS,
    Phrases,
    Row,
    description,
    other_names,
    subject_key,
)

PASSAGE_WORDS = 60  # the flashcards' answers average 53.5 words
_NEIGHBOURS = 8


class Pair(NamedTuple):
    """What is asked, what answers it, what does not; pairs of one `label` are never opposed."""

    label: str
    anchor: str
    positive: str
    negative: str | None = None


def passages(answer: str, limit: int = PASSAGE_WORDS) -> list[str]:
    """An answer cut into runs of whole sentences of about `limit` words."""
    runs: list[str] = []
    run: list[str] = []
    for sentence in sentences(clean(answer)):
        if run and len(" ".join(run).split()) + len(sentence.split()) > limit:
            runs.append(" ".join(run))
            run = []
        run.append(" ".join(sentence.split()[: 2 * limit]))
    return [*runs, " ".join(run)] if run else runs


class PairMaker:
    """Makes the pairs of a set of training rows, the same for the same seed."""

    def __init__(self, rows: Sequence[Row], phrases: Phrases, seed: int) -> None:
        self.rows = rows
        self.phrases = phrases
        self.random = random.Random(seed)
        self.cut = [passages(row.answer) for row in rows]
        self.siblings: dict[frozenset[str], list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            self.siblings[subject_key(row.subject)].append(i)
        self.names: dict[frozenset[str], list[str]] = {}
        self.descriptions: dict[frozenset[str], str] = {}
        for key, members in self.siblings.items():
            found = [
                n
                for i in members
                if rows[i].intent == "what"
                for n in other_names(rows[i].subject, rows[i].answer)
            ]
            self.names[key] = list(dict.fromkeys(found))
            texts = (
                description(rows[i].subject, found, rows[i].answer)
                for i in members
                if rows[i].intent == "what"
            )
            if text := next((t for t in texts if t), None):
                self.descriptions[key] = text
        self._spoken = {**phrases.modifiers, **phrases.glossary}
        terms = sorted(self._spoken, key=len, reverse=True)
        self._terms = re.compile(r"\b(" + "|".join(map(re.escape, terms)) + r")\b", re.IGNORECASE)
        # "This condition is inherited in ..." opens hundreds of answers: no pair without its card.
        self._openings = Counter(_opening(cut[0]) for cut in self.cut if cut)

    @cached_property
    def neighbours(self) -> list[list[int]]:
        """For each row the rows of other subjects that seem to answer it."""
        return _neighbours(self.rows)

    def everyday(self, text: str) -> str:
        """A text with some medical words replaced by everyday ones."""

        def swap(match: re.Match[str]) -> str:
            choices = self._spoken[match[1].lower()]
            return self.random.choice(choices) if self.random.random() < 0.7 else match[1]

        return self._terms.sub(swap, text)

    def ask(self, subject: str, intent: str, key: frozenset[str]) -> str:
        """A layperson's question: by name, by another name, or by a description."""
        draw = self.random
        told = self.descriptions.get(key)
        if told and draw.random() < 0.3:
            forms = (
                self.phrases.describe if intent == "what" else self.phrases.intents[intent]["lay"]
            )
            text = draw.choice(forms).format(d=self.everyday(told), x=self.everyday(told))
            return typo(text, draw)
        bare = clean(BRACKETS.sub(" ", subject)) or subject
        name = draw.choice([bare, *self.names.get(key, [])[:4]])
        name = self.everyday(name) if draw.random() < 0.5 else name
        if not name.isupper() and draw.random() < 0.6:
            name = name.lower()
        template = draw.choice(self.phrases.intents[intent]["lay"])
        if intent != "what" and draw.random() < 0.15:
            text = f"{draw.choice(self.phrases.who)} has {name}. {template.format(x='it')}"
        else:
            text = template.format(x=name)
        return typo(text, draw)

    def plain(self, subject: str, but: str | None) -> str:
        """A card's question about a subject, with any intent but one."""
        intent = self.random.choice([i for i in self.phrases.intents if i != but])
        return str(self.random.choice(self.phrases.intents[intent]["plain"])).format(x=subject)

    def other(self, i: int) -> int:
        """A row that seems to answer row `i`'s question but does not: a sibling or a neighbour."""
        row = self.rows[i]
        near = [
            j
            for j in self.siblings[subject_key(row.subject)]
            if self.rows[j].intent != row.intent and self.cut[j]
        ]
        if near and (self.random.random() < 0.5 or not self.neighbours[i]):
            return self.random.choice(near)
        return self.random.choice(self.neighbours[i] or range(len(self.rows)))

    def card(self, i: int, later: float = 0.15) -> str:
        """A row as a card: its question and one passage of its answer."""
        return f"{self.rows[i].question}\n{self.passage(i, later)}"

    def passage(self, i: int, later: float = 0.25) -> str:
        cut = self.cut[i] or [self.rows[i].answer]
        return self.random.choice(cut[1:6]) if cut[1:] and self.random.random() < later else cut[0]

    def _chain(self) -> Iterator[int]:
        """All rows, those of a subject and of its neighbours one after another."""
        keys = list(self.siblings)
        self.random.shuffle(keys)
        seen: set[frozenset[str]] = set()
        for key in keys:
            near = [
                subject_key(self.rows[j].subject)
                for i in self.siblings[key][:2]
                for j in self.neighbours[i][:3]
            ]
            for group in dict.fromkeys([key, *near]):
                if group not in seen:
                    seen.add(group)
                    yield from self.siblings[group]

    def question_to_answer(self) -> Iterator[Pair]:
        """Each row's question with a passage of its answer."""
        for i in self._chain():
            row = self.rows[i]
            if not self.cut[i]:
                continue
            text = self.passage(i)
            named = subject_key(row.subject) & set(lexical.tokens(text))
            if named or self._openings[_opening(text)] < 3:
                yield Pair(_label(row), row.question, text)

    def asked_to_card(self, share: float) -> Iterator[Pair]:
        """Everyday questions with the whole card."""
        for i in self._chain():
            row = self.rows[i]
            if row.intent and self.random.random() < share:
                anchor = self.ask(row.subject, row.intent, subject_key(row.subject))
                yield Pair(_label(row), anchor, self.card(i))

    def asked_to_question(self, share: float) -> Iterator[Pair]:
        """Everyday questions with the card's question alone."""
        for i, row in enumerate(self.rows):
            if row.intent and self.random.random() < share:
                anchor = self.ask(row.subject, row.intent, subject_key(row.subject))
                if self.random.random() < 0.6:
                    negative = self.plain(row.subject, row.intent)
                else:
                    negative = self.rows[self.other(i)].question
                yield Pair(_label(row), anchor, row.question, negative)

    def glossary(self, keep: Callable[[str], bool]) -> Iterator[Pair]:
        """The glossary's words, asked about in their everyday form."""
        for term, spoken in self.phrases.glossary.items():
            for lay in spoken if keep(term) else ():
                intent = self.random.choice(["what", "symptoms", "treatment", "causes"])
                known = self.phrases.intents[intent]
                anchor = self.random.choice(known["lay"]).format(x=lay)
                positive = self.random.choice(known["plain"]).format(x=term)
                yield Pair(positive, anchor, positive, self.plain(term, intent))

    def hand_written(self, rows: Sequence[Mapping[str, str]], repeat: int) -> Iterator[Pair]:
        """The hand-written questions with their plain form and a sentence about the subject."""
        stems = [frozenset(lexical.tokens(f"{row['plain']} {row['about']}")) for row in rows]
        by_stem: dict[str, list[int]] = defaultdict(list)
        for i, found in enumerate(stems):
            for stem in found:
                by_stem[stem].append(i)
        for _ in range(repeat):
            for i, row in enumerate(rows):
                lay, plain, about = row["lay"], row["plain"], row["about"]
                rare = min(
                    sorted(stems[i]), key=lambda stem: (len(by_stem[stem]) < 2, len(by_stem[stem]))
                )
                near = [j for j in by_stem[rare] if rows[j]["plain"] != plain]
                wrong = rows[self.random.choice(near)] if near else self.random.choice(rows)
                intent, subject = self.phrases.parse(plain)
                same = self.plain(subject, intent) if intent else wrong["plain"]
                yield Pair(plain, typo(lay, self.random), plain, same)
                wrong_about = about if intent and self.random.random() < 0.5 else wrong["about"]
                wrong_plain = same if wrong_about == about else wrong["plain"]
                yield Pair(plain, lay, f"{plain}\n{about}", f"{wrong_plain}\n{wrong_about}")
                if wrong["about"] != about:
                    yield Pair(plain, lay, about, wrong["about"])

    def off_topic(self) -> Iterator[Pair]:
        """Questions of no medical kind, which belong to no card."""
        for question, reply in self.phrases.off_topic:
            wrong = self.random.choice(self.rows).question
            yield Pair(question, typo(question, self.random), reply, wrong)


def arrange(pairs: Iterable[Pair], extra: Sequence[Pair], size: int, each: int) -> list[Pair]:
    """Full batches one after another: no text or label twice in one, `each` of `extra` in all.

    A pair that does not fit the current batch goes into one of the next; the rest is dropped.
    """
    room = size - each
    done: list[Pair] = []
    open_: list[tuple[list[Pair], set[str]]] = []
    spare = cycle(extra)
    for pair in pairs:
        texts = {text for text in pair if text is not None}
        place = next((b for b in open_ if not texts & b[1]), None)
        if place is None:
            place = ([], set())
            open_.append(place)
        place[0].append(pair)
        place[1].update(texts)
        if len(place[0]) == room:
            open_.remove(place)
            done += [*place[0], *(next(spare) for _ in range(each))]
    return done


def _label(row: Row) -> str:
    return f"{row.intent}: {' '.join(sorted(subject_key(row.subject)))}"


def _opening(text: str) -> str:
    return " ".join(words(text)[:7])


def _neighbours(rows: Sequence[Row]) -> list[list[int]]:
    """For each row the rows of other subjects that BM25 ranks first for its question."""
    keys = [subject_key(row.subject) for row in rows]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lexical.write(
            [f"{r.question} {' '.join(r.answer.split()[:PASSAGE_WORDS])}" for r in rows], folder
        )
        index = lexical.LexicalIndex(folder)
        found = []
        for row, key in zip(rows, keys, strict=True):
            best = index.scores(row.question).argsort()[::-1][:60]
            found.append(
                [int(j) for j in best if not keys[j] & key or len(keys[j] ^ key) > 2][:_NEIGHBOURS]
            )
    return found


def typo(text: str, draw: random.Random, share: float = 0.15) -> str:
    """Now and then one slip of the finger in a longer word."""
    long = [m for m in re.finditer(r"[A-Za-z]{5,}", text)]
    if not long or draw.random() >= share:
        return text
    match = draw.choice(long)
    at = draw.randrange(match.start() + 1, match.end() - 1)
    if draw.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def read_hand_written(folder: Path) -> list[dict[str, str]]:
    """The lines `{"lay", "plain", "about"}` of a folder's JSONL files, in order of file name."""
    lines = (
        line
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return [json.loads(line) for line in lines if line.strip()]
