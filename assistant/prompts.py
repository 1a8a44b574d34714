"""The prompt: the only prompt text of the project, the same in training, serving and evaluation.

The instruction comes first and never changes, so that an engine can keep it cached; then the
cards, few and short, because reading the prompt is what takes long on a CPU; then the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from index.cards import Flashcard
from index.text import clean, sentences

Message = dict[str, str]

SYSTEM = (
    "You answer health questions from flashcards. Use only the cards. "
    "If the cards do not cover the question, say: My cards do not cover this."
)
SYSTEM_WITHOUT_CARDS = "You answer health questions briefly and correctly."
NOT_COVERED = "My cards do not cover this."

CARD_WORDS = 90  # of each card's answer that the prompt may hold
_ROLE_MARKER = re.compile(
    r"<\s*(?=[|/]?\s*(?:s\b|/s\b|\||system|user|assistant|im_))", re.IGNORECASE
)


@dataclass(frozen=True)
class Prompt:
    """A question with what may be used to answer it."""

    question: str
    cards: Sequence[Flashcard] = ()

    def messages(self) -> list[Message]:
        """The chat turns up to the answer."""
        if not self.cards:
            return [
                {"role": "system", "content": SYSTEM_WITHOUT_CARDS},
                {"role": "user", "content": fence(self.question)},
            ]
        listed = "\n".join(
            f"[{n}] {fence(card.question)} {shorten(fence(card.answer))}"
            for n, card in enumerate(self.cards, start=1)
        )
        content = f"Cards:\n{listed}\n\nQuestion: {fence(self.question)}"
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def fence(text: str) -> str:
    """Text that cannot pose as a turn of the chat: role and end-of-text markers are broken up."""
    return _ROLE_MARKER.sub("< ", clean(text))


def shorten(answer: str, limit: int = CARD_WORDS) -> str:
    """Whole sentences of an answer up to `limit` words; at least the first, cut if it must be."""
    kept: list[str] = []
    room = limit
    for sentence in sentences(answer):
        length = len(sentence.split())
        if length > room:
            break
        kept.append(sentence)
        room -= length
    return " ".join(kept) if kept else " ".join(answer.split()[:limit])


def prompt_ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of the prompt up to where the answer starts, with exactly one BOS.

    TinyLlama's chat template has no BOS, others have one: adding special tokens to a rendered
    chat would give none, one or two. So none is added and the one is put there by hand.
    """
    text = tokenizer.apply_chat_template(
        prompt.messages(), tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return ids if bos is None or ids[:1] == [bos] else [bos, *ids]


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """Token ids of an answer as the model must write it: the text, then the end of the turn."""
    ids: list[int] = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]
