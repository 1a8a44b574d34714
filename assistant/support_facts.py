"""What a text says, in a form that can be compared: its words as notions, numbers, negations."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

import Stemmer

from assistant.support_numbers import UNITS, Number, number_word, read_number, share_units, value_of
from assistant.support_words import (
    BOUNDARIES,
    CONTRASTS,
    ENDINGS,
    GENERAL,
    HEDGES,
    KEPT,
    LEVELS,
    NEGATORS,
    PHRASE,
    PHRASES,
    PREFIXES,
    opposites,
    synonym_groups,
)
from index.text import STOPWORDS, fold

_TOKEN = re.compile(
    r"(?P<num>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:[.·]\d+)?)(?P<glued>%|°?[a-zµμ]+(?![a-z\d]))?"
    r"|(?P<word>[^\W\d_][^\W_]*(?:'[a-z]+)?)|(?P<mark>[,;:()]|%|°[cf])"
)
_HYPHEN = re.compile(r"(?<=\w)[-‐‑–—/](?=\w)")  # noqa: RUF001 - the dashes of real texts
_ARTICLES = frozenset(["the", "a", "an", "its", "their", "your", "his", "her", "this", "these"])
_SCOPE = 6  # content words that a negator reaches, within its clause
_AXIS_STEMS: dict[str, list[tuple[int, int]]] = {}
_NAMES: dict[str, str] = {}


def _stem(word: str) -> str:
    # A new stemmer for each text would cost more than the text; PyStemmer's are not thread-safe.
    return str(Stemmer.Stemmer("english").stemWord(word))


@lru_cache(maxsize=50_000)
def notion(word: str) -> str:
    """The name of what a word says: its stem, or that of the first of its synonyms."""
    if word.endswith("'s"):
        word = word[:-2]
    stem = _stem(word)
    name = _NAMES.get(word) or _NAMES.get(stem)
    if name is None and word.endswith("er"):  # "quicker"
        name = next(
            (_NAMES[b] for b in (word[:-2], word[:-1], word[:-3] + "y", word[:-3]) if b in _NAMES),
            None,
        )
    return name or stem


def _fill() -> None:
    for group in synonym_groups():
        name = _stem(group[0])
        for word in group:
            _NAMES.setdefault(word, name)
            _NAMES.setdefault(_stem(word), name)
    for axis, sides in enumerate(opposites()):
        for sign, side in zip((1, -1), sides, strict=True):
            for word in side:
                marks = _AXIS_STEMS.setdefault(notion(word), [])
                if (axis, sign) not in marks:
                    marks.append((axis, sign))


_fill()
_GENERAL_NOTIONS = frozenset(notion(word) for word in GENERAL)


@dataclass(slots=True)
class Word:
    """A content word: its notion, place and clause, and whether a negator reaches it."""

    text: str
    notion: str
    place: int
    clause: int
    negated: bool = False
    general: bool = False
    after: str = ""  # the function word before it, such as "of", "from" or "by"
    axes: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Facts:
    """All that is compared of one sentence."""

    words: list[Word] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    levels: list[tuple[int, str, int, int]] = field(
        default_factory=list
    )  # amount, word, clause, place
    negators: int = 0
    denying: list[int] = field(default_factory=list)  # the clause of each negator
    hedged: bool = False
    connectors: list[int] = field(default_factory=list)  # places where the sentence may be cut
    tokens: list[str] = field(default_factory=list)

    @property
    def notions(self) -> set[str]:
        return {word.notion for word in self.words}


def compared(text: str) -> str:
    """Folded text without marks, joiners and accents, and with its fixed phrases replaced."""
    text = fold(text)
    if not text.isascii():
        text = "".join(
            c
            for c in unicodedata.normalize("NFKD", text)
            if unicodedata.category(c) not in ("Mn", "Cf", "Me")
        ).casefold()
        text = text.replace("≥", " atleast ").replace("≤", " atmost ")
    text = text.replace("<", " below ").replace(">", " above ")
    text = _HYPHEN.sub(" - ", PHRASE.sub(lambda match: PHRASES[match[0]], text))
    return PHRASE.sub(lambda match: PHRASES[match[0]], text)


def _tokens(text: str) -> list[str]:
    out: list[str] = []
    for match in _TOKEN.finditer(compared(text)):
        if number := match["num"]:
            out.append(str(value_of(number)))
            if glued := match["glued"]:
                if glued in ("st", "nd", "rd", "th", "s"):
                    continue
                out.append(glued)
        else:
            out.append(match[0])
    return out


@lru_cache(maxsize=4096)
def read(text: str) -> Facts:
    """The facts of a sentence."""
    facts = Facts(tokens=(tokens := _tokens(text)))
    clause = reach = place = 0
    negated = waiting = False
    outside: list[_Reach] = []
    while place < len(tokens):
        token = tokens[place]
        if number_word(token) is not None:
            number, end = read_number(tokens, place)
            number.bound = _bound(tokens, place, end)
            facts.numbers.append(number)
            place = end
            continue
        before = negated, reach, waiting
        if token in BOUNDARIES or token in CONTRASTS:
            joins = token in ("and", "or", "nor") or (token == "," and _in_list(tokens, place))
            if not joins and not (token == "," and waiting):
                clause, negated = clause + 1, False
            if token not in ("(", ")", "or", ":"):
                facts.connectors.append(place)
        if token in ("(", ")"):
            negated, reach, waiting = _bracket(token, before, outside)
        if level := _level(tokens, place):
            facts.levels.append((level, token, clause, place))
            facts.hedged = facts.hedged or token in HEDGES
        if token in NEGATORS and not (
            token == "rather" and "than" not in tokens[place : place + 2]
        ):
            facts.negators += 1
            facts.denying.append(clause)
            negated, reach, waiting = True, 0, True
        _add_word(facts, token, place, clause, negated and reach < _SCOPE)
        if facts.words and facts.words[-1].place == place and negated:
            reach, waiting = reach + 1, False
        place += 1
    share_units(facts.numbers, tokens)
    return facts


_Reach = tuple[bool, int, bool]  # whether negated, words since, whether still without a word


def _bracket(token: str, before: _Reach, outside: list[_Reach]) -> _Reach:
    """A bracket interrupts a negation: "never (even then) give it" denies the giving."""
    if token == "(":
        outside.append(before)
        return False, 0, False
    return outside.pop() if outside else (False, 0, False)


def _in_list(tokens: list[str], comma: int) -> bool:
    """Whether a comma parts the items of a list: another comma, "and" or "or" follows soon."""
    ahead = tokens[comma + 1 : comma + 4]
    return bool(ahead) and ahead[0] not in ("and", "or") and bool({",", "and", "or"} & {*ahead})


def _level(tokens: list[str], place: int) -> int | None:
    token, following = tokens[place], tokens[place + 1] if place + 1 < len(tokens) else ""
    if token == "every" and following and (following in UNITS or number_word(following)):
        return None  # "every day", "every two weeks"
    if token == "may" and place and tokens[place - 1] == "in":
        return None
    return LEVELS.get(token)


def _bound(tokens: list[str], start: int, end: int) -> str:
    before, after = tokens[max(0, start - 2) : start], tokens[end : end + 3]
    for word in before:
        if word in ("over", "under", "within", *_BOUNDS):
            return word
    return next((word for word in after if word in _BOUNDS), "")


_BOUNDS = ("atleast", "atmost", "above", "below")


def _add_word(facts: Facts, token: str, place: int, clause: int, negated: bool) -> None:
    if (
        not token[0].isalpha()
        or token in BOUNDARIES
        or token in ("a", "i", "s", "atleast", "atmost")
    ):
        return
    name = notion(token)
    axes = _AXIS_STEMS.get(name, [])
    if not axes and (token in NEGATORS or (token in STOPWORDS and token not in KEPT)):
        return
    if token in LEVELS and not (axes and LEVELS[token] in (1, 3)):
        return
    at = place - 1
    while at > 0 and facts.tokens[at] in _ARTICLES:
        at -= 1
    before = facts.tokens[at] if place else ""
    facts.words.append(
        Word(
            token, name, place, clause, negated,
            _is_general(token, name, before), before, axes,
        )
    )  # fmt: skip


def _is_general(word: str, name: str, before: str) -> bool:
    """Whether a word by itself claims nothing: an everyday word, an adverb of manner, a verb
    after a modal verb."""
    adverb = len(word) > 6 and word.endswith("ly") and word not in UNITS
    return name in _GENERAL_NOTIONS or adverb or before in _MODALS


_MODALS = frozenset(("can", "may", "will", "should", "could", "might", "must", "cannot"))


def related(one: str, other: str) -> bool:
    """Whether two notions are forms of one word ("inflamed", "inflammation")."""
    length = min(len(one), len(other))
    shared = 0
    while shared < length and one[shared] == other[shared]:
        shared += 1
    if shared < 4 or (shared == 4 and length > 5):
        return False
    return one[shared:] in ENDINGS and other[shared:] in ENDINGS


def contrary(one: str, other: str) -> bool:
    """Whether two words differ by a prefix that turns the meaning ("reversible", "hypo-")."""
    if len(one) > len(other):
        one, other = other, one
    if other.endswith("less") and other[:-4] and one.startswith(other[:-4]):
        return True
    for left, right in PREFIXES:
        for a, b in ((left, right), (right, left)):
            if one.startswith(a) and other.startswith(b):
                rest = one[len(a) :]
                if len(rest) >= 5 and (rest == other[len(b) :] or related(rest, other[len(b) :])):
                    return True
    return False


def opposed(one: Word, other: Word) -> bool:
    """Whether two words stand on the two sides of one opposition."""
    if one.notion == other.notion:
        return False
    for axis, sign in one.axes:
        if any(axis == a and sign == -s for a, s in other.axes):
            return not any((axis, sign) == mark for mark in other.axes)
    return one.text != other.text and contrary(one.text, other.text)


def cut(facts: Facts, start: int, end: int) -> Facts:
    """The facts of the tokens from `start` to `end`, their places kept."""
    words = [word for word in facts.words if start <= word.place < end]
    negators = sum(token in NEGATORS for token in facts.tokens[start:end])
    if not negators and any(word.negated for word in words):
        negators = 1  # it stands in the other part: "does not cause fever, pain or itching"
    return Facts(
        words=words,
        numbers=[number for number in facts.numbers if start <= number.place < end],
        levels=[level for level in facts.levels if start <= level[3] < end],
        negators=negators,
        denying=facts.denying,
        hedged=facts.hedged,
        connectors=[place for place in facts.connectors if start < place < end],
        tokens=facts.tokens,
    )
