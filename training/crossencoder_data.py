"""Training pairs for the cross-encoder: a question, a card, and whether the card answers it.

What must be told apart is the card that answers from the card next to it: the same subject asked
about otherwise, the same thing asked about another subject. Those neighbours are found with the
index's own vectors. Where a deck's question stands on the card word for word, reading it shows
nothing, so most questions are asked anew or the card's own question is left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from index import cards as card_files
from index import manifest
from index.cards import Flashcard
from index.config import SplitConfig
from index.embedder import Embedder, embed
from index.retrieve import open_split
from index.similar import Groups, pairs, question_shingles
from index.split import Side, Split
from index.store import Store, Vectors
from training import embedder_data
from training.embedder_subjects import Phrases, Row, subject_key

NEIGHBOURS = 60
LAY_BLOCK = 12  # neighbouring lines of the hand-written questions share a subject
LAY_HELD_OUT = 8  # one block of these many is for validation
# A card that says what something is often says more; it is no wrong answer but to these.
_NOT_IN_A_DEFINITION = frozenset(("inherited", "frequency", "genetics", "research", "outlook"))
_OTHER_QUESTION = 0.75  # cosine of two questions below which they ask for different things
_SAME_QUESTION = 0.93


class Example(NamedTuple):
    """Does the card (`heading`, `body`) answer `question`?"""

    question: str
    heading: str
    body: str
    answers: bool
    source: str
    side: Side


@dataclass(frozen=True)
class Deck:
    """The cards of an index with their vectors, the vectors of their questions and the split."""

    name: str
    cards: Sequence[Flashcard]
    vectors: Vectors
    questions: Vectors
    split: Split


def open_deck(folder: Path, embedder: Embedder) -> Deck:
    """What the pairs need of an index folder."""
    record = manifest.read(folder)
    sides = open_split(folder)  # checks the files
    generation = folder / record.generation
    with (generation / manifest.CARDS).open(encoding="utf-8") as lines:
        cards = list(card_files.load(lines))
    vectors = Store(generation / manifest.VECTORS).all_vectors()
    questions = embed(embedder.model, [card.question for card in cards])
    return Deck(folder.name, cards, vectors, questions, sides)


def deck_examples(
    deck: Deck, phrases: Phrases, limit: int, excluded: frozenset[str], draw: random.Random
) -> Iterator[Example]:
    """Cards of the training and validation sides, asked about, with neighbours that do not answer.

    Args:
        limit: cards to ask about, drawn at random.
        excluded: questions that no pair may contain, beside those of the test side.
    """
    held = [deck.split.sides[c.id] == "test" or c.question in excluded for c in deck.cards]
    rows = [_row(card, phrases) for card in deck.cards]
    maker = embedder_data.PairMaker(rows, phrases, draw.randrange(2**31))
    groups = _groups(deck.cards)
    free = [i for i, h in enumerate(held) if not h]
    for i in draw.sample(free, min(limit, len(free))):
        row, card, side = rows[i], deck.cards[i], deck.split.sides[deck.cards[i].id]
        question, heading = _asked(row, maker, draw)
        yield Example(question, heading, card.answer, True, deck.name, side)
        scores = deck.vectors @ deck.questions[i]
        near = np.argpartition(-scores, min(NEIGHBOURS, len(scores) - 1))[:NEIGHBOURS]
        others = [
            int(j)
            for j in near[np.argsort(-scores[near])]
            if groups.find(int(j)) != groups.find(i) and not held[j]
        ]
        for j in _wrong(i, others, rows, deck, draw):
            heading = deck.cards[j].question if draw.random() < 0.9 else ""
            yield Example(question, heading, deck.cards[j].answer, False, deck.name, side)


def _row(card: Flashcard, phrases: Phrases) -> Row:
    intent, subject = phrases.parse(card.question)
    return Row(card.question, card.answer, card.topic if card.topic and intent else subject, intent)


def _asked(row: Row, maker: embedder_data.PairMaker, draw: random.Random) -> tuple[str, str]:
    """A question that the row's card answers, and the card's heading."""
    if row.intent and draw.random() < 0.7:
        return maker.ask(row.subject, row.intent, subject_key(row.subject)), row.question
    heading = row.question if draw.random() < 0.4 else ""
    if draw.random() < 0.4:
        return embedder_data.typo(row.question, draw, 0.6).lower().rstrip("?"), heading
    return row.question, heading


def _wrong(
    i: int, near: Sequence[int], rows: Sequence[Row], deck: Deck, draw: random.Random
) -> list[int]:
    """Two cards that seem to answer row `i`: by the same subject and by another one."""
    row = rows[i]
    if not row.intent:
        unlike = [j for j in near if deck.questions[j] @ deck.questions[i] < _OTHER_QUESTION]
        return draw.sample(unlike[:8], min(2, len(unlike[:8])))
    key = subject_key(row.subject)
    siblings, others = [], []
    for j in near:
        other = subject_key(rows[j].subject)
        if other == key:
            if rows[j].intent not in (None, row.intent, "what") or (
                rows[j].intent == "what" and row.intent in _NOT_IN_A_DEFINITION
            ):
                siblings.append(j)
        elif not (other <= key or key <= other):  # no broader and no narrower subject
            others.append(j)
    return [draw.choice(found[:4]) for found in (siblings, others) if found]


def _groups(cards: Sequence[Flashcard]) -> Groups:
    groups = Groups(len(cards))
    for i, j in pairs([question_shingles(c) for c in cards], SplitConfig().question_jaccard):
        groups.join(i, j)
    return groups


def lay_examples(
    rows: Sequence[dict[str, str]], embedder: Embedder, draw: random.Random
) -> Iterator[Example]:
    """The hand-written questions with their own answers and with those of their neighbours."""
    asked = embed(embedder.model, [row["lay"] for row in rows])
    plain = embed(embedder.model, [row["plain"] for row in rows])
    cards = embed(embedder.model, [f"{row['plain']}\n{row['about']}" for row in rows])
    sides = [lay_side(k) for k in range(len(rows))]
    for k, row in enumerate(rows):
        lay, heading, about, side = row["lay"], row["plain"], row["about"], sides[k]
        yield Example(lay, heading, about, True, "lay", side)
        # Never without its heading: `about` tells of the subject, not always what was asked.
        yield Example(heading.lower().rstrip("?"), heading, about, True, "lay", side)
        scores = cards @ (asked[k] + plain[k])
        near = [
            int(j)
            for j in np.argsort(-scores)[:400]
            if j != k
            and sides[j] == side
            and plain[j] @ plain[k] < _SAME_QUESTION
            and rows[j]["about"] != about
        ][:6]
        for j in draw.sample(near, min(3, len(near))):
            question = lay if draw.random() < 0.7 else heading
            yield Example(question, rows[j]["plain"], rows[j]["about"], False, "lay", side)


def lay_side(k: int) -> Side:
    """The side of the `k`-th hand-written question."""
    return "validation" if (k // LAY_BLOCK) % LAY_HELD_OUT == 3 else "train"


def passage_examples(rows: Sequence[dict[str, Any]]) -> Iterator[Example]:
    """Hand-written cards with what they answer and what is asked of the same subject besides."""
    for k, row in enumerate(rows):
        side: Side = "validation" if k % LAY_HELD_OUT == 3 else "train"
        for key, answers in (("asked", True), ("near", False)):
            for question in row[key]:
                yield Example(question, row["question"], row["answer"], answers, "passages", side)


def off_topic_examples(
    questions: Sequence[str], decks: Sequence[Deck], embedder: Embedder, draw: random.Random
) -> Iterator[Example]:
    """Messages of no medical kind with one of the three cards nearest to them."""
    vectors = embed(embedder.model, list(questions))
    for k, (question, vector) in enumerate(zip(questions, vectors, strict=True)):
        deck = draw.choice(decks)
        card = deck.cards[int(draw.choice(np.argsort(-(deck.vectors @ vector))[:3].tolist()))]
        side: Side = "validation" if k % LAY_HELD_OUT == 3 else "train"
        yield Example(question, card.question, card.answer, False, "off topic", side)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
