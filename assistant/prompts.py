"""The prompt: the only prompt text of the project, the same in training, serving and evaluation.

The instruction comes first and never changes, so that an engine can keep it cached; then the
cards, few and short, because reading the prompt is what takes long on a CPU; then the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from index.cards import Flashcard
from index.lexical import tokens
from index.text import clean, sentences

Message = dict[str, str]

SYSTEM = (
    "You answer health questions from flashcards. Use only the cards. "
    "If the cards do not cover the question, say: My cards do not cover this."
)
SYSTEM_WITHOUT_CARDS = "You answer health questions briefly and correctly."
NOT_COVERED = "My cards do not cover this."

CARD_WORDS = 90  # of each card's answer that the prompt may hold
OTHER_SENTENCES = 2  # of each card but the best
_FEWEST = 2  # cards of a prompt that shares some with the one before
_LEAST = 40  # characters below which nothing more is cut
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


def grounded(
    question: str, cards: Sequence[Flashcard], count: int, earlier: Sequence[Flashcard] = ()
) -> Prompt:
    """The prompt for a question over the cards that were found for it.

    Reading the prompt is what takes long on a CPU. The best card goes in whole, of the others only
    the sentences that bear on the question. Cards that the last prompt of the conversation held
    come first and as they were, so that an engine finds them in its cache; beside them comes the
    best card if it is new, else no more than what makes two.

    Args:
        cards: what was found, best first.
        count: how many cards the prompt holds at most.
        earlier: the cards of the last prompt of this conversation, as they stood in it.
    """
    best = cards[0].id if cards else ""
    found = {card.id: card for card in cards}
    chosen: list[Flashcard] = []
    for card in earlier:
        if card.id not in found:
            break  # from here on the cache is of no use
        if card.id == best and card != found[best]:
            break
        chosen.append(card)
    wanted = min(count, _FEWEST) if chosen else count
    # Without the best card there is no answer: it takes the place of the last of those kept.
    if best and all(card.id != best for card in chosen):
        chosen = [*chosen[: count - 1], found[best]]
    held = {card.id for card in chosen}
    for card in cards:
        if len(chosen) >= wanted:
            break
        if card.id not in held:
            chosen.append(replace(card, answer=bearing(question, card)))
    return Prompt(question, chosen[:count])


def bearing(question: str, card: Flashcard) -> str:
    """The sentences of a card's answer that bear on a question, at most `OTHER_SENTENCES`.

    The first one says what the card is about and always stays; the others stay in their order if
    they share a word with the question that the card's own question has not.
    """
    first, *rest = sentences(card.answer) or [""]
    asked = set(tokens(question)) - set(tokens(card.question))
    kept = [sentence for sentence in rest if asked & set(tokens(sentence))]
    return " ".join([first, *kept[: OTHER_SENTENCES - 1]])


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


def fitting_ids(tokenizer: Any, prompt: Prompt, room: int) -> list[int]:
    """Token ids of the prompt, with less in it where that is what fits into `room` tokens.

    The last cards go first, then words of the first card, then words of the question: whatever a
    deck or a user sends, the prompt leaves room for the answer.

    Raises:
        ValueError: not even the instruction fits.
    """
    while len(ids := prompt_ids(tokenizer, prompt)) > room:
        prompt = _smaller(prompt, f"{len(ids)} tokens, there is room for {room}")
    return ids


def fitting(prompt: Prompt, room: int) -> Prompt:
    """The same for an engine whose tokenizer is not at hand: `room` is in bytes of UTF-8."""
    while (size := _size(prompt)) > room:
        prompt = _smaller(prompt, f"{size} bytes, there is room for {room}")
    return prompt


def _size(prompt: Prompt) -> int:
    return sum(len(message["content"].encode("utf-8")) for message in prompt.messages())


def _smaller(prompt: Prompt, needs: str) -> Prompt:
    """The prompt with the next thing left out."""
    if len(prompt.cards) > 1:
        return replace(prompt, cards=prompt.cards[:-1])
    for card in prompt.cards:
        text = shorten(fence(card.answer))
        if len(text) > _LEAST:
            return replace(prompt, cards=[replace(card, answer=_half(text))])
        if len(card.question) > _LEAST:
            return replace(prompt, cards=[replace(card, question=_half(card.question))])
        if len(prompt.question) <= _LEAST:
            return replace(prompt, cards=())
    if len(prompt.question) > _LEAST:
        return replace(prompt, question=_half(prompt.question))
    raise ValueError(f"the prompt needs {needs}, and only its instruction is left")


def _half(text: str) -> str:
    """The first half, up to the last whole word if there is one."""
    half = text[: len(text) // 2]
    return half.rpartition(" ")[0] or half


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """Token ids of an answer as the chat template has it after a prompt, then the end of the turn.

    Tokenised by itself, an answer's first word is another token wherever a tokenizer opens a text
    with a space, as Llama 2's and TinyLlama's do: a model tuned on rendered chats never writes it.
    """
    if not answer:
        return [tokenizer.eos_token_id]
    turns = Prompt("What is it?").messages()
    opened = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    turns.append({"role": "assistant", "content": answer})
    whole = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
    before, found, _ = whole.removeprefix(opened).rpartition(answer)
    said = before + answer if found and whole.startswith(opened) else answer
    start: list[int] = tokenizer(opened, add_special_tokens=False)["input_ids"]
    ids: list[int] = tokenizer(opened + said, add_special_tokens=False)["input_ids"]
    if ids[: len(start)] == start:
        ids = ids[len(start) :]
    else:  # a token spans the border; a served prompt ends at it
        ids = tokenizer(said, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]
