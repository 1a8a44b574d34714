"""Turn what people type into plain lower-case words, cut into sentences and clauses."""

# ruff: noqa: RUF001 (look-alike letters are this module's subject)
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

# Letters of other scripts that look like Latin ones; NFKC leaves these as they are.
_CONFUSABLES = str.maketrans(
    "абвгеёзікмнорстухъьѕјԛԝһӏдαβγεζηικμνορτυχωϲϳı‚·•∕",
    "abbreeeikmhopctyxbbsjqwhldabyeznikuvoptuxwcji,  /",
)
_QUOTES = str.maketrans(dict.fromkeys("’‘‛`´′ʼ＇ʹ", "'") | dict.fromkeys("“”„«»", '"'))
_EMOJI = {
    "💊": " pills ",
    "🔪": " knife ",
    "🔫": " gun ",
    "🩸": " blood ",
    "😂": " lol ",
    "🤣": " lol ",
    "🚑": " ambulance ",
    "🆘": " help ",
}
_LEET = str.maketrans("013457@$!", "oieastasi")
_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)?|[^\W\d_][\w@$!]*(?:'[a-z]+)?|[@$][a-z]\w*|[.?!;\n]+|[,:()\"—–]"
)
_LEET_TOKEN = re.compile(r"(?<!\S)(?=\S*[a-z])(?=\S*[013457@$!])[a-z0-9@$!]{3,20}(?=[\s,.?]|$)")
_SPELT_OUT = re.compile(r"(?<![\w'])\w(?:[ .\-_*]\w){3,60}(?![\w'])")
_INNER_DOTS = re.compile(r"(?<=[a-z])[.*_](?=[a-z])")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_UNSEEN = frozenset(("Cf", "Mn", "Cc"))  # zero-width and control characters, accents
_CLAUSE_STARTS = frozenset(
    {"now", "today", "tonight", "i", "my", "he", "she", "we", "it", "they", "suddenly", "this"}
    | {"his", "her", "our", "since", "then"}
)
_CLAUSE_JOINS = frozenset(["and", "but", "so", "then", "because", "though", "although", "yet"])
_MAX_SENTENCE = 300  # words: bounds every window, whatever the message lacks in punctuation


@dataclass(frozen=True)
class Spelling:
    """The words the rules know, and how others are led back to them."""

    vocabulary: frozenset[str]
    aliases: dict[str, tuple[str, ...]]
    targets: frozenset[str]
    guard: frozenset[str]
    _deleted: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for word in sorted(self.targets):
            for shorter in _deletions(word):
                self._deleted.setdefault(shorter, word)

    def correct(self, word: str) -> str:
        """The target one letter (missing, extra, wrong, swapped) from `word`, else `word`."""
        if not 5 <= len(word) <= 20 or word in self.vocabulary or word in self.guard:
            return word
        candidates = [self._deleted.get(word, "")]
        for shorter in _deletions(word):
            candidates += [shorter, self._deleted.get(shorter, "")]
        for target in candidates:
            # A first letter is seldom mistyped, and "never" must not become "fever".
            if target in self.targets and target[0] == word[0] and _one_edit(word, target):
                return target
        return word

    def known(self, word: str) -> bool:
        return word in self.vocabulary or word in self.aliases or word in self.targets


@dataclass(frozen=True)
class Words:
    """Plain words with, for each, the number of its sentence and of its clause."""

    words: list[str]
    sentence: list[int]
    clause: list[int]
    questions: frozenset[int]  # sentences that end with a question mark


def normalise(message: str, spelling: Spelling) -> Words:
    """Fold look-alikes, slang, typos and contractions of `message` into plain words."""
    text = _fold(message)
    text = _LEET_TOKEN.sub(lambda m: _unleet(m.group(), spelling), text)
    text = _SPELT_OUT.sub(lambda m: _join(m.group(), spelling), text)
    words: list[str] = []
    sentence: list[int] = []
    clause: list[int] = []
    questions: set[int] = set()
    s = c = length = 0
    for token in _TOKEN.findall(text):
        if token[0] in ".?!;\n":
            if "?" in token:
                questions.add(s)
            s, c, length = s + 1, c + 1, 0
            continue
        if token in ',:()"—–':
            c += 1
            continue
        for word in _words(token, spelling):
            if length >= _MAX_SENTENCE:
                s, c, length = s + 1, c + 1, 0
            if word in _CLAUSE_STARTS and words and words[-1] in _CLAUSE_JOINS:
                c += 1
            words.append(word)
            sentence.append(s)
            clause.append(c)
            length += 1
    return _without_repeats(Words(words, sentence, clause, frozenset(questions)))


def _fold(message: str) -> str:
    for emoji, word in _EMOJI.items():
        message = message.replace(emoji, word)
    text = unicodedata.normalize("NFKD", message.translate(_QUOTES)).casefold()
    text = "".join(
        ch for ch in text if unicodedata.category(ch) not in ("Cf", "Mn", "Cc") or ch == "\n"
    )
    text = unicodedata.normalize("NFKC", text).translate(_CONFUSABLES).translate(_QUOTES)
    return _INNER_DOTS.sub("", text) if _INNER_DOTS.search(text) and "/" not in text else text


def _unleet(token: str, spelling: Spelling) -> str:
    word = token.translate(_LEET)
    if spelling.known(word):
        return word
    word = token.translate(str.maketrans("1", "l")).translate(_LEET)
    return word if spelling.known(word) else token


def _join(spelt: str, spelling: Spelling) -> str:
    """Cut "k i l l m y s e l f" into the longest known words; leave what does not fit."""
    letters = re.sub(r"[ .\-_*]", "", spelt)
    words, at = [], 0
    while at < len(letters):
        for end in range(min(len(letters), at + 16), at, -1):
            piece = letters[at:end]
            if (end - at > 2 and spelling.known(piece)) or piece in (
                "i",
                "a",
                "to",
                "my",
                "me",
                "it",
            ):
                words.append(piece)
                at = end
                break
        else:
            return spelt
    return " ".join(words)


def _words(token: str, spelling: Spelling) -> Iterator[str]:
    if token[0].isdigit():
        yield token.replace(",", ".")
        return
    token = token.strip("@$!_")
    found = spelling.aliases.get(token) or spelling.aliases.get(token.replace("'", ""))
    if found is None:
        token = token.split("'")[0]
        token = _unstretch(token, spelling)
        found = spelling.aliases.get(token)
    if found is None and token.endswith("in") and f"{token}g" in spelling.vocabulary:
        found = (f"{token}g",) if token not in spelling.vocabulary else None
    if found is None:
        found = spelling.aliases.get(spelling.correct(token), (spelling.correct(token),))
    yield from (word for word in found if word)


def _unstretch(word: str, spelling: Spelling) -> str:
    if not _STRETCHED.search(word):
        return word
    double = _STRETCHED.sub(r"\1\1", word)
    return double if spelling.known(double) else _STRETCHED.sub(r"\1", word)


def _without_repeats(text: Words) -> Words:
    """Drop sentences said before, so that pasted repetition costs nothing."""
    seen: set[tuple[str, ...]] = set()
    keep: list[int] = []
    start = 0
    for i in range(1, len(text.words) + 1):
        if i == len(text.words) or text.sentence[i] != text.sentence[start]:
            said = tuple(text.words[start:i])
            if said not in seen:
                seen.add(said)
                keep.extend(range(start, i))
            start = i
    if len(keep) == len(text.words):
        return text
    pick = [(text.words[i], text.sentence[i], text.clause[i]) for i in keep]
    words, sentence, clause = (list(column) for column in zip(*pick, strict=True))
    return Words(words, sentence, clause, text.questions)


def _deletions(word: str) -> Collection[str]:
    return {word[:i] + word[i + 1 :] for i in range(len(word))}


def _one_edit(a: str, b: str) -> bool:
    if len(a) > len(b):
        a, b = b, a
    i = 0
    while i < len(a) and a[i] == b[i]:
        i += 1
    if len(a) < len(b):
        return a[i:] == b[i + 1 :]
    swapped = a[i + 1 : i + 2] == b[i : i + 1] and a[i : i + 1] == b[i + 1 : i + 2]
    return a[i + 1 :] == b[i + 1 :] or (swapped and a[i + 2 :] == b[i + 2 :])
