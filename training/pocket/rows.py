"""What the small Llama reads before any adapter: chats with cards, chats without, and textbooks.

Most rows are in the form of `assistant.prompts`, with the answering card among others, so that
the model learns early to copy from its context and when not to: in some rows no card answers and
the target says so. Cards that an index holds out, and corpus rows like them, stay away.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.prompts import NOT_COVERED, Prompt, answer_ids, fence, prompt_ids, shorten
from index.cards import Flashcard, make_card
from index.errors import ExpectedError
from index.similar import Groups, answer_shingles, pairs, question_shingles
from training.embedder_data import PairMaker, typo
from training.embedder_subjects import Row, subject_key
from training.pocket.config import Mixture
from training.rows import may_answer

SILENT, CONTEXT, ANSWER = 0, 1, 2  # how much a token counts in the loss
_SAME_QUESTION, _SAME_ANSWER = 0.7, 0.4  # Jaccard from which a row is like a held-out card


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids, and for each token how much it counts in the loss."""

    kind: str
    ids: list[int]
    counts: list[int]


@dataclass
class Material:
    """What the rows are made of."""

    maker: PairMaker
    hand_written: Sequence[dict[str, str]]
    books: Sequence[str]
    left_out: Counter[str] = field(default_factory=Counter)


def without_held_out(rows: Sequence[Row], held_out: Sequence[Flashcard]) -> list[Row]:
    """The rows that are not near-duplicates, in question or answer, of a held-out card."""
    cards = [*held_out, *(make_card(question=r.question, answer=r.answer) for r in rows)]
    first = len(held_out)
    groups = Groups(len(cards))
    for i, j in pairs([question_shingles(card) for card in cards], _SAME_QUESTION):
        groups.join(i, j)
    # A flashcard holds the start of a long answer: compare starts of about its length.
    starts = [
        make_card(question=card.question, answer=" ".join(card.answer.split()[:60]))
        for card in cards
    ]
    for i, j in pairs([answer_shingles(card) for card in starts], _SAME_ANSWER):
        groups.join(i, j)
    barred = {groups.find(i) for i in range(first)}
    return [row for i, row in enumerate(rows) if groups.find(first + i) not in barred]


class RowMaker:
    """Draws rows, the same for the same seed."""

    def __init__(self, material: Material, tokenizer: Any, mixture: Mixture, seed: int) -> None:
        self._maker = material.maker
        self._hand = material.hand_written
        self._books = material.books
        self._tokenizer = tokenizer
        self._mixture = mixture
        self._random = random.Random(seed)
        self._usable = [i for i, cut in enumerate(self._maker.cut) if cut]
        if not self._usable:
            raise ExpectedError("the corpora hold no answer to learn from: expected --corpus FILE")
        self._pages = self._pages_of_books()
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Sample]:
        """Rows without end."""
        shares = self._mixture.shares
        draw = {
            "gold": self._gold,
            "hand": self._hand_written,
            "absent": self._absent,
            "closed": self._closed,
            "book": self._book,
        }
        while True:
            (kind,) = self._random.choices(list(shares), list(shares.values()))
            row = draw[kind]()
            if row is None or len(row.ids) > self._mixture.max_tokens:
                self.left_out[f"{kind}: " + ("nothing fits" if row is None else "too long")] += 1
            else:
                yield row

    def _gold(self) -> Sample | None:
        i = self._random.choice(self._usable)
        card = self._card(i)
        return self._with_cards("gold", self._asked(i), card, self._others(i, self._room() - 1))

    def _hand_written(self) -> Sample | None:
        if not self._hand:
            return None
        row = self._random.choice(self._hand)
        card = make_card(question=row["plain"], answer=row["about"])
        asked = row["lay"] if self._random.random() < 0.7 else row["plain"]
        near = self._random.choice(self._usable)
        others = [self._card(j) for j in self._drawn(near, self._room() - 1)]
        return self._with_cards("hand", asked, card, others)

    def _absent(self) -> Sample | None:
        i = self._random.choice(self._usable)
        card = self._card(i)
        others = [c for c in self._others(i, self._room()) if not may_answer(c, card)]
        return self._with_cards("absent", self._asked(i), None, others) if others else None

    def _closed(self) -> Sample:
        i = self._random.choice(self._usable)
        card = self._card(i)
        return self._chat("closed", Prompt(self._asked(i)), shorten(fence(card.answer)))

    def _book(self) -> Sample | None:
        if not self._pages:
            return None
        page = self._random.choice(self._pages)
        return Sample("book", page, [CONTEXT] * len(page))

    def _with_cards(
        self, kind: str, asked: str, card: Flashcard | None, others: Sequence[Flashcard]
    ) -> Sample:
        shown = [*others, card] if card else list(others)
        self._random.shuffle(shown)
        target = shorten(fence(card.answer)) if card else NOT_COVERED
        return self._chat(kind, Prompt(asked, tuple(shown)), target)

    def _chat(self, kind: str, prompt: Prompt, target: str) -> Sample:
        before = prompt_ids(self._tokenizer, prompt)
        after = answer_ids(self._tokenizer, target)
        read = CONTEXT if self._random.random() < self._mixture.read_prompts else SILENT
        return Sample(kind, before + after, [read] * len(before) + [ANSWER] * len(after))

    def _room(self) -> int:
        """How many cards a prompt shows."""
        cards = self._mixture.cards
        return self._random.choices(range(1, len(cards) + 1), cards)[0]

    def _card(self, i: int) -> Flashcard:
        return make_card(
            question=self._maker.rows[i].question, answer=shorten(self._maker.passage(i, 0.1))
        )

    def _others(self, i: int, count: int) -> list[Flashcard]:
        return [self._card(j) for j in self._drawn(i, count)]

    def _drawn(self, i: int, count: int) -> list[int]:
        drawn: list[int] = []
        for _ in range(4 * count):
            j = self._maker.other(i)
            if len(drawn) < count and j != i and j not in drawn and self._maker.cut[j]:
                drawn.append(j)
        return drawn

    def _asked(self, i: int) -> str:
        """The card's question: as it stands, with slips, or as people ask it."""
        row = self._maker.rows[i]
        chance = self._random.random()
        if row.intent and chance < self._mixture.everyday:
            return self._maker.ask(row.subject, row.intent, subject_key(row.subject))
        if chance < self._mixture.everyday + 0.1:
            slipped = typo(row.question, self._random, 0.7).rstrip("?. ")
            return slipped.lower() if self._random.random() < 0.5 else slipped
        return row.question

    def _pages_of_books(self) -> list[list[int]]:
        length = self._mixture.page_tokens
        pages: list[list[int]] = []
        for text in self._books:
            ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            ids = [self._tokenizer.bos_token_id, *ids, self._tokenizer.eos_token_id]
            pages += [ids[at : at + length] for at in range(0, len(ids) - length // 2, length)]
        return pages


def read_books(path: Path) -> list[str]:
    """The `text` fields of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines if line.strip()]
