"""Screen a message before anything is retrieved: is someone in danger, or asking for harm?"""

from collections.abc import Sequence
from dataclasses import dataclass

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
_LOOK_BACK = 3  # earlier messages that a short follow-up may refer to
_FOLLOW_UP_WORDS = 14


@dataclass(frozen=True)
class Verdict:
    """What the gate found, and the fixed text to show for it."""

    kind: Kind
    rule: str | None
    text: str


_NONE = Verdict("none", None, "")


def screen(message: str, history: Sequence[str] = ()) -> Verdict:
    """Judge `message` in the light of `history`, the user's earlier messages, oldest first."""
    tagged = tag(message)
    verdict = _judge(tagged)
    if verdict.kind not in ("none", "dosing") or not history:
        return verdict
    if len(tagged.text.words) <= _FOLLOW_UP_WORDS:
        before = _standing(history[-_LOOK_BACK:])
        if before.kind in _URGENT and _follows_up(tagged):
            return before
        if before.kind == "harmful" and _refers_back(tagged):
            return before
        joined = _judge(tag(f"{history[-1].rstrip(' .?!')} {message}"))
        if joined.kind == "harmful" and _refers_back(tagged):
            return joined
    return verdict


def tag(message: str) -> Tagged:
    """Normalise `message` and find every concept of the lexicon in it."""
    book = load()
    return Tagged(normalise(message, book.spelling), book.lexicon)


def _judge(tagged: Tagged) -> Verdict:
    if not tagged.text.words:
        return _NONE
    frames = Frames(tagged)
    fired = _fired(tagged, frames)
    opinion = judge(tagged, frames)
    if opinion.harmless:
        return _NONE
    if opinion.no_harm:
        fired.pop("harmful", None)
    # What the model adds to "none" or to "dosing" is a danger that the rules did not foresee.
    if opinion.kind not in ("none", *fired) and not fired.keys() - {"dosing"}:
        text = load().default_texts[opinion.kind]
        return Verdict(opinion.kind, f"{opinion.kind}.score", text)
    for kind in _ORDER:
        if kind in fired:
            return Verdict(kind, fired[kind].id, fired[kind].text)
    return _NONE


def _fired(tagged: Tagged, frames: Frames) -> dict[Kind, Rule]:
    """The first rule of each kind, in the order of the files, that holds."""
    book = load()
    holds = {"when": frames.lived, "asked": frames.requested, "always": frames.meant}
    first: dict[Kind, int] = {}
    excused: dict[int, set[int]] = {}  # rule -> sentences, worked out where a rule first matches
    for atom in book.starts.keys() & tagged.spans.keys():
        for number, slot, phrase in book.starts[atom]:
            rule = book.rules[number]
            if number >= first.get(rule.kind, len(book.rules)):
                continue
            for span in tagged.find_from(atom, phrase):
                if not holds[slot](span):
                    continue
                if number not in excused:
                    excused[number] = _excused(rule, tagged)
                if tagged.text.sentence[span[0]] not in excused[number]:
                    first[rule.kind] = number
                    break
    return {kind: book.rules[number] for kind, number in first.items()}


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
        verdict = _judge(tagged)
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
