"""What a question asks for and the card that answers it does not speak of.

The judgement of relevance weighs subjects. It hardly sees that a question asks about a baby and the
card about adults, that it asks what does *not* cause a thing, or that it sets two things side by
side of which the card knows one. Word classes see it; the answer then says so before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from index import lexical
from index.cards import Flashcard
from index.text import fold, words

GROUP = (
    "Your question is about {asked}, and the card that I found does not speak of them: what is "
    "right for others can be wrong for them."
)
DENIED = (
    "You ask what is not the case, and the card that I found says what is: it answers the "
    "opposite of your question."
)
COMPARED = (
    "I find nothing on {missing} in the best card, so it does not compare what you want compared."
)

_GROUPS = {
    "babies": "baby babies babys infant infants newborn newborns neonate neonates",
    "children or teenagers": "child children childs kid kids toddler toddlers boy boys girl girls "
    "teen teens teenager teenagers adolescent adolescents schoolchild schoolchildren pediatric "
    "paediatric",
    "pregnant women": "pregnant pregnancy pregnancies expecting",
    "animals": "dog dogs puppy puppies cat cats kitten kittens horse horses pet pets rabbit",
    "adults": "adult adults grown-up grown-ups",
    "men": "man men male males",
    "women": "woman women female females",
    "older people": "elderly older seniors",
}
_BY_WORD = {word: group for group, text in _GROUPS.items() for word in text.split()}
# Of whom a fact about people in general may be untrue; the others are told of in most cards alike.
_APART = frozenset(("babies", "children or teenagers", "pregnant women", "animals"))
_PART_OF = {"babies": {"children or teenagers"}, "pregnant women": {"women"}}
_AGE = re.compile(r"\b(\d{1,2})[ -]?(year|month|week)s?[ -]old\b")
_GROWN = 18

_NEGATION = r"(?:not|never|cannot|except|(?:is|are|do|does|should|can|need|wo|would|must)n't)"
_ASKS_NOT = re.compile(
    r"^(?:and |so |but )?(?!what (?:can|could|should|do) (?:i|we) do\b)"
    r"(?:who|what|which|where|when)\b"
    rf"(?:(?!\b(?:if|when|because|that|after|without)\b).){{0,48}}?\b{_NEGATION}\b"
)
_DENIES = re.compile(
    rf"\b(?:{_NEGATION}|no|nor|none|avoid\w*|unlike|without|unsafe|contraindicated|rarely)\b|n't\b"
)
# What may or should not be done is told in other words than what is not the case.
_ADVICE = re.compile(r"\b(?:should|can|may|must|need)(?:n't| not|not)?\b")
_FORBIDS = re.compile(
    r"\b(?:should|must|may|can|need) (?:not|never)|cannot (?:be|get|have|take|use)\b|\bnever\b"
    r"|\bnot (?:be )?(?:advised|for|given|needed|recommended|safe|suitable|taken|used)\b"
    r"|\b(?:avoid\w*|unsafe|contraindicated|except)\b|\bno need\b"
)

_OPERANDS = (
    re.compile(r"\bdifferences? between (?:an? |the )?(.+?) and (?:an? |the )?(.+?)(?:[?.!,]|$)"),
    re.compile(r"^(?:is |are |which is \w+,? )?(.+?) (?:vs\.?|versus) (.+?)(?:[?.!,]|$)"),
    re.compile(r"\bcompare (.+?) (?:and|with|to) (.+?)(?:[?.!,]|$)"),
    re.compile(r"\bhow (?:does|do|is|are) (.+?) (?:differ|different) from (.+?)(?:[?.!,]|$)"),
)
_HELD = 0.5  # share of an operand's words that speaks of it


def notices(question: str, card: Flashcard) -> Iterator[str]:
    """What the reader of `card` has to know who asked `question`."""
    asked = fold(question)
    if missing := _other_group(asked, card):
        yield GROUP.format(asked=missing)
    if _ASKS_NOT.search(asked) and not _denied(asked, fold(card.text)):
        yield DENIED
    if lacking := _not_compared(asked, card):
        yield COMPARED.format(missing=" and ".join(f'"{operand}"' for operand in lacking))


def _denied(asked: str, card: str) -> bool:
    """Whether a card denies something of the kind that is asked about."""
    return bool((_FORBIDS if _ADVICE.search(asked) else _DENIES).search(card))


def groups(text: str) -> set[str]:
    """Groups of people that a folded text names."""
    found = {_BY_WORD[word] for word in words(text) if word in _BY_WORD}
    for number, unit in _AGE.findall(text):
        if unit != "year" or number == "0":
            found.add("babies")
        elif int(number) < _GROWN:
            found.add("children or teenagers")
    return found


def _other_group(asked: str, card: Flashcard) -> str | None:
    """A group that is asked about and that the card has nothing on, or only on another."""
    theirs, title = groups(fold(card.text)), groups(fold(card.question))
    for group in sorted(groups(asked)):
        if theirs & {group, *_PART_OF.get(group, ())}:
            continue
        if group in _APART or title & _APART:
            return group
    return None


def _not_compared(asked: str, card: Flashcard) -> Sequence[str]:
    """The things to be compared that the card does not speak of."""
    held = set(lexical.tokens(f"{card.topic or ''} {card.text}"))
    for pattern in _OPERANDS:
        if match := pattern.search(asked):
            return [operand for operand in match.groups() if not _speaks_of(held, operand)]
    return []


def _speaks_of(held: set[str], operand: str) -> bool:
    names = set(lexical.tokens(operand))
    return not names or len(names & held) >= _HELD * len(names)
