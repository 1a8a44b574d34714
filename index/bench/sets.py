"""The questions of a benchmark, what they are asked of, and which of it is right."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from index import decks
from index.cards import Flashcard, card_id, make_card
from index.errors import ExpectedError
from index.text import clean, fold

_ROW_ID = ("row", "standin_id", "id")  # of a deck's row, as a file of questions names it


@dataclass(frozen=True)
class QuestionSet:
    """Questions asked of documents: `right[i]` are the positions that answer `questions[i]`."""

    name: str
    documents: tuple[Flashcard, ...]
    questions: tuple[str, ...]
    right: tuple[frozenset[int], ...]

    def subset(self, size: int, questions: int) -> tuple[QuestionSet, list[int]]:
        """The first questions with what is right for them and the first other documents.

        Returns it with the positions that its documents have in this set.
        """
        asked = slice(0, questions)
        kept = sorted(frozenset(chain(*self.right[asked])) | set(range(size)))
        kept = [i for i in kept if i < len(self.documents)]
        place = {old: new for new, old in enumerate(kept)}
        right = tuple(frozenset(place[i] for i in wanted) for wanted in self.right[asked])
        documents = tuple(self.documents[i] for i in kept)
        return QuestionSet(self.name, documents, self.questions[asked], right), kept


def question_to_answer(deck: str) -> QuestionSet:
    """A deck's questions asked of its answers alone, as in MTEB's MedicalQARetrieval.

    Equal answers are one document; equal questions are asked once and have several.

    Raises:
        DeckError: the deck cannot be read.
    """
    documents: dict[str, Flashcard] = {}
    place: dict[str, int] = {}
    right: defaultdict[str, set[int]] = defaultdict(set)
    for row in decks.read(deck):
        question, answer = clean(row.question), clean(row.answer)
        if not question or not answer:
            continue
        place.setdefault(answer, len(place))
        documents.setdefault(answer, make_card("", answer))
        right[question].add(place[answer])
    name = f"{Path(deck).stem}: question to answer"
    return QuestionSet(
        name, tuple(documents.values()), tuple(right), tuple(map(frozenset, right.values()))
    )


def questions_of_cards(path: Path, deck: str, cards: Sequence[Flashcard]) -> QuestionSet:
    """Questions from a JSONL file, each with the card that should be found for it.

    A line has `question` and either `card_id`, a card's id, or `standin_id` (also `row`, `id`):
    the `id` that a row of the deck, a JSONL file, has of its own. Any card with the very question
    of the right one counts as right, too.

    Raises:
        ExpectedError: a line lacks these, or names no card of the deck.
    """
    by_question: defaultdict[str, set[int]] = defaultdict(set)
    for i, card in enumerate(cards):
        by_question[fold(card.question)].add(i)
    place = {card.id: i for i, card in enumerate(cards)}
    rows: dict[str, str] | None = None
    questions, right = [], []
    for number, line in enumerate(_lines(path), start=1):
        identifier = line.get("card_id")
        if identifier is None:
            rows = _row_ids(deck) if rows is None else rows
            row = next((line[key] for key in _ROW_ID if key in line), None)
            identifier = rows.get(str(row))
        if not isinstance(line.get("question"), str) or identifier not in place:
            raise ExpectedError(
                f"line {number} of {str(path)!r}: expected 'question' and the 'card_id' of a card "
                f"of {deck!r}, or the 'standin_id' of a row with that 'id'; got {str(line)[:120]}"
            )
        questions.append(line["question"])
        position = place[identifier]
        right.append(frozenset(by_question[fold(cards[position].question)]))
    return QuestionSet(path.stem, tuple(cards), tuple(questions), tuple(right))


def _row_ids(deck: str) -> dict[str, str]:
    """The card ids of a deck's rows by the rows' own ids."""
    path = Path(deck)
    if path.suffix not in (".jsonl", ".ndjson") or not path.is_file():
        return {}
    return {
        str(row["id"]): card_id(clean(str(row.get("question"))), clean(str(row.get("answer"))))
        for row in _lines(path)
        if "id" in row
    }


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise ExpectedError(f"cannot read {str(path)!r} as JSONL: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ExpectedError(f"{str(path)!r}: expected one JSON object a line")
    return rows
