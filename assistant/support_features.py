"""What a sentence and a card have in common, by meaning and by words, as numbers.

By meaning: each word of the sentence is compared in its context with the words of the card (late
interaction; Khattab and Zaharia, ColBERT, 2020, over the shipped embedder's token vectors).
"Youngsters" finds "children", and "ibuprofen" finds nothing in a card on aspirin. By words: which
notions are shared, in which order, and the verdict of the rules. `support_judge` weighs them.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import combinations, pairwise

import numpy as np

from assistant import support_literal as literal
from assistant.support_align import card_sentences, held_in, place_of, read_page
from assistant.support_facts import notion, read
from assistant.support_halves import joints
from assistant.support_numbers import short_units
from assistant.support_units import as_written
from index.cards import Flashcard
from index.text import STOPWORDS, clean
from index.token_vectors import Matrix, TextVectors, TokenEncoder

NAMES = (
    "rule", "unknown", "words", "ratio", "shared", "slots", "slot_low",
    "all_low3", "all_spread", "place_low1", "place_low2", "place_low3", "own_low1",
    "clause_low2", "clause_mean", "subject", "back_mean", "back_low3", "cosine",
    "same_low1", "same_low2", "same_low_here", "same_share",
    "turns", "same_turns", "jump", "half_low",
)  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")  # noqa: RUF001 - the apostrophe of real texts
_CLAUSE = re.compile(r",|;|\b(?:while|whereas|because|and|but|which)\b")
_JOINERS = {0x200C: None, 0x200D: None}
_QUESTION = 0.95  # of a likeness with a word of the question, which only gives the subject
_QUESTION_CLAUSE = 0.9
_ALIKE = 0.6  # a token with a likeness above this is taken to stand for the other
_LEAST_CLAUSE = 3  # tokens
_SUBJECT = 2  # the first content words
_SLOT = 2  # words
_LEAST_HALF = 3  # words


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A content word of the sentence: its form and its tokens."""

    text: str
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence beside a card: the likeness of each token with each of the card's."""

    sentence: str
    card: Flashcard
    spoken: list[_Spoken]
    parts: list[str]  # the card's sentences
    vectors: list[TextVectors]  # of the card's sentences
    likeness: list[Matrix]  # (tokens of the sentence, tokens of a card's sentence) each
    asked: Matrix  # (tokens of the sentence,): likeness with the question's nearest token
    mine: TextVectors  # the sentence's vectors
    question: TextVectors  # those of the card's question

    @property
    def closeness(self) -> float:
        """Mean likeness of the content words with the card's nearest: a cheap first look."""
        return float(_by_word(self.spoken, _nearest(self)).mean())


def read_beside(sentence: str, cards: Sequence[Flashcard], encoder: TokenEncoder) -> list[Reading]:
    """The sentence beside each card, units written alike; a text is encoded once."""
    cards = [replace(card, answer=short_units(card.answer)) for card in cards]
    plain = plain_letters(short_units(sentence))
    said = [as_written(plain, card.answer) for card in cards]
    parts = [[clean(part) for part in card_sentences(card.answer)] for card in cards]
    texts = [
        *said,
        *(text for card, own in zip(cards, parts, strict=True) for text in (card.question, *own)),
    ]
    known = dict(zip(texts, encoder.read(texts), strict=True))
    return [
        _beside(text, card, own, known) for text, card, own in zip(said, cards, parts, strict=True)
    ]


def _beside(
    text: str, card: Flashcard, parts: list[str], known: Mapping[str, TextVectors]
) -> Reading:
    mine, question = known[text], known[card.question]
    vectors = [known[part] for part in parts]
    asked = (mine.tokens @ question.tokens.T).max(axis=1, initial=-1.0)
    likeness = [mine.tokens @ v.tokens.T for v in vectors]
    spoken = _content(text, mine)
    return Reading(text, card, spoken, parts, vectors, likeness, asked, mine, question)


def plain_letters(text: str) -> str:
    """Text without the forms that show as the same letters: full width, ligatures, joiners.

    Digits of other scripts become the common ones, which models have learnt to read.
    """
    plain = unicodedata.normalize("NFKC", clean(text)).translate(_JOINERS)
    return plain if plain.isascii() else "".join(map(_common_digit, plain))


def _common_digit(character: str) -> str:
    return str(unicodedata.digit(character)) if character.isdecimal() else character


def _content(text: str, vectors: TextVectors) -> list[_Spoken]:
    words = []
    for match in _WORD.finditer(text):
        if tokens := _tokens(vectors, match.start(), match.end()):
            words.append(_Spoken(match[0].lower(), tokens))
    return [word for word in words if word.text not in STOPWORDS] or words


def _tokens(vectors: TextVectors, start: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(vectors.spans) if a < end and b > start]


def _by_word(spoken: Sequence[_Spoken], nearest: Matrix) -> Matrix:
    """The likeness of each word: the mean over its tokens."""
    values: Matrix = np.array(
        [nearest[word.tokens].mean() for word in spoken] or [0.0], dtype=np.float32
    )
    return values


def _nearest(reading: Reading) -> Matrix:
    rows = [matrix.max(axis=1, initial=-1.0) for matrix in reading.likeness]
    nearest: Matrix = np.maximum(np.max(rows, axis=0), reading.asked)
    return nearest


def _lowest(values: Matrix, count: int) -> float:
    return float(np.sort(values)[:count].mean())


def features(reading: Reading) -> list[float]:
    """The values of `NAMES`, in that order."""
    rows = [matrix.max(axis=1, initial=-1.0) for matrix in reading.likeness]
    beside = [_by_word(reading.spoken, np.maximum(row, _QUESTION * reading.asked)) for row in rows]
    here = int(np.argmax([values.mean() + 0.3 * _lowest(values, 2) for values in beside]))
    everywhere = _by_word(reading.spoken, _nearest(reading))
    own = _by_word(reading.spoken, rows[here])
    subject = _by_word(reading.spoken[:_SUBJECT], np.max(rows, axis=0))
    back = reading.likeness[here].max(axis=0, initial=-1.0)
    clause_low, clause_mean = _best_clause(reading)
    return [
        *_word_features(reading, everywhere),
        _lowest(everywhere, 3),
        float(everywhere.std()),
        _lowest(beside[here], 1),
        _lowest(beside[here], 2),
        _lowest(beside[here], 3),
        _lowest(own, 1),
        clause_low,
        clause_mean,
        float(subject.min()),
        float(back.mean()) if back.size else 0.0,
        _lowest(back, 3) if back.size else 0.0,
        float(reading.mine.whole @ reading.vectors[here].whole),
        *_same_words(reading, here),
        _least_half(reading, everywhere),
    ]


def _least_half(reading: Reading, everywhere: Matrix) -> float:
    """Mean likeness in the half of the sentence that is least like the card; 1 if it has one part.

    A statement spliced to another that the card does not make hides in the mean of the whole.
    """
    places = [reading.mine.spans[word.tokens[0]][0] for word in reading.spoken]
    least = 1.0
    for start, end in joints(reading.sentence):
        first, second = bisect(places, start), bisect(places, end - 1)
        for half in (everywhere[:first], everywhere[second:]):
            if len(half) >= _LEAST_HALF:
                least = min(least, float(half.mean()))
    return least


def _word_features(reading: Reading, likeness: Matrix) -> list[float]:
    """What the rules and the order of notions say."""
    facts, page = read(reading.sentence), read_page(reading.card.question, reading.card.answer)
    where = place_of(facts, page)
    unknown = [word for word in facts.words if not held_in(word, page, page.both)]
    mine, theirs = [w.notion for w in facts.words], [w.notion for w in where.words]
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    shared = sum(block.size for block in matcher.get_matching_blocks())
    slots = [
        facts.words[i1:i2]
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag == "replace" and i2 - i1 <= _SLOT and j2 - j1 <= _SLOT
    ]
    low: dict[str, float] = {}
    for word, value in zip(reading.spoken, likeness, strict=False):
        low[word.text] = min(low.get(word.text, 1.0), float(value))
    return [
        float(literal.stated(reading.sentence, reading.card).problem is None),
        float(len(unknown)),
        float(len(facts.words)),
        matcher.ratio(),
        shared / max(1, len(mine)),
        float(len(slots)),
        min((low.get(word.text, 1.0) for words in slots for word in words), default=1.0),
    ]


def _best_clause(reading: Reading) -> tuple[float, float]:
    """The card's clause that is most like the sentence: its two least likely words, its mean."""
    best = (-2.0, 0.0, 0.0)
    for part, vectors, matrix in zip(reading.parts, reading.vectors, reading.likeness, strict=True):
        cuts = [0, *(match.start() for match in _CLAUSE.finditer(part)), len(part)]
        for start, end in pairwise(cuts):
            inside = [i for i, (a, b) in enumerate(vectors.spans) if a >= start and b <= end]
            if len(inside) < _LEAST_CLAUSE:
                continue
            row = matrix[:, inside].max(axis=1)
            alone = _by_word(reading.spoken, row)
            helped = _by_word(reading.spoken, np.maximum(row, _QUESTION_CLAUSE * reading.asked))
            best = max(best, (float(alone.mean()), _lowest(alone, 2), float(helped.mean())))
    return best[1:]


def _same_words(reading: Reading, here: int) -> list[float]:
    """Words that both have: how alike their contexts are, and whether their order is the same."""
    homes: dict[str, list[tuple[int, list[int], int]]] = {}
    for number, (part, vectors) in enumerate(zip(reading.parts, reading.vectors, strict=True)):
        for match in _WORD.finditer(part):
            if tokens := _tokens(vectors, match.start(), match.end()):
                name = notion(match[0].lower())
                homes.setdefault(name, []).append((number, tokens, match.start()))
    alike: list[float] = []
    alike_here: list[float] = []
    places: list[int] = []
    for word in reading.spoken:
        found = [
            (float(reading.likeness[n][np.ix_(word.tokens, tokens)].max(axis=1).mean()), n, at)
            for n, tokens, at in homes.get(notion(word.text), ())
        ]
        if not found:
            continue
        alike.append(max(found)[0])
        if near := [each for each in found if each[1] == here]:
            alike_here.append(max(near)[0])
            places.append(max(near)[2])
    matrix = reading.likeness[here]
    close = np.flatnonzero(matrix.max(axis=1, initial=-1.0) > _ALIKE)
    order = [int(matrix[i].argmax()) for i in close]
    steps = [round(float(matrix[w.tokens].argmax(axis=1).mean())) for w in reading.spoken]
    jumps = [abs(b - a) for a, b in pairwise(steps)]
    return [
        min(alike, default=1.0),
        float(np.mean(sorted(alike)[:2])) if alike else 1.0,
        min(alike_here, default=1.0),
        len(alike) / max(1, len(reading.spoken)),
        _turns(order),
        _turns(places),
        float(np.mean(jumps)) if jumps else 0.0,
    ]


def _turns(places: Sequence[int]) -> float:
    """The share of pairs whose order is exchanged."""
    pairs = list(combinations(places, 2))
    return sum(a > b for a, b in pairs) / len(pairs) if pairs else 0.0
