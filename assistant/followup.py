"""Follow-up questions: put the subject back that the conversation has and the question lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.text import content_words, fold, words

_OPENING = re.compile(
    r"^(?:and|but|or|so|then|also|ok(?:ay)?|what about|how about|what if|what else|anything else|"
    r"any other|more|tell me more|go on|explain|why|how come)\b"
)
_RENAMING = re.compile(r"^(?:and|or|so)?\s*(?:what about|how about|what of|and|or)\s+(.+)$")
_SMALL = frozenset(("a", "an", "for", "with", "in"))
_MOST_RENAMED = 4  # words
_INDEFINITE = re.compile(r"\b(?:an?|between)\b")
_OWN = ("its", "their")
_PRONOUN = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those)\b", re.IGNORECASE)
_ANAPHORA_TEXT = """
    it its it's itself this that that's these those they them their they're he him his she her
    hers one ones same former latter condition disease illness problem
"""
_ANAPHORA = frozenset(_ANAPHORA_TEXT.split())
# Words that ask something about a subject without naming one.
_ASPECTS_TEXT = """
    symptom symptoms sign signs cause causes caused treat treated treatment treatments therapy
    cure cures cured curable prevent prevented prevention avoid risk risks factor factors
    diagnose diagnosed diagnosis test tests tested testing complication complications dangerous
    serious common contagious hereditary inherited genetic child children kids baby babies adult
    adults elderly older women men pregnant pregnancy long last lasts often side effect effects
    work works outlook prognosis emergency doctor hospital home help helps medicine medicines
    drug drugs safe else example examples mild severe worse better best worst early late first
    different difference normal bad good people someone anyone show shows start starts stop
    stops spread spreads happens
"""
_ASPECTS = frozenset(_ASPECTS_TEXT.split())


def is_followup(question: str) -> bool:
    """Whether a question leans on what was said before: an opening, a pronoun, or no subject."""
    subject = _subject(question)
    opens = _OPENING.match(fold(question)) is not None
    return not subject or ((_refers(question) or opens) and len(subject) <= 2)


def unclear(question: str, earlier: Sequence[str]) -> bool:
    """Whether neither a question nor the conversation names what it is about.

    Any card would fit "What are the symptoms?"; "What is a symptom?" asks for the word itself.
    """
    return _lacks_subject(candidates(question, earlier)[0])


def _lacks_subject(question: str) -> bool:
    return bool(content_words(question)) and _names_nothing(question)


def _names_nothing(question: str) -> bool:
    indefinite = _INDEFINITE.search(fold(question))
    return not _subject(question) and (_refers(question) or not indefinite)


def _subject(question: str) -> list[str]:
    return [w for w in content_words(question) if w not in _ANAPHORA and w not in _ASPECTS]


def _refers(question: str) -> bool:
    return any(word in _ANAPHORA for word in words(question))


def candidates(question: str, earlier: Sequence[str]) -> list[str]:
    """Readings of a question, the likelier first: with its subject put back, and as it stands.

    One that names no subject has no other reading than with the subject of an earlier one.

    Args:
        earlier: what the user asked before in this conversation, oldest first.
    """
    if not earlier or not is_followup(question):
        return [question]
    anchor = _anchor(earlier)
    if renamed := _renamed(anchor, question):
        return [renamed, question]
    readings = [f"{anchor} {question}"]
    if not _names_nothing(question):
        return [*readings, question]
    name = _name(anchor) if _lacks_subject(question) else ""
    return [_with_name(question, name), *readings] if name else readings


def _anchor(earlier: Sequence[str]) -> str:
    """The question that the conversation has come to: "what about gout?" changes its subject."""
    anchor = ""
    for question in earlier:
        if not (anchor and is_followup(question)):
            anchor = question
        elif renamed := _renamed(anchor, question):
            anchor = renamed
    return anchor


def _renamed(anchor: str, question: str) -> str:
    """The anchor with the subject that a question only names; empty if it does more or less."""
    match, old = _RENAMING.match(fold(question).rstrip("?!. ")), _name(anchor)
    if not match or not old:
        return ""
    named = [word for word in words(match[1]) if word not in _SMALL]
    if not 0 < len(named) <= min(_MOST_RENAMED, len(_subject(match[1]))):
        return ""
    pattern = re.compile(r"\W+".join(map(re.escape, old.split())), re.IGNORECASE)
    return pattern.sub(lambda _: " ".join(named), anchor, count=1)


def _name(question: str) -> str:
    """What a question is about: its longest run of words that name something, the last of equals.

    "How is type 2 diabetes treated?" is about "type 2 diabetes".
    """
    runs: list[list[str]] = [[]]
    subject = {*_subject(question)}
    for word in words(question):
        if word in subject:
            runs[-1].append(word)
        elif runs[-1]:
            runs.append([])
    longest = max(len(run) for run in runs)
    return next(" ".join(run) for run in reversed(runs) if len(run) == longest)


def _with_name(question: str, name: str) -> str:
    """The question with a name in the place of its pronoun, or at its end."""
    owned = f"{name}'" if name.endswith("s") else f"{name}'s"
    replaced, count = _PRONOUN.subn(
        lambda m: owned if m[0].lower() in _OWN else name, question, count=1
    )
    return replaced if count else f"{question.rstrip('?!. ')} of {name}?"
