"""Screen a message before anything is retrieved: is someone in danger, or asking for harm?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from assistant.answer import Danger
from assistant.safety.frames import Frames
from assistant.safety.normal import normalise
from assistant.safety.phrases import Phrase, Tagged
from assistant.safety.rulebook import Kind, Rule, load
from assistant.safety.score import judge

RULES_VERSION: str = load().version  # changes with every word and weight of the rules

# Who wins when rules of several kinds fire: a request to harm must not be answered with first aid
# for its victim, and a body in danger comes before the reason for it.
_ORDER: tuple[Kind, ...] = ("harmful", "emergency", "self_harm", "abuse", "poisoning", "dosing")
_URGENT = frozenset({"emergency", "self_harm", "abuse", "poisoning"})
_KIND_OF: dict[str, Kind] = {"harmful": "harmful", "dosing": "dosing"}
_LOOK_BACK = 3  # earlier messages that a short follow-up may refer to
_FOLLOW_UP_WORDS = 14
_SCORE = ".score"  # ends the name of a verdict that no rule made


@dataclass(frozen=True)
class Verdict:
    """What the gate found, and the fixed text to show for it."""

    kind: Kind
    rule: str | None
    text: str

    @property
    def by_rule(self) -> bool:
        """Whether a rule made it, and not the opinion of a model alone."""
        return self.rule is not None and not self.rule.endswith(_SCORE)

    @property
    def danger(self) -> Danger | None:
        """The kind, where somebody is in danger."""
        match self.kind:
            case "emergency" | "self_harm" | "abuse" | "poisoning":
                return self.kind
        return None


_NONE = Verdict("none", None, "")


def screen(message: str, history: Sequence[str] = ()) -> Verdict:
    """Judge `message` in the light of `history`, the user's earlier messages, oldest first."""
    tagged = tag(message)
    verdict = _judge(message, tagged)
    told = verdict.kind not in ("none", "dosing")
    # Which danger it is, what was said before tells better than a judgement on a few words.
    unsure = verdict.danger is not None and not verdict.by_rule
    if not history or (told and not unsure):
        return verdict
    if len(tagged.text.words) <= _FOLLOW_UP_WORDS:
        before = _standing(history[-_LOOK_BACK:])
        if before.kind in _URGENT and _follows_up(tagged):
            return before
        if told:
            return verdict
        if before.kind == "harmful" and _refers_back(tagged):
            return before
        together = f"{history[-1].rstrip(' .?!')} {message}"
        joined = _judge(together, tag(together))
        if joined.kind == "harmful" and _refers_back(tagged):
            return joined
    return verdict


def tag(message: str) -> Tagged:
    """Normalise `message` and find every concept of the lexicon in it."""
    book = load()
    return Tagged(normalise(message, book.spelling), book.lexicon)


def _judge(message: str, tagged: Tagged) -> Verdict:
    if not tagged.text.words:
        return _NONE
    frames = Frames(tagged)
    holding = _holding(tagged, frames)
    fired = _first_of_kinds(holding)
    opinion = judge(message, tagged, frames, fired)
    if opinion is None:
        return _first(fired.keys(), holding)
    certain = {kind: rule for kind, rule in fired.items() if rule.id in opinion.certain}
    if _URGENT & certain.keys() or "harmful" in certain:
        return _first(certain.keys(), holding)
    standing = {kind: rule for kind, rule in fired.items() if _group(kind) in opinion.standing}
    speaking = opinion.sure | {_group(kind) for kind in standing}
    # The surer of danger and harm speaks: first aid for a victim must not answer a poisoner. But
    # an opinion that is alone must not outshout a rule that found a danger.
    alone = "harmful" not in fired and any(kind in _URGENT for kind in standing)
    rank = {"dosing": 2, "harmful": int(alone)}
    for group in sorted(speaking, key=lambda g: (rank.get(g, 0), -opinion.chances[g])):
        kinds = {kind for kind in standing if _group(kind) == group}
        if kinds:
            return _first(kinds, holding)
        kind = opinion.urgent_kind if group == "urgent" else _KIND_OF[group]
        return Verdict(kind, f"{kind}{_SCORE}", load().default_texts[kind])
    return _NONE


def _first(kinds: Collection[Kind], holding: Sequence[Rule]) -> Verdict:
    for kind in _ORDER:
        if kind in kinds:
            rule = _outranking([rule for rule in holding if rule.kind == kind])
            return Verdict(kind, rule.id, rule.text)
    return _NONE


def _outranking(rules: Sequence[Rule]) -> Rule:
    """The first whose text gives way to none of the others: a cause rather than its sign."""
    beaten = {name for rule in rules for name in rule.over}
    return next((rule for rule in rules if rule.id not in beaten), rules[0])


def _group(kind: Kind) -> str:
    return "urgent" if kind in _URGENT else kind


def fired_rules(tagged: Tagged, frames: Frames) -> dict[Kind, Rule]:
    """The first rule of each kind, in the order of the files, that holds."""
    return _first_of_kinds(_holding(tagged, frames))


def _first_of_kinds(holding: Sequence[Rule]) -> dict[Kind, Rule]:
    return {rule.kind: rule for rule in reversed(holding)}


def _holding(tagged: Tagged, frames: Frames) -> list[Rule]:
    """All rules that hold, in the order of the files."""
    book = load()
    holds = {"when": frames.lived, "asked": frames.requested, "always": frames.meant}
    found: set[int] = set()
    excused: dict[int, set[int]] = {}  # rule -> sentences, worked out where a rule first matches
    for atom in book.starts.keys() & tagged.spans.keys():
        for number, slot, phrase in book.starts[atom]:
            if number in found:
                continue
            rule = book.rules[number]
            for span in tagged.find_from(atom, phrase):
                if not holds[slot](span):
                    continue
                if number not in excused:
                    excused[number] = _excused(rule, tagged)
                if tagged.text.sentence[span[0]] not in excused[number]:
                    found.add(number)
                    break
    return [book.rules[number] for number in sorted(found)]


def _excused(rule: Rule, tagged: Tagged) -> set[int]:
    """The sentences in which `rule` stays silent."""
    return _sentences(rule.unless, tagged) - _sentences(rule.sure, tagged)


def _sentences(phrases: tuple[Phrase, ...], tagged: Tagged) -> set[int]:
    sentence = tagged.text.sentence
    return {sentence[start] for phrase in phrases for start, _ in tagged.find(phrase)}


def _standing(history: Sequence[str]) -> Verdict:
    """The latest verdict that still stands: said to be over, it does not."""
    standing = _NONE
    for earlier in history:
        tagged = tag(earlier)
        verdict = _judge(earlier, tagged)
        if verdict.kind not in ("none", "dosing"):
            standing = verdict
        elif Frames(tagged).resolved:
            standing = _NONE
    return standing


def _follows_up(tagged: Tagged) -> bool:
    if Frames(tagged).resolved:
        return False
    return any(start <= 3 for start, _ in tagged.of("@followup"))


def _refers_back(tagged: Tagged) -> bool:
    return bool(tagged.of("@backward"))
