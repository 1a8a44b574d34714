"""The same answer in simpler words: fewer and shorter sentences, medical words explained.

Nothing is reworded: sentences are chosen, cut in two where they join two statements, and a medical
word gets its everyday meaning in brackets. A sentence that no longer passes the support check after
that stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from assistant import support
from assistant.answer import Answer, Sentence, Source, cited_text
from index.cards import Flashcard
from index.lexical import tokens
from index.text import fold, words

_MOST = 3  # sentences
_EXPLAINED = 2  # words of one sentence
_LEAST_WORDS = 4  # of each half of a sentence that is cut
# What a reader must not lose, however long the sentence is.
_CAUTION = re.compile(
    r"\b(?:emergency|urgent(?:ly)?|immediately|call|dangerous|life-threatening|not|no|never|cannot|avoid|"
    r"should|must|doctor|unless|only if|except)\b",
    re.IGNORECASE,
)
# A comma and one of these words part two statements; what the second then begins with.
_JOINS = re.compile(r"(?:, (?P<word>while|whereas|but|and|so|because) |; )")
_BEGINS = {"but": "But ", "so": "So ", "because": "This is because "}
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|may|should|must|do|does|\w{3,}(?:ed|es|s))\b"
)
# A half that begins with one of these leans on the other half.
_LEANS = re.compile(
    r"(?:it|they|this|that|these|those|which|who|can|may|should|must|is|are|has|have|does|do|not|"
    r"also|sometimes|usually|often|then|so|if|when)\b"
)


@cache
def everyday_words() -> Mapping[str, str]:
    """Medical words and their meaning in everyday words."""
    import yaml

    text = Path(__file__).with_name("plain_words.yaml").read_text(encoding="utf-8")
    words: dict[str, str] = yaml.safe_load(text)
    return words


def in_plain_words(answers: Iterable[Answer], question: str) -> Iterator[Answer]:
    """The first answer of a stream, which shows that there is one, and the last one simplified."""
    last: Answer | None = None
    for number, answer in enumerate(answers):
        if number == 0 and not answer.sentences:
            yield answer
        last = answer
    if last is not None:
        yield simplified(last, question)


def simplified(answer: Answer, question: str) -> Answer:
    """An answer of the cards in fewer, shorter, explained sentences; any other as it is."""
    if answer.status != "answered" or not answer.sentences:
        return answer
    cards = {source.n: _card(source) for source in answer.sources}
    explained: set[str] = set()
    asked = fold(question)
    sentences: list[Sentence] = []
    for sentence in _chosen(answer.sentences, question):
        own = [cards[n] for n in sentence.citations]
        for part in _halves(sentence, own):
            sentences.append(_explained(part, own, explained, asked))
    return _renumbered(answer, sentences)


def _card(source: Source) -> Flashcard:
    return Flashcard(
        id=source.card_id, question=source.question, answer=source.answer, topic=source.topic,
        source=source.source, url=source.url,
    )  # fmt: skip


def _chosen(sentences: Sequence[Sentence], question: str) -> list[Sentence]:
    """The first sentence, those that warn, and of the rest those that share most words with the
    question, the shorter first; in their order."""
    asked = {*tokens(question)}
    first, *rest = range(len(sentences))

    def order(i: int) -> tuple[bool, int, int]:
        text = sentences[i].text
        return not _CAUTION.search(text), -len(asked & {*tokens(text)}), len(text)

    rest.sort(key=order)
    warnings = sum(bool(_CAUTION.search(sentences[i].text)) for i in rest)
    kept = {first, *rest[: max(_MOST - 1, warnings + (warnings < len(rest)))]}
    return [sentences[i] for i in sorted(kept)]


def _halves(sentence: Sentence, cards: Sequence[Flashcard]) -> list[Sentence]:
    """A sentence that joins two statements as two, if each is held by itself."""
    for match in _JOINS.finditer(sentence.text):
        left, right = sentence.text[: match.start()], sentence.text[match.end() :]
        if not _stands(left) or not _stands(right) or _LEANS.match(right):
            continue
        if left.count("(") != left.count(")"):
            continue
        if match["word"] == "and" and "," in left:  # it may be the last item of a list
            continue
        begins = _BEGINS.get(match["word"] or "", "")
        if not begins:
            right = right[:1].upper() + right[1:]
        held = [support.check(text, cards) for text in (f"{left}.", right)]
        if all(each.citations for each in held):
            first, second = (
                replace(sentence, text=text, citations=_of(sentence, each), support=each.score)
                for text, each in zip((f"{left}.", f"{begins}{right}"), held, strict=True)
            )
            return [first, *_halves(second, [cards[place] for place in sorted(held[1].citations)])]
    return [sentence]


def _of(sentence: Sentence, held: support.Support) -> tuple[int, ...]:
    """The citations of a sentence that hold a part of it."""
    return tuple(sorted(sentence.citations[place] for place in held.citations))


def _stands(text: str) -> bool:
    """Whether a part of a sentence looks like a statement of its own."""
    return len(text.split()) >= _LEAST_WORDS and bool(_VERB.search(text))


def _explained(
    sentence: Sentence, cards: Sequence[Flashcard], explained: set[str], asked: str
) -> Sentence:
    """The sentence with everyday words in brackets after medical ones, each once in an answer."""
    text, count = sentence.text, 0
    known = everyday_words()
    for match in reversed([*_medical().finditer(sentence.text)]):
        word = fold(match[0])
        meaning = known[word]
        before, after = sentence.text[: match.start()], sentence.text[match.end() :]
        told = meaning in fold(sentence.text) or meaning in explained or "(" in after[:2]
        bracketed = before.count("(") > before.count(")")
        if count == _EXPLAINED or told or word in asked or bracketed or _qualifies(after, meaning):
            continue
        changed = f"{text[: match.end()]} ({meaning}){text[match.end() :]}"
        held = support.check(changed, cards)
        if held.citations:
            text, count = changed, count + 1
            explained.add(meaning)
    return replace(sentence, text=text)


def _qualifies(after: str, meaning: str) -> bool:
    """Whether a word belongs to the next: "artery aneurysms", "antiviral medicine"."""
    following = re.match(r" ([^\W\d_]+)", after)
    if following is None:
        return after[:1] == "-"
    return following[1].lower() in words(meaning) or bool(_medical().match(following[1]))


@cache
def _medical() -> re.Pattern[str]:
    longest = sorted(everyday_words(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)


def _renumbered(answer: Answer, sentences: Sequence[Sentence]) -> Answer:
    """The answer of these sentences, its sources numbered anew and none uncited."""
    numbers: dict[int, int] = {}
    for sentence in sentences:
        for n in sentence.citations:
            numbers.setdefault(n, len(numbers) + 1)
    cited = tuple(
        replace(sentence, citations=tuple(sorted(numbers[n] for n in sentence.citations)))
        for sentence in sentences
    )
    by_n = {source.n: source for source in answer.sources}
    sources = tuple(replace(by_n[n], n=new) for n, new in numbers.items())
    rest = [source for source in answer.sources if source.n not in numbers] + [*answer.nearby]
    nearby = tuple(replace(s, n=n) for n, s in enumerate(rest, start=len(sources) + 1))
    return replace(answer, text=cited_text(cited), sentences=cited, sources=sources, nearby=nearby)
