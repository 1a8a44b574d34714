"""Whether words that the card has stand in the card's places: slots, roles, halves, ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain, pairwise

from assistant.support_align import Page, inside, name_of
from assistant.support_facts import Facts, Word, notion, opposed, read
from assistant.support_words import RELATIONS, listed

_MOSTLY = 0.8


def swapped_word(facts: Facts, page: Page, where: Facts) -> str | None:
    """A word in the slot of another, though the card has it elsewhere."""
    mine = [name_of(w, page) for w in facts.words]
    theirs = [w.notion for w in where.words]
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes()
    for tag, i1, i2, j1, j2 in blocks:
        size = i2 - i1
        if tag != "replace" or size > _SLOT:
            continue
        put, gone = facts.words[i1:i2], where.words[j1:j2]
        if size == len(gone) == 1 and opposed(put[0], gone[0]):
            return f'"{put[0].text}" stands where the card says "{gone[0].text}"'
        if i2 == len(mine) and (len(gone) > _SLOT or notion(put[0].after) != notion(gone[0].after)):
            continue
        if len(gone) > _SLOT:  # the words next to those that match
            gone = gone[-size:]
        gone = [w for w in gone if not (w.general or w.notion in mine)]
        around = theirs[max(0, j2 - len(gone) - _LIST) : j2 + _LIST]
        for word in put:
            if gone and _displaces(word, gone, around, page, where):
                return f'"{word.text}" stands where the card says "{gone[0].text}"'
    return None


def _displaces(
    word: Word, gone: Sequence[Word], around: Sequence[str], page: Page, where: Facts
) -> bool:
    """Whether a word stands for another thing than the words of the card in its slot."""
    name, asked = name_of(word, page), name_of(word, page) in page.asked
    if word.general or (word.axes and not asked):
        return False
    if name in around:  # the items of a list in another order
        return False
    if asked and word.after in _PLACES and word.after != gone[0].after:
        return False  # "for a nosebleed, ..." before what the card begins with
    return not any(_alias(where, name, other) for other in gone)


def _alias(facts: Facts, name: str, word: Word) -> bool:
    """Whether the card gives a word as another name of one: "electrocardiogram (ECG)"."""
    if word.notion == name:
        return True
    for other in facts.words:
        low, high = sorted((other.place, word.place))
        if other.notion == name and high - low <= _SLOT + 1:
            return "(" in facts.tokens[low:high]
    return False


_LIST = 3
_SLOT = 3  # the most words that one name has


def exchanged_roles(facts: Facts, page: Page, where: Facts) -> str | None:
    for mine in _relations(facts, page):
        crossed = straight = False
        near = [r for r in _relations(where, page) if r[0] == mine[0]]
        for theirs in near or chain.from_iterable(_relations(a, page) for a in page.answers):
            if mine[0] != theirs[0]:
                continue
            left, right = mine[1] - mine[2], mine[2] - mine[1]
            doer, done = theirs[1] - theirs[2], theirs[2] - theirs[1]
            cross = min(len(left & done), len(right & doer))
            along = len(left & doer) + len(right & done)
            crossed = crossed or (cross > 0 and len(left & done) + len(right & doer) > along)
            straight = straight or (along > 0 and cross == 0)
        if crossed and not straight:
            return f'the sides of "{mine[0]}" are exchanged'
    return None


def _relations(facts: Facts, page: Page) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each verb of relation with what acts and what is acted on."""
    names = [(w, name_of(w, page)) for w in facts.words]
    for word, name in names:
        if word.notion not in _RELATIONS:
            continue
        after = facts.tokens[word.place + 1 : word.place + 3]
        left = {n for w, n in names if w.place < word.place and not w.general}
        right = {n for w, n in names if w.place > word.place and not w.general}
        if "of" in after[:1] and not word.text.endswith("s"):
            end = next(
                (i for i in range(word.place, len(facts.tokens)) if facts.tokens[i] in _IS),
                len(facts.tokens),
            )
            right = {n for w, n in names if word.place < w.place < end and not w.general}
            left = {n for w, n in names if not w.general} - right
        elif passive := _agent(facts, word, after):
            right = left
            left = {n for w, n in names if w.place > passive and not w.general}
        yield name, left, right


def _agent(facts: Facts, verb: Word, after: Sequence[str]) -> int:
    """The place of the "by" that makes a verb passive, or 0."""
    if "by" in after:
        return verb.place + 1 + after.index("by")
    before = facts.tokens[max(0, verb.place - 2) : verb.place]
    if verb.text.endswith(("ed", "en", "ead")) and _BE & set(before):
        for place in range(verb.place, len(facts.tokens)):
            if facts.tokens[place] == "by":
                return place
    return 0


_BE = frozenset(["is", "are", "was", "were", "be", "been", "being"])
_IS = frozenset(("is", "are", "was", "were"))
_RELATIONS = frozenset(read(" ".join(sorted(RELATIONS))).notions)


def segments(facts: Facts) -> list[list[Word]]:
    """The content words between commas, conjunctions and the like, a relative clause not cut."""
    parts: list[list[Word]] = [[]]
    after = [*facts.tokens[1:], ""]
    marks = {
        i
        for i, t in enumerate(facts.tokens)
        if t in ("and", "while", "whereas", "but", ";", ",", "or", "because")
        and after[i] not in ("which", "who", "that", "whose")
    }
    last = -1
    for word in facts.words:
        if any(last < mark < word.place for mark in marks) and parts[-1]:
            parts.append([])
        parts[-1].append(word)
        last = word.place
    return [part for part in parts if part]


def crossed_halves(facts: Facts, page: Page, where: Facts) -> str | None:
    """Two statements of the card with their halves exchanged ("A is X and B is Y")."""
    theirs = [{w.notion for w in part} for part in segments(where)]
    if len(theirs) < 2:
        return None
    home: dict[str, set[int]] = {}
    for number, notions in enumerate(theirs):
        for name in notions:
            home.setdefault(name, set()).add(number)
    if inside(facts, page, where) < _MOSTLY:  # two sentences of the card in one: asked of each part
        return None
    spans: list[set[int]] = []
    for part in segments(facts):
        names = [page.find(w.notion, page.said) or w.notion for w in part]
        spans.append({next(iter(home[n])) for n in names if len(home.get(n, ())) == 1})
        if problem := _bridged(part, names, home, where, set(facts.notions)):
            return problem
    for i, one in enumerate(spans):
        for other in spans[i + 1 :]:
            if len(one & other) >= 2:
                return "it joins parts of the card that do not belong together"
    return None


def _bridged(
    part: Sequence[Word],
    names: Sequence[str],
    home: dict[str, set[int]],
    where: Facts,
    said: set[str],
) -> str | None:
    """A subject of one of two parallel statements with the predicate of the other."""
    parts = segments(where)
    alone = {n: next(iter(home[n])) for n in names if len(home.get(n, ())) == 1}
    shared = [home[n] for n in names if len(home.get(n, ())) > 1]
    stating = {i for i, words in enumerate(parts) if _states(where, words)}
    for first in names:
        if first not in alone:
            continue
        for last in names[names.index(first) + 1 :]:
            a, b = alone[first], alone.get(last, alone[first])
            if a == b or not ({a, b} <= stating or any({a, b} <= both for both in shared)):
                continue
            own = [w for w in parts[b] if w.notion not in said]
            left = [w for w in parts[a] if w.notion not in said]
            if own and left and own[0].place < next(w.place for w in parts[b] if w.notion == last):
                return f'"{first}" stands where the card says "{own[0].text}"'
    return None


def exchanged_ways(facts: Facts, page: Page, where: Facts) -> str | None:
    """From and to, or before and after, exchanged."""
    theirs: dict[str, set[str]] = {}
    for word in where.words:
        theirs.setdefault(word.notion, set()).add(word.after)
    placed = [(w, w.after, theirs.get(name_of(w, page), set())) for w in facts.words]
    wrong = [(w, mine, known) for w, mine, known in placed if known and mine not in known]
    for word, mine, known in wrong:
        if mine not in _WAYS or word.general:
            continue
        if _WAYS[mine] & known:
            return f'"{mine} {word.text}" is the other way round in the card'
        if any(other is not word and not other.general and mine in k for other, _, k in wrong):
            return f'"{mine} {word.text}" is the other way round in the card'
    return None


_WAYS = {"from": {"to", "into"}, "to": {"from"}, "into": {"from", "out"}, "out": {"into", "in"}}


def _states(facts: Facts, words: Sequence[Word]) -> bool:
    """Whether words are a subject and what it is ("bronchitis, which is inflammation")."""
    between = facts.tokens[words[0].place + 1 : words[-1].place]
    return bool(_IS & set(between))


def moved_object(facts: Facts, page: Page, where: Facts) -> str | None:
    """A word after a verb and preposition that the card follows by another ("from the ovary")."""
    said = {name_of(w, page) for w in facts.words}
    places = {w.notion: i for i, w in enumerate(where.words)}
    for before, word in pairwise(facts.words):
        name = name_of(word, page)
        if word.general or word.after not in _PLACES or name in page.asked - {*places}:
            continue
        verb = name_of(before, page)
        for i, other in enumerate(where.words[:-1]):
            follows = where.words[i + 1]
            if other.notion != verb or follows.after != word.after:
                continue
            if follows.notion in said or follows.general or _alias(where, name, follows):
                continue
            if name not in places:
                return f'"{word.text}" stands where the card says "{follows.text}"'
            target = where.words[places[name]]
            together = _phrase(where, follows, target)
            if target.place > follows.place and not together and not _listed(follows, target):
                return f'"{word.text}" stands where the card says "{follows.text}"'
    return None


def _phrase(facts: Facts, first: Word, last: Word) -> bool:
    """Whether two words stand in one noun phrase: nothing but content words between them."""
    inside = sum(first.place <= word.place <= last.place for word in facts.words)
    return inside == last.place - first.place + 1


def _listed(first: Word, last: Word) -> bool:
    """Whether one word follows another in a list: right after "and", "or" or a comma."""
    return last.after in ("and", "or", ",", first.after)


_PLACES = frozenset(listed("from in into to on of by with for at through"))
