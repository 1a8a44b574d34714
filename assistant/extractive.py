"""An answer made of the cards' own sentences: what the embedded profile serves.

It is also the floor that a generator has to beat, and what an answer falls back to when a
generator fails or nothing that it wrote is held by a card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event

from assistant.generator import Sampling
from assistant.prompts import Prompt
from index.cards import Flashcard
from index.lexical import tokens
from index.text import sentences

_MAX_FROM_BEST = 5
_MAX_FROM_OTHERS = 2
_REDUNDANT = 0.6  # share of a sentence's words that were said already
_RELEVANT = 0.5  # share of the question's words that another card's question must hold


class ExtractiveGenerator:
    """The best card's sentences, then sentences of others that add to the same question."""

    name = "extractive (the cards' own sentences)"
    grounded = True

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield a sentence at a time; the best card must be first in the prompt."""
        for sentence in select(prompt.question, prompt.cards):
            if stop.is_set():
                return
            yield sentence + " "


def select(question: str, cards: Sequence[Flashcard]) -> list[str]:
    """The sentences of the answer, in the order in which they are said."""
    if not cards:
        return []
    chosen = sentences(cards[0].answer)[:_MAX_FROM_BEST]
    said = {word for sentence in chosen for word in tokens(sentence)}
    asked = set(tokens(question))
    # What the question and the best card's question share is what the answer is about: a card
    # that lacks any of it ("warning signs of meningitis" beside "of a stroke") adds a wrong turn.
    subject = asked & set(tokens(cards[0].question))
    extra: list[str] = []
    for card in cards[1:]:
        about = set(tokens(card.question))
        if not subject or not subject <= about or len(asked & about) < _RELEVANT * len(asked):
            continue
        for sentence in sentences(card.answer):
            new = set(tokens(sentence))
            if new and len(new & said) < _REDUNDANT * len(new) and asked & new:
                extra.append(sentence)
                said |= new
                break
        if len(extra) == _MAX_FROM_OTHERS:
            break
    return chosen + extra
