"""Training rows: a question, perhaps with cards, and the answer, as token ids.

Retrieval-augmented fine-tuning (Zhang et al., 2024, https://arxiv.org/abs/2403.10131): some rows
hold the question's own card among retrieved ones, some only cards that do not answer it, some
none. Prompt and answer ids come from `assistant.prompts`, the same functions that serve: the best
card whole and first, of the others what bears on the question. A model that only ever saw the right
card first would learn to copy the first card whatever it says, so in some rows the order is drawn.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.prompts import NOT_COVERED, answer_ids, fence, grounded, prompt_ids, shorten
from index.cards import Flashcard
from index.similar import answer_shingles, jaccard, question_shingles
from index.text import content_words
from training.config import RowsConfig
from training.templates import template_ids

Kind = Literal["gold", "absent", "closed_book", "dialogue"]
Find = Callable[[str, int], Sequence[Flashcard]]  # question, depth -> cards, best first

DEPTH = 16  # cards that are retrieved; what is left of them after the filters fills the prompt
# A retrieved card this near to the question's own may answer it too, and must not stand in a row
# whose target is that the cards do not cover the question.
_SAME_QUESTION = 0.5
_SAME_ANSWER = 0.2
_ANSWER_WORDS = 0.5  # share of the answer's content words that the other card holds


@dataclass(frozen=True, slots=True)
class Row:
    """One example. The loss is taken on `answer` only."""

    kind: Kind
    question: str
    target: str
    cards: tuple[Flashcard, ...]
    prompt: tuple[int, ...]  # token ids
    answer: tuple[int, ...]  # token ids, with the end of the turn
    card_id: str = ""  # of the card that is asked about

    @property
    def ids(self) -> list[int]:
        """The whole sequence."""
        return [*self.prompt, *self.answer]

    @property
    def labels(self) -> list[int]:
        """What the loss is taken on; -100 is left out."""
        return [-100] * len(self.prompt) + list(self.answer)


@dataclass
class Rows:
    """The rows of one side, and how many questions gave none."""

    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        return dict(Counter(row.kind for row in self.rows))

    def card_ids(self) -> list[str]:
        """The cards that were asked about or stood in a prompt: what a model may have learnt."""
        shown = {card.id for row in self.rows for card in row.cards}
        return sorted(shown | {row.card_id for row in self.rows if row.card_id})

    @property
    def tokens(self) -> int:
        """Tokens of all sequences, without padding."""
        return sum(len(row.prompt) + len(row.answer) for row in self.rows)


def draw(
    cards: Sequence[Flashcard], config: RowsConfig, limit: int | None, seed: int
) -> list[Flashcard]:
    """The cards of one side that become rows, in an order set by the seed."""
    kept = [
        card
        for card in cards
        if len(card.question) >= config.min_question_chars
        and len(card.answer) >= config.min_answer_chars
    ]
    random.Random(f"{seed}:draw").shuffle(kept)
    return kept[:limit]


def make_rows(
    cards: Sequence[Flashcard],
    allowed: Iterable[Flashcard],
    find: Find,
    tokenizer: Any,
    config: RowsConfig,
    seed: int,
    done: Callable[[], object] = lambda: None,
) -> Rows:
    """One row for each card, its kind by the configured shares.

    Args:
        allowed: the cards that may stand in a prompt besides the question's own.
        find: retrieval over the whole index.
        done: called once a card, for a progress bar.
    """
    may_stand = {card.id for card in allowed}
    made = Rows()
    for card, kind in zip(cards, kinds(len(cards), config, seed), strict=True):
        done()
        chance = random.Random(f"{seed}:{card.id}")
        ranked: list[Flashcard] = []
        if kind != "closed_book":
            found = find(card.question, DEPTH)
            ranked = [c for c in found if c.id in may_stand or c.id == card.id]
        if kind == "gold":
            ranked = _with_own(card, ranked, config, chance)
        if kind == "absent":
            ranked = [c for c in ranked if c.id != card.id and not may_answer(c, card)]
            if not ranked:
                made.left_out["no card that does not answer"] += 1
                continue
            if chance.random() < config.shuffled:
                ranked = chance.sample(ranked[: config.cards], len(ranked[: config.cards]))
        row = _fitting(card, kind, ranked, tokenizer, config)
        if row is None:
            made.left_out[f"longer than {config.max_tokens} tokens"] += 1
        else:
            made.rows.append(row)
    return made


def kinds(count: int, config: RowsConfig, seed: int) -> list[Kind]:
    """A kind for each of `count` rows, in the configured proportions, in random order."""
    gold = round(count * config.gold)
    absent = min(round(count * config.absent), count - gold)
    wanted: dict[Kind, int] = {"gold": gold, "absent": absent}
    wanted["closed_book"] = count - gold - absent
    order = [kind for kind, number in wanted.items() for _ in range(number)]
    random.Random(f"{seed}:kinds").shuffle(order)
    return order


def may_answer(other: Flashcard, card: Flashcard) -> bool:
    """Whether another card may answer the question of `card`."""
    if jaccard(question_shingles(other), question_shingles(card)) >= _SAME_QUESTION:
        return True
    if jaccard(answer_shingles(other), answer_shingles(card)) >= _SAME_ANSWER:
        return True
    wanted = set(content_words(card.answer))
    held = set(content_words(other.text))
    return bool(wanted) and len(wanted & held) / len(wanted) >= _ANSWER_WORDS


def dialogue_rows(cards: Sequence[Flashcard], tokenizer: Any, config: RowsConfig) -> Rows:
    """Patient-doctor dialogues as closed-book rows."""
    made = Rows()
    for card in cards:
        row = _row(card, "dialogue", (), tokenizer, config)
        if len(row.prompt) + len(row.answer) > config.max_tokens:
            made.left_out[f"dialogue longer than {config.max_tokens} tokens"] += 1
        else:
            made.rows.append(row)
    return made


def _with_own(
    card: Flashcard, ranked: Sequence[Flashcard], config: RowsConfig, chance: random.Random
) -> list[Flashcard]:
    """The cards of a prompt, the question's own where retrieval or chance puts it."""
    others = [c for c in ranked if c.id != card.id][: config.cards - 1]
    place = next((n for n, c in enumerate(ranked) if c.id == card.id), config.cards)
    if place >= config.cards or chance.random() < config.shuffled:
        chance.shuffle(others)
        place = chance.randint(0, len(others))
    return [*others[:place], card, *others[place:]]


def _fitting(
    card: Flashcard, kind: Kind, ranked: Sequence[Flashcard], tokenizer: Any, config: RowsConfig
) -> Row | None:
    """The row with as many cards as fit, or None if it is too long with the fewest."""
    left = list(ranked[: config.cards])
    while True:
        row = _row(card, kind, left, tokenizer, config)
        if len(row.prompt) + len(row.answer) <= config.max_tokens:
            return row
        others = [c for c in left if c.id != card.id]
        if len(others) <= (1 if kind == "absent" else 0):
            return None
        left.remove(others[-1])


def _row(
    card: Flashcard, kind: Kind, ranked: Sequence[Flashcard], tokenizer: Any, config: RowsConfig
) -> Row:
    cards: Sequence[Flashcard] = ()
    answer = card.answer
    if config.template == "medcards":
        prompt = grounded(card.question, ranked, config.cards)
        cards = prompt.cards
        # The prompt holds less of an answer than the card: a longer target would teach the model
        # to go on from what it cannot see.
        answer = next((c.answer for c in cards if c.id == card.id), answer)
        target = NOT_COVERED if kind == "absent" else shorten(fence(answer))
        ids = prompt_ids(tokenizer, prompt)
    else:
        target = fence(answer)
        ids = template_ids(tokenizer, config.template, card.question)
    said = answer_ids(tokenizer, target)
    return Row(kind, card.question, target, tuple(cards), tuple(ids), tuple(said), card.id)
