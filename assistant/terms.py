"""Short definitions, from the deck, of the medical terms that an answer uses."""

from __future__ import annotations

import re
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from assistant.answer import Term
from assistant.support_words import GENERAL, listed
from index.cards import Flashcard
from index.retrieve import CardRetriever
from index.text import STOPWORDS, fold, sentences, words

MOST = 4  # terms of one answer
_MOST_WORDS = 25  # of a definition
_LONGEST = 4  # words of a term
_COMMON = 0.04  # share of the cards' answers: a term in more of them needs no definition
_MANY = 50  # cards, from which that share says anything
_ASKS = re.compile(
    r"what (?:is|are) (?:an? |the )?(?P<term>[\w' -]+?)"
    r"(?:,? (?:\((?P<other>[\w' -]+)\)|or (?P<name>[\w'-]+)))?\??$"
)
_DEFINES = re.compile(
    r"\b(?:is|are|means|happens when|occurs when|refers to|describes|measures|develops when)\b"
)
# Where a long definition may end: what follows adds to it. Not before "unless" or "except".
_ENDS = re.compile(
    r", (?=which |where |who |so |because |often |usually |most often |such as |including |and it )"
    r"|; "
)
_MARK = re.compile(r"[.,;:!?()\[\]]")  # no term goes over one
_NOT_A_TERM = frozenset(
    ("of", "for", "in", "to", "between", "and", "or", "with", "when", "if", "your", "my", "first",
     "best", "used", "difference", "symptoms", "signs", "causes", "treatment", "treatments")
)  # fmt: skip
# Everyone knows these, and a definition of them would be in the way.
_EVERYDAY = frozenset(
    listed(
        """cancer infection fever cough cold flu pain headache stroke sleep pregnancy blood heart
        lung lungs liver kidney kidneys brain skin bone bones muscle muscles stomach diet protein
        vitamin vitamins vaccine vaccines alcohol smoking stress asthma diabetes baby doctor
        medicine virus bacteria allergy allergies rash diarrhea vomiting surgery exercise obesity
        depression anxiety cell cells sugar salt fat water tooth teeth eye eyes ear ears nose
        mouth throat x-ray"""
    )
)


@dataclass(frozen=True, slots=True)
class Glossary:
    """Definitions by the words of their terms, each in the singular."""

    known: dict[tuple[str, ...], Term]

    def within(self, text: str, asked: str, cited: Sequence[str] = ()) -> tuple[Term, ...]:
        """The terms of a text in order, at most `MOST`; not what was asked about.

        Args:
            cited: ids of the cards that the text itself is from: what they define, it defines.
        """
        subject = {_form(word) for word in words(asked)}
        found: list[Term] = []
        for key in self._keys(text):
            term = self.known[key]
            if subject.issuperset(key) or term.card_id in {*cited, *(t.card_id for t in found)}:
                continue
            found.append(term)
        return tuple(found[:MOST])

    def _keys(self, text: str) -> Iterator[tuple[str, ...]]:
        """The longest known term at each place."""
        for phrase in _MARK.split(text):
            names = [_form(word) for word in words(phrase)]
            place = 0
            while place < len(names):
                lengths = range(min(_LONGEST, len(names) - place), 0, -1)
                keys = (tuple(names[place : place + n]) for n in lengths)
                key = next((key for key in keys if key in self.known), None)
                if key:
                    yield key
                place += len(key) if key else 1


# By identity: one index may be equal to another and hold other cards.
_glossaries: dict[int, tuple[weakref.ref[object], Glossary]] = {}
_making = Lock()


def glossary_of(retriever: CardRetriever) -> Glossary:
    """The glossary of an index, made once for all copies of a retriever and dropped with them."""
    shared = retriever.shared
    key = id(shared)
    with _making:  # of a large deck it takes seconds: not once for each who waits
        owner, known = _glossaries.get(key, (None, None))
        if owner is None or owner() is not shared or known is None:
            known = glossary(retriever.cards)
            gone = weakref.ref(shared, lambda _: _glossaries.pop(key, None))
            _glossaries[key] = (gone, known)
        return known


def glossary(cards: Sequence[Flashcard]) -> Glossary:
    """What the cards define: "What is X?" whose first sentence says what X is."""
    known: dict[tuple[str, ...], Term] = {}
    for card in cards:
        match = _ASKS.match(fold(card.question))
        if not match:
            continue
        names = [name for name in match.groups() if name and _is_term(name)]
        definition = short_definition(card.answer, match["term"])
        if not definition or match["term"] not in names:
            continue
        for name in names:
            key = tuple(_form(word) for word in words(name))
            known.setdefault(key, Term(name, definition, card.id, card.source))
    common = _common({key for key in known if len(key) == 1}, cards)
    return Glossary({key: term for key, term in known.items() if key not in common})


def _form(word: str) -> str:
    """A word in lower case and, roughly, in the singular."""
    word = fold(word)
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


def _is_term(name: str) -> bool:
    parts = name.split()
    if not 1 <= len(parts) <= _LONGEST or _NOT_A_TERM & {*parts} or name in _EVERYDAY:
        return False
    return len(name) > 2 and not all(part in GENERAL or part in STOPWORDS for part in parts)


def _common(keys: set[tuple[str, ...]], cards: Sequence[Flashcard]) -> set[tuple[str, ...]]:
    if len(cards) < _MANY:
        return set()
    counts = Counter(
        name for card in cards for name in {(_form(word),) for word in words(card.answer)} & keys
    )
    return {name for name, count in counts.items() if count > _COMMON * len(cards)}


def short_definition(answer: str, term: str) -> str:
    """The first sentence, if it defines the term; cut at a clause to 25 words; "" if it cannot."""
    first = next(iter(sentences(answer)), "")
    head = _DEFINES.search(first)
    named = {_form(word) for word in words(term)}
    if not head or not named & {_form(word) for word in words(first[: head.start()])}:
        return ""
    if len(first.split()) <= _MOST_WORDS:
        return first
    ends = [m.start() for m in _ENDS.finditer(first) if m.start() > head.end() + 12]
    cuts = [first[:end] for end in ends if len(first[:end].split()) <= _MOST_WORDS]
    fits = [cut for cut in cuts if cut.count("(") == cut.count(")")]
    return f"{fits[-1]}." if fits else ""
