"""Text normalisation: what a card stores, what its identity rests on, what is compared."""

from __future__ import annotations

import re
import unicodedata

# Characters that show nothing but change what is read or matched: zero-width space, word
# joiner, byte-order mark, soft hyphen, the bidirectional marks, embeddings, overrides and
# isolates that can make text display in another order than it is stored, and the tag characters,
# with which a text can be written that only a language model sees. The zero-width joiner and
# non-joiner stay: Persian and several Indian scripts cannot be written without them.
_INVISIBLE = dict.fromkeys(
    (
        *(0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),
    )
)
# Unicode's stream-safe form allows 30 marks on a letter. Normalising takes the square of their
# number: 100,000 marks on one letter took 9 s.
_MAX_MARKS = 30
_LONG = 4096
_NO_TEXT = frozenset(("Cc", "Cs", "Cn"))  # controls, lone surrogates, unassigned code points
_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")  # noqa: RUF001 - the apostrophe of real texts
_SENTENCE_END = re.compile(  # before a capital, a figure, or a name such as mRNA or pH
    r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?(?:[^\W_a-z]|[a-z]{1,2}[A-Z]))"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|Dr|Mr|Mrs|Ms|St|Prof|Fig|sp|spp|subsp|var)"
    r"|(?:^|\b[A-Z][\w.]*\s|[(.]\s?)[A-Z])\.$"  # "J. Smith", and not "vitamin D. It ..."
)

# Function words that say nothing of what a question is about.
_STOPWORDS_TEXT = """
    a an and any are aren't as at be because been being but by can can't could did do does doing
    don't for from get gets getting give given go goes going got had has have having he her hers
    him his how i i'd i'll i'm i've if in into is isn't it its itself just like many may me
    might more most much must my myself no nor not of on one or other our out over own please
    same she should so some such than that that's the their them then there these they thing
    things this those through to too under until up us very was we were what what's when where
    which while who whom whose why will with would you your yours yourself about also am tell
    know mean want need make makes made really happen happens
"""
STOPWORDS = frozenset(_STOPWORDS_TEXT.split())


def clean(text: str) -> str:
    """Text as a card stores it: NFC, one line, no control or invisible characters."""
    text = " ".join(text.split())
    if text.isascii() and text.isprintable():  # true of nearly every text
        return text
    text = text.translate(_INVISIBLE)
    if not text.isprintable():  # rare, and the loop below costs 10 times more
        text = "".join(" " if unicodedata.category(c) in _NO_TEXT else c for c in text)
    if not text.isascii():  # last: a mark may only now stand beside the letter that it joins
        text = unicodedata.normalize("NFC", text if len(text) < _LONG else _few_marks(text))
    return " ".join(text.split())


def _few_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms and case folded, curly quotes made straight."""
    return fold_clean(clean(text))


def fold_clean(text: str) -> str:
    """`fold` of a text that is `clean` already."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.replace("’", "'").replace("‘", "'")  # noqa: RUF001


def words(text: str) -> list[str]:
    """The words and numbers of a text, folded, in order."""
    if text.isascii():  # here folding changes only capitals, spaces and controls
        return _WORD.findall(text.lower())
    return _WORD.findall(fold(text))


def has_words(text: str) -> bool:
    """Whether `words` would find any; most texts show it before they are folded."""
    return bool(_WORD.search(text) or _WORD.search(fold(text)))


def content_words(text: str) -> list[str]:
    """The words of a text without the function words, in order."""
    return [word for word in words(text) if word not in STOPWORDS]


def sentences(text: str) -> list[str]:
    """Split a text into sentences; abbreviations such as "e.g." and initials do not end one.

    A rule of punctuation rather than a model: the cards are short edited prose, and the result
    must be the same wherever it is computed.
    """
    pieces: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        head = text[start : match.start()]
        if _ABBREVIATION.search(head):
            continue
        pieces.append(text[start : match.end()].strip())
        start = match.end()
    tail = text[start:].strip()
    return [piece for piece in (*pieces, tail) if piece]
