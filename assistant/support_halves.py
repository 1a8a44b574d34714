"""A sentence of two statements, each of which may stand on its own card.

A half that has lost its subject ("... and lowers blood sugar") says of the first half's subject
what a card says of its own; so a half counts only where it names what its card speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.support_align import held_in, place_of, read_page
from assistant.support_facts import read
from index.cards import Flashcard

_JOINT = re.compile(r"(?:,\s+(?:and|but|while|whereas)|;|\s(?:and|but|while|whereas))\s+")
_MOST_CUTS = 8
_LEAST = 2  # content words of a half
_LEADING = 2  # content words among which a subject stands
_PRONOUNS = frozenset(("it", "they", "this", "these", "he", "she", "its", "their", "there"))


def joints(sentence: str) -> list[tuple[int, int]]:
    """From where to where the words stand at which a sentence may be cut."""
    return [match.span() for match in _JOINT.finditer(sentence)][:_MOST_CUTS]


def halves(sentence: str) -> Iterator[tuple[str, str]]:
    """The two parts of a sentence, at each place where it may be cut."""
    for start, end in joints(sentence):
        parts = sentence[:start].rstrip(" ,;"), sentence[end:]
        if all(len(read(part).words) >= _LEAST for part in parts):
            yield parts[0], parts[1]


def names_its_subject(half: str, card: Flashcard) -> bool:
    """Whether a half begins with what the card's statement is about.

    That is the statement's first content word, or where it begins with a pronoun, what the card's
    question asks about.
    """
    facts, page = read(half), read_page(card.question, card.answer)
    where = place_of(facts, page)
    if not facts.words or not where.words:
        return False
    if where.tokens[0] in _PRONOUNS:
        first = facts.words[0]
        return not (first.general or first.axes) and held_in(first, page, page.asked)
    subject = page.find(where.words[0].notion, {word.notion for word in facts.words[:_LEADING]})
    return subject is not None
