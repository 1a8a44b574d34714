"""Made-up pairs on who stands where: roles, halves of a contrast, directions, negations.

Where sentences mostly share their words with the card, a model learns to call held what shares
words (McCoy et al., Right for the wrong reasons, 2019); examples whose only fault is an exchange of
words cure much of it (Min et al., Syntactic data augmentation increases robustness to inference
heuristics, 2020). What such a card says is drawn at random and mostly untrue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from training.support_pairs import DATA, Row

PATTERNS = DATA / "support_drill.yaml"
SOURCE = "drill"

_FACTS = (2, 6)  # of a card: at least, fewer than
_TWINS = 4  # good sentences of a card, and as many wrong ones


@dataclass(frozen=True, slots=True)
class _Fact:
    """One statement: a relation, whether it is denied, and what it is about."""

    relation: int
    denied: bool
    first: str
    second: str

    def denial(self) -> _Fact:
        return _Fact(self.relation, not self.denied, self.first, self.second)

    def turned(self) -> _Fact:
        return _Fact(self.relation, self.denied, self.second, self.first)

    def with_first(self, thing: str) -> _Fact:
        return replace(self, first=thing)

    def with_second(self, thing: str) -> _Fact:
        return replace(self, second=thing)

    def put(self, form: str, **other: str) -> str:
        """The statement in a form."""
        return form.format(A=self.first, B=self.second, **other)


class Drill:
    """Draws cards and sentences from the patterns."""

    def __init__(self, patterns: dict[str, Any], seed: int) -> None:
        self._things: dict[str, list[str]] = patterns["things"]
        self._relations: list[dict[str, Any]] = patterns["relations"]
        self._reversible = [frozenset(sorts) for sorts in patterns["reversible"]]
        self._joined: dict[str, list[str]] = patterns["joined"]
        self._asked: list[str] = patterns["asked"]
        self._opened: list[str] = patterns["opened"]
        self._draw = random.Random(seed)

    def card(self) -> list[Row]:
        """The pairs of one card; each good sentence has a wrong twin in nearly the same words."""
        facts = self._facts()
        told = [self._told(fact) for fact in facts]
        answer = self._text(facts, told)
        asked = facts[0]
        question = self._draw.choice(self._asked).format(A=asked.first, B=asked.second)
        made = {"question": question, "answer": answer, "source": SOURCE}
        rows = []
        for _ in range(_TWINS):
            kind, good, wrong = self._twin(facts)
            for sentence, supported in ((good, True), (wrong, False)):
                rows.append({**made, "sentence": sentence, "supported": supported, "kind": kind})
        return rows

    def _facts(self) -> list[_Fact]:
        """Statements on different things; the first two mostly contrast, as cards often do."""
        relation = self._any()
        numbers = [relation, relation if self._draw.random() < 0.7 else self._any()]
        numbers += [self._any() for _ in range(self._draw.randrange(*_FACTS) - 2)]
        taken: set[str] = set()
        facts: list[_Fact] = []
        for number in numbers:
            first, second = (self._thing(s, taken) for s in self._relations[number]["between"])
            facts.append(_Fact(number, self._draw.random() < 0.4, first, second))
        one, two, *rest = facts
        if one.relation == two.relation and self._draw.random() < 0.4:
            two = _Fact(two.relation, not one.denied, two.first, one.second)
        return [one, two, *rest]

    def _any(self) -> int:
        return self._draw.randrange(len(self._relations))

    def _thing(self, sort: str, taken: set[str]) -> str:
        name = self._draw.choice([thing for thing in self._things[sort] if thing not in taken])
        taken.add(name)
        return name

    def _told(self, fact: _Fact) -> str:
        return fact.put(self._draw.choice(self._forms(fact)))

    def _forms(self, fact: _Fact) -> list[str]:
        forms: list[str] = self._relations[fact.relation]["denies" if fact.denied else "says"]
        return forms

    def _contrary(self, fact: _Fact) -> str:
        """What cannot be true beside a statement."""
        forms = self._forms(fact.denial())
        if not fact.denied:
            forms = forms + self._relations[fact.relation].get("excludes", [])
        return fact.put(self._draw.choice(forms))

    def _join(self, how: str, first: str, second: str) -> str:
        return self._draw.choice(self._joined[how]).format(X=first, Y=second)

    def _text(self, facts: Sequence[_Fact], told: Sequence[str]) -> str:
        like = facts[0].relation == facts[1].relation
        parts = [self._join("contrast" if like else "together", told[0], told[1]), *told[2:]]
        self._draw.shuffle(parts)
        return " ".join(_sentence(part) for part in parts)

    def _twin(self, facts: Sequence[_Fact]) -> tuple[str, str, str]:
        """Kind, a good sentence, and a wrong one of the same pattern where there is one."""
        kind = self._draw.choice(
            ("roles", "exchanged", "direction", "entity", "merged", "contrast")
        )
        if kind == "merged":
            return kind, *self._merged(*self._draw.sample(list(facts), 2))
        one, two = facts[:2]
        if kind == "contrast" and one.relation == two.relation and one.second != two.second:
            return kind, *self._contrast(one, two)
        fact = self._draw.choice(facts)
        form = self._draw.choice(self._forms(fact))
        if kind == "direction":
            wrong = self._contrary(fact)
        elif kind == "roles" and self._is_reversible(fact):
            wrong = fact.turned().put(form)
        else:
            wrong = self._false(kind, fact, facts).put(form)
        opened = self._draw.choice(self._opened)
        return kind, _sentence(opened + fact.put(form)), _sentence(opened + wrong)

    def _is_reversible(self, fact: _Fact) -> bool:
        one, two = self._relations[fact.relation]["between"]
        return one == two or any(one in sorts and two in sorts for sorts in self._reversible)

    def _false(self, kind: str, fact: _Fact, facts: Sequence[_Fact]) -> _Fact:
        """The statement with a thing of another one of the card, or with one from elsewhere."""
        sorts = self._relations[fact.relation]["between"]
        alike = [
            other
            for other in facts
            if other is not fact and self._relations[other.relation]["between"] == sorts
        ]
        keep_first = self._draw.random() < 0.5
        if kind != "entity" and alike:
            other = self._draw.choice(alike)
            keep_first &= other.second != fact.second
            return fact.with_second(other.second) if keep_first else fact.with_first(other.first)
        known = {thing for f in facts for thing in (f.first, f.second)}
        if keep_first:
            return fact.with_second(self._thing(sorts[1], known))
        return fact.with_first(self._thing(sorts[0], known))

    def _contrast(self, one: _Fact, two: _Fact) -> tuple[str, str]:
        """One statement set off from its counterpart, and the same with the two exchanged."""
        if self._draw.random() < 0.5:
            one, two = two, one
        forms = self._forms(one)
        opening = [form for form in forms if form.startswith("{A}")]
        closing = [form for form in forms if form.endswith("{B}")]
        if opening and (not closing or self._draw.random() < 0.5):
            form = self._draw.choice(("unlike {Z}, ", "in contrast to {Z}, ")) + (
                self._draw.choice(opening)
            )
            turned = one.with_first(two.first)
            good, wrong = one.put(form, Z=two.first), turned.put(form, Z=one.first)
        else:
            form = self._draw.choice(closing) + self._draw.choice((", not {Z}", " rather than {Z}"))
            turned = one.with_second(two.second)
            good, wrong = one.put(form, Z=two.second), turned.put(form, Z=one.second)
        return _sentence(good), _sentence(wrong)

    def _merged(self, one: _Fact, two: _Fact) -> tuple[str, str]:
        """Two statements in one sentence, and the same with their things or one half changed."""
        alike = one.relation == two.relation
        join = self._draw.choice(self._joined["contrast" if alike else "together"])
        first, second = (self._draw.choice(self._forms(fact)) for fact in (one, two))
        good = join.format(X=one.put(first), Y=two.put(second))
        chance = self._draw.random()
        if alike and chance < 0.6:
            false = one.with_first(two.first).put(first), two.with_first(one.first).put(second)
        elif chance < 0.8 and self._is_reversible(two):
            false = one.put(first), two.turned().put(second)
        else:
            false = self._contrary(one), two.put(second)
        return _sentence(good), _sentence(join.format(X=false[0], Y=false[1]))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def pairs(cards: int, seed: int) -> Iterator[Row]:
    """Pairs of so many cards, eight of each; rows as `support_pairs.hand_written` gives them."""
    drill = Drill(yaml.safe_load(PATTERNS.read_text(encoding="utf-8")), seed)
    for _ in range(cards):
        yield from drill.card()
