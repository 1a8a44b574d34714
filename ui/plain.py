"""Simple language for an answer made of the cards' own sentences: the short ones first.

No word is changed and no sentence is left out: rewriting medical text is for its authors.
"""

from __future__ import annotations

from dataclasses import replace

from assistant.answer import Answer, Sentence, cited_text

# A sentence that starts like this leans on the one before it, and stays behind it.
_LEANING = (
    "it its they them their this that these those he she his her such so however but and or also "
    "then thus therefore otherwise instead still both another others most some many each either "
    "neither if when once after before while because for as in with without rarely sometimes "
    "often usually less more"
)
_LEANS = frozenset(_LEANING.split())


def short_first(answer: Answer) -> Answer:
    """The same sentences, those that are easy to read first; the opening one stays in front."""
    if answer.status != "answered" or len(answer.sentences) < 3:
        return answer
    opening, *rest = _blocks(answer.sentences)
    ordered = [sentence for block in [opening, *sorted(rest, key=_words)] for sentence in block]
    return replace(answer, sentences=tuple(ordered), text=cited_text(ordered))


def _blocks(sentences: tuple[Sentence, ...]) -> list[list[Sentence]]:
    """Sentences, each with those that lean on it."""
    blocks: list[list[Sentence]] = []
    for sentence in sentences:
        first = sentence.text.split(maxsplit=1)[0].strip(",.;:").lower() if sentence.text else ""
        if blocks and first in _LEANS:
            blocks[-1].append(sentence)
        else:
            blocks.append([sentence])
    return blocks


def _words(block: list[Sentence]) -> float:
    """Words a sentence of a block, on average."""
    return sum(len(sentence.text.split()) for sentence in block) / len(block)
