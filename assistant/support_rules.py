"""Whether a sentence and the card's sentence state the same facts: numbers, denials, amounts."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.support_align import Page, held_in, inside, name_of, same_side
from assistant.support_facts import Facts, Word, opposed
from assistant.support_numbers import Number
from assistant.support_roles import segments
from assistant.support_words import listed

_NEAR = 4  # places within which a word or number belongs to another
_NEXT = 2  # the weight of what a word modifies; other neighbours weigh 1
_AVOID = frozenset(listed("avoid avoids avoided avoiding without lack lacks lacking"))
_NEARLY_ALL = 0.9
_MOST = 0.7
_FLIP = 0.9  # share of the words of one statement that the other repeats
_MUCH = 0.5  # share of a card's statement that a sentence must repeat to be held to its negation


def unknown_word(facts: Facts, page: Page, where: Facts) -> str | None:
    both = page.both
    for word in facts.words:
        if held_in(word, page, both):
            continue
        if any(set(word.axes) & set(other.axes) for other in where.words):
            continue
        for other in (*where.words, *page.question.words):
            apart = word.general and not _shared(
                _beside(facts, word, page), _beside(where, other, page)
            )
            if opposed(word, other) and not apart:
                return f'"{word.text}" stands where the card says "{other.text}"'
        if not word.general and not same_side(word, page):
            return f'"{word.text}" is not in the card'
    return None


def wrong_number(facts: Facts, page: Page, where: Facts) -> str | None:
    """A number that the card has not, or has of something else, or as the other limit."""
    everywhere = [(n, a) for a in (*page.answers, page.question) for n in a.numbers]
    for number in facts.numbers:
        same = [(n, a) for n, a in everywhere if equal_numbers(number, n)]
        counted = _counted(facts, number, page)
        rivals = [
            (n, a)
            for n, a in everywhere
            if a is where and n.unit == number.unit and not equal_numbers(number, n)
        ]
        elsewhere = any(_counted(a, n, page) == counted for n, a in rivals)
        if not same:
            if number.weak and not (counted and elsewhere):
                continue
            return f"number {number.text} is not in the card"
        if counted and elsewhere and not any(_counted(a, n, page) == counted for n, a in same):
            return f"number {number.text} belongs to something else in the card"
        if _other_there(facts, number, same, rivals, page, where):
            return f"number {number.text} belongs to something else in the card"
        mine = _around(facts, number.place, page)
        fit = max(len(mine & _around(a, n.place, page)) for n, a in same)
        for other, answer in rivals:
            rival = len(mine & _around(answer, other.place, page))
            if rival > fit + 1 and not any(equal_numbers(other, n) for n in facts.numbers):
                return f"number {number.text} belongs to something else in the card"
        if reason := _turned_limit(number, [n for n, _ in same]):
            return reason
    return None


def _other_there(
    facts: Facts,
    number: Number,
    same: list[tuple[Number, Facts]],
    rivals: list[tuple[Number, Facts]],
    page: Page,
    where: Facts,
) -> bool:
    """Whether the card, where it says this, has another number of the same thing."""
    if any(answer is where for _, answer in same) or inside(facts, page, where) < _MOST:
        return False
    mine = {n.value for n in facts.numbers}
    before = _before(facts, number)
    return any(n.value not in mine and _before(where, n) == before for n, _ in rivals)


def turned_limit(facts: Facts, known: Sequence[Number]) -> str | None:
    """At most for at least, or the reverse, of a number that a card has."""
    reasons = (_turned_limit(n, [k for k in known if equal_numbers(n, k)]) for n in facts.numbers)
    return next(filter(None, reasons), None)


def _turned_limit(number: Number, same: Sequence[Number]) -> str | None:
    bounds = {n.bound for n in same}
    if number.bound not in bounds and _against(number.bound, bounds):
        return f"the limit {number.text} is turned round"
    return None


def _before(facts: Facts, number: Number) -> str:
    return facts.tokens[number.place - 1] if number.place else ""


def _counted(facts: Facts, number: Number, page: Page) -> str:
    """What a number without unit counts: the word right after it."""
    if number.unit:
        return ""
    after = (w for w in facts.words if 0 < w.place - number.place <= 2)
    return next((name_of(w, page) for w in after), "")


def equal_numbers(one: Number, other: Number) -> bool:
    """Whether two numbers say the same; one without a unit leaves it open."""
    if one.unit and other.unit and one.unit != other.unit:
        return False
    return abs(one.value - other.value) <= 1e-6 * max(one.value, other.value, 1e-9)


def _against(bound: str, bounds: set[str]) -> bool:
    up, down = {"atleast", "above", "over"}, {"atmost", "below", "under", "within"}
    turned = down if bound in up else up if bound in down else set()
    return bool(bounds & turned)


def _around(facts: Facts, place: int, page: Page) -> set[str]:
    return {name_of(w, page) for w in facts.words if abs(w.place - place) <= _NEAR}


def flipped_denial(facts: Facts, page: Page, where: Facts) -> str | None:
    """Something denied that the card affirms, or affirmed that it denies."""
    if facts.negators > where.negators:
        return f'it denies "{_head(facts)}", which the card does not'
    if facts.negators < where.negators and _repeated_denials(where, facts, page) > facts.negators:
        return f'the card denies "{_head(where)}"'
    mine, theirs = _denials(facts, page), _denials(where, page)
    here, there = _affirmed(facts, page), _affirmed(where, page)
    refused = {name_of(w, page) for w in facts.words if w.negated}
    denied = {name_of(w, page) for w in where.words if w.negated}
    known = {name_of(w, page) for w in where.words}
    loose = bool(_AVOID & {*facts.tokens, *where.tokens})
    for heads, scope in mine:
        first = heads[0]
        affirmed = first in there and first not in denied and not loose
        apart = known.issuperset(heads) and not scope & denied
        if affirmed or (apart and (there.issuperset(heads) or not loose)):
            return f'it denies "{_head(facts)}", which the card does not'
    for heads, scope in theirs:
        open_heads = {*heads} & here - there - refused
        if open_heads and len(scope & here) >= _MUCH * len(heads):
            return f'the card denies "{_head(where)}"'
    return _refused_elsewhere(page, here)


def _refused_elsewhere(page: Page, here: set[str]) -> str | None:
    """A statement that some sentence of the card denies as a whole."""
    for answer in page.answers:
        for _, scope in _denials(answer, page):
            if len(scope) < 2 or len(scope & here) < _MOST * len(scope):
                continue
            if not any(scope & here <= clause for a in page.answers for clause in _plain(a, page)):
                return f'the card denies "{_head(answer)}"'
    return None


def _repeated_denials(where: Facts, facts: Facts, page: Page) -> int:
    """How many negators stand in those clauses of the card that the sentence repeats."""
    names = {name_of(w, page) for w in facts.words}
    clauses: dict[int, list[bool]] = {}
    for word in where.words:
        clauses.setdefault(word.clause, []).append(word.notion in names)
    return sum(
        sum(clauses[clause]) >= _NEARLY_ALL * len(clauses[clause])
        for clause in where.denying
        if len(clauses.get(clause, ())) >= 2
    )


def _denials(facts: Facts, page: Page) -> list[tuple[list[str], set[str]]]:
    """For each clause with a negator: the first words it reaches, and all that it reaches."""
    clauses: dict[int, list[str]] = {}
    for word in facts.words:
        if word.negated:
            clauses.setdefault(word.clause, []).append(name_of(word, page))
    return [(names[:2], set(names)) for names in clauses.values()]


def _plain(facts: Facts, page: Page) -> list[set[str]]:
    """The words of each clause without a negator."""
    touched = {word.clause for word in facts.words if word.negated}
    clauses: dict[int, set[str]] = {}
    for word in facts.words:
        if word.clause not in touched:
            clauses.setdefault(word.clause, set()).add(name_of(word, page))
    return list(clauses.values())


def _affirmed(facts: Facts, page: Page) -> set[str]:
    return set().union(*_plain(facts, page))


def _head(facts: Facts) -> str:
    return next((w.text for w in facts.words if w.negated), "it")


def turned_direction(facts: Facts, page: Page, where: Facts) -> str | None:
    """A word of an opposition that says of a thing what its opposite says of it in the card."""
    for word in facts.words:
        if not word.axes:
            continue
        near = _beside(facts, word, page)
        with_it, against, turned = -1, 0, ""
        for other in where.words:
            theirs = _beside(where, other, page)
            modified = any(n == theirs.get(name) == _NEXT for name, n in near.items())
            value = _shared(near, theirs) + (_NEXT if modified else 0)
            if opposed(word, other):
                if value > against:
                    against, turned = value, other.text
            elif other.notion == word.notion or set(word.axes) & set(other.axes):
                with_it = max(with_it, value)
        if against > with_it and against > 0:
            return f'"{word.text}" stands where the card says "{turned}"'
    return None


def _beside(facts: Facts, word: Word, page: Page) -> dict[str, int]:
    """The words near a word: the next counts most, for it is what the word modifies."""
    beside: dict[str, int] = {}
    for other in facts.words:
        distance = other.place - word.place
        if other is word or abs(distance) > _NEAR or other.clause != word.clause:
            continue
        name = name_of(other, page)
        beside[name] = max(beside.get(name, 0), _NEXT if 0 < distance <= 2 else 1)
    return beside


def _shared(one: dict[str, int], other: dict[str, int]) -> int:
    return sum(min(value, other[name]) for name, value in one.items() if name in other)


def changed_amount(facts: Facts, page: Page, where: Facts) -> str | None:
    """ "Some" made "all", "rarely" made "often", or a reservation left out."""
    mine = {level for level, *_ in facts.levels}
    theirs = {level for level, *_ in where.levels}
    if _count(facts, 5) <= _count(where, 5):
        theirs.add(5)
    else:
        theirs.discard(5)
    words = {word for _, word, *_ in where.levels}
    for level, word, *_ in facts.levels:
        if word not in words and _stronger(level, word, theirs, where):
            return f'"{word}" is not what the card says'
    if ("least" in facts.tokens) != ("least" in where.tokens):
        return '"least" stands where the card says otherwise'
    if mine and 1 in theirs and 1 not in mine and max(mine) >= 3:
        return "the card says that it is rare"
    if theirs and not mine and where.hedged and "can" not in facts.tokens:
        near = {clause for _, word, clause, _ in where.levels if word in ("may", "might", "some")}
        held = [w for w in where.words if w.clause in near]
        if held and sum(w.notion in facts.notions for w in held) >= _MOST * len(held):
            return "the card says so with a reservation"
    return None


def _count(facts: Facts, amount: int) -> int:
    return sum(level == amount for level, *_ in facts.levels)


def _stronger(level: int, word: str, theirs: set[int], where: Facts) -> bool:
    if level == 1:
        return 1 not in theirs
    if level == 4:
        return bool(theirs) and (max(theirs) <= 2 or min(theirs) == 1)
    if level < 5 or 5 in theirs or word in ("any", "anyone", "fully"):
        return False
    if word == "will":
        return where.hedged or "can" in where.tokens
    return word not in ("every", "all", "everyone") or not {"each", "both"} & set(where.tokens)


def extra_clause(facts: Facts, page: Page, where: Facts) -> str | None:
    """A part of the sentence of which the card says nothing."""
    for words in segments(facts):
        if len(words) >= 2 and not any(
            held_in(w, page, page.both) or same_side(w, page) for w in words
        ):
            return f'"{" ".join(w.text for w in words)}" is not in the card'
    return None


def plain_flip(facts: Facts, page: Page) -> str | None:
    """A statement repeated nearly word for word without its "not", or with one put in."""
    mine = {name_of(word, page) for word in facts.words}
    said = [(answer, {name_of(word, page) for word in answer.words}) for answer in page.answers]
    for answer, theirs in said:
        if bool(answer.negators) == bool(facts.negators) or len(theirs) < 2:
            continue
        both = len(mine & theirs)
        affirmed = any(not a.negators and len(mine & names) >= both for a, names in said)
        if answer.negators and both >= _FLIP * len(theirs) and not affirmed:
            return f'the card denies "{_head(answer)}"'
        if facts.negators and len(mine & theirs) >= _FLIP * len(mine) and len(mine) > 2:
            return f'it denies "{_head(facts)}", which the card does not'
    return None
