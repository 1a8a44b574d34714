"""The small pattern language of the rule files, and the index that matches it.

    chest ~4 hurt*|@pain      words in order, up to four others in between; * is a prefix or suffix
    my? baby                  ? may be missing
    stab_wound                several words that stand as one alternative
    #num #fever               kinds of number (see `_numbers`)

Matching walks from the places where a pattern's first element occurs, so its cost follows the
number of such places and not the number of rules; there is no backtracking over the text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from assistant.safety.normal import Words

Element = tuple[int, tuple[str, ...]]  # (words allowed before it, atoms of which one must match)
Phrase = tuple[Element, ...]
Span = tuple[int, int]


def compile_phrase(text: str) -> list[Phrase]:
    """Parse one pattern; every optional element doubles the phrases returned."""
    choices: list[list[Element | None]] = []
    gap = 0
    for part in text.split():
        if part.startswith("~"):
            gap = int(part[1:])
            continue
        optional = part.endswith("?")
        atoms = part.removesuffix("?").split("|")
        if not all(atoms):
            raise ValueError(f"an alternative is empty in {text!r}")
        element = (gap, tuple(f"@{atom}" if "_" in atom else atom for atom in atoms))
        choices.append([element, None] if optional else [element])
        gap = 0
    phrases = [tuple(e for e in picked if e is not None) for picked in product(*choices)]
    if not phrases or not all(phrases):
        raise ValueError(f"a pattern needs at least one required word, got {text!r}")
    return phrases


def compile_all(texts: Iterable[str]) -> list[Phrase]:
    return [phrase for text in texts for phrase in compile_phrase(text)]


def by_first(phrases: Iterable[Phrase]) -> dict[str, list[Phrase]]:
    """Index phrases by each atom that may begin them."""
    starts: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        for atom in phrase[0][1]:
            starts.setdefault(atom, []).append(phrase)
    return starts


@dataclass(frozen=True)
class Lexicon:
    """Concepts in dependency order, prepared for one pass over the words of a message."""

    flat: dict[str, list[tuple[str, Phrase]]]  # first word -> (concept, phrase of words only)
    composed: list[tuple[str, dict[str, list[Phrase]]]]  # concept, its phrases by first atom
    prefixes: frozenset[str]
    suffixes: frozenset[str]
    vocabulary: frozenset[str]

    @classmethod
    def build(cls, concepts: dict[str, list[Phrase]], patterns: Iterable[Phrase]) -> "Lexicon":
        """Raise ValueError where a phrase names a concept that is not defined above it."""
        flat: dict[str, list[tuple[str, Phrase]]] = {}
        composed: list[tuple[str, dict[str, list[Phrase]]]] = []
        defined: set[str] = set()
        atoms: set[str] = set()
        for name, phrases in concepts.items():
            mixed = []
            for phrase in phrases:
                used = {atom for _, alternatives in phrase for atom in alternatives}
                _check_defined(used, defined, name)
                atoms |= used
                if any(atom[0] == "@" for atom in used):
                    mixed.append(phrase)
                else:
                    for first in phrase[0][1]:
                        flat.setdefault(first, []).append((f"@{name}", phrase))
            if mixed:
                composed.append((f"@{name}", by_first(mixed)))
            defined.add(f"@{name}")
        for phrase in patterns:
            used = {atom for _, alternatives in phrase for atom in alternatives}
            _check_defined(used, defined, "a rule")
            atoms |= used
        words = {a.rstrip("*") for a in atoms if a[0] not in "@#*"}
        return cls(
            flat,
            composed,
            frozenset(a for a in atoms if a.endswith("*")),
            frozenset(a for a in atoms if a.startswith("*")),
            frozenset(words),
        )


def _check_defined(used: set[str], defined: set[str], where: str) -> None:
    unknown = {atom for atom in used if atom[0] == "@"} - defined
    if unknown:
        raise ValueError(f"{where} uses {sorted(unknown)}: define concepts above their first use")


class Tagged:
    """Where every word, prefix and concept of the lexicon stands in a message."""

    def __init__(self, text: Words, lexicon: Lexicon) -> None:
        self.text = text
        self.spans: dict[str, dict[int, list[int]]] = {}
        count = len(text.words)
        self._stop = [count] * count  # the end of each word's sentence
        for i in range(count - 2, -1, -1):
            same = text.sentence[i] == text.sentence[i + 1]
            self._stop[i] = self._stop[i + 1] if same else i + 1
        self._tag_words(lexicon)
        for i, word in enumerate(text.words):
            for atom in self._atoms[word] + self._numbers_at.get(i, []):
                for concept, phrase in lexicon.flat.get(atom, ()):
                    end = self._match(phrase, 1, i + 1, i)
                    if end is not None:
                        self._add(concept, i, end)
        for concept, starts in lexicon.composed:
            # In the order of the file: a set's order would differ from run to run.
            for atom in [first for first in starts if first in self.spans]:
                for phrase in starts[atom]:
                    for start, end in list(self.find_from(atom, phrase)):
                        self._add(concept, start, end)

    def find(self, phrase: Phrase) -> Iterator[Span]:
        """Every start of `phrase` with its nearest end."""
        for atom in phrase[0][1]:
            yield from self.find_from(atom, phrase)

    def find_from(self, atom: str, phrase: Phrase) -> Iterator[Span]:
        """The spans of `phrase` whose first element is there as `atom`."""
        if any(self.spans.keys().isdisjoint(atoms) for _, atoms in phrase[1:]):
            return
        for start, ends in self.spans.get(atom, {}).items():
            for first in ends:
                end = self._match(phrase, 1, first, start)
                if end is not None:
                    yield start, end
                    break

    def of(self, concept: str) -> list[Span]:
        return [(s, e) for s, ends in self.spans.get(concept, {}).items() for e in ends]

    def _match(self, phrase: Phrase, k: int, at: int, start: int) -> int | None:
        if k == len(phrase):
            return at
        gap, atoms = phrase[k]
        for p in range(at, min(at + gap + 1, self._stop[start])):
            for atom in atoms:
                for end in self.spans.get(atom, {}).get(p, ()):
                    found = self._match(phrase, k + 1, end, start)
                    if found is not None:
                        return found
        return None

    def _add(self, atom: str, start: int, end: int) -> None:
        ends = self.spans.setdefault(atom, {}).setdefault(start, [])
        if end not in ends:
            ends.append(end)

    def _tag_words(self, lexicon: Lexicon) -> None:
        self._atoms: dict[str, list[str]] = {}
        self._numbers_at: dict[int, list[str]] = {}
        for i, word in enumerate(self.text.words):
            if word not in self._atoms:
                starts = [f"{word[:n]}*" for n in range(2, len(word) + 1)]
                tails = [f"*{word[n:]}" for n in range(2, len(word) - 2)]
                self._atoms[word] = [
                    word,
                    *(a for a in starts if a in lexicon.prefixes),
                    *(a for a in tails if a in lexicon.suffixes),
                ]
            for atom in self._atoms[word]:
                self._add(atom, i, i + 1)
            if word[0].isdigit():
                self._numbers_at[i] = _numbers(self.text.words, i)
                for atom in self._numbers_at[i]:
                    self._add(atom, i, i + 1)


_DEGREES = frozenset(["c", "f", "degrees", "celsius", "fahrenheit", "deg"])
_HOT = frozenset(["fever", "temperature", "febrile"])


def _numbers(words: list[str], i: int) -> list[str]:
    """The kinds of the number at `i`: any, a year, a fever, weeks, a glucose, a pulse."""
    try:
        value = float(words[i])
    except ValueError:  # digits of another script
        return ["#num"]
    kinds = ["#num"]
    if 1900 <= value <= 2035 and value == int(value):
        kinds.append("#year")
    near = set(words[max(0, i - 4) : i])
    unit = set(words[i + 1 : i + 3])
    sure = "." in words[i] or bool(near & _HOT) or bool(unit & (_DEGREES | _HOT))
    if sure and (38 <= value <= 43 or 100.4 <= value <= 109):
        kinds.append("#fever")
        if 40 <= value <= 43 or 104 <= value <= 109:
            kinds.append("#highfever")
    after = words[i + 1 : i + 3]
    if (
        5 <= value <= 42
        and after[:1] in (["weeks"], ["week"])
        and after[1:] not in (["old"], ["ago"])
    ):
        kinds.append("#gest")  # weeks of pregnancy: not an age, not a date
    if value < 4 or 15 <= value <= 55:
        kinds.append("#low")
    if 15 <= value <= 35 or 300 <= value <= 900:
        kinds.append("#high")
    if value >= 130:
        kinds.append("#racing")
    return kinds
