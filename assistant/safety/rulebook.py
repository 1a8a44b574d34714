"""Load the rule files that ship with the package into compiled rules."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from assistant.safety.normal import Spelling
from assistant.safety.phrases import Lexicon, Phrase, by_first, compile_all

Kind = Literal["none", "emergency", "self_harm", "abuse", "poisoning", "dosing", "harmful"]
Slot = Literal["when", "asked", "always"]

_DEFAULT_TEXTS: dict[Kind, str] = {
    "emergency": "general",
    "self_harm": "self_harm",
    "abuse": "abuse",
    "poisoning": "poisoning",
    "dosing": "dosing",
    "harmful": "general",
}
_RULE_FILES = ("emergency", "crisis", "harmful", "dosing")


@dataclass(frozen=True)
class Rule:
    """One rule: it fires on any `always`, on a lived `when`, or on an `asked` that is requested."""

    id: str
    kind: Kind
    text: str
    when: tuple[Phrase, ...]
    asked: tuple[Phrase, ...]
    always: tuple[Phrase, ...]
    unless: tuple[Phrase, ...]  # in the same sentence: stay silent ...
    sure: tuple[Phrase, ...]  # ... except where one of these is there too
    over: frozenset[str]  # rules whose text gives way to this one's where both fire


@dataclass(frozen=True)
class Rulebook:
    rules: tuple[Rule, ...]
    starts: dict[str, list[tuple[int, Slot, Phrase]]]  # first atom -> (rule, slot, pattern)
    lexicon: Lexicon
    spelling: Spelling
    default_texts: dict[Kind, str]  # where a kind is sure but no rule says which
    version: str


@cache
def load() -> Rulebook:
    """Parse and compile the rule files, once. Raises ValueError for a faulty file."""
    sources = {
        name: read_rules(f"{name}.yaml")
        for name in ("concepts", "frames", "spelling", "texts", *_RULE_FILES)
    }
    concepts = {
        name: compile_all(_alternatives(text))
        for part in ("concepts", "frames")
        for name, text in yaml.safe_load(sources[part]).items()
    }
    texts = yaml.safe_load(sources["texts"])
    rules = tuple(
        _rule(entry, texts) for name in _RULE_FILES for entry in yaml.safe_load(sources[name])
    )
    patterns = [
        p for r in rules for group in (r.when, r.asked, r.always, r.unless, r.sure) for p in group
    ]
    inline = _inline([*patterns, *(p for phrases in concepts.values() for p in phrases)])
    lexicon = Lexicon.build(inline | concepts, patterns)
    stamped = "".join(sources.values()).encode() + read_bytes("weights.npz")
    version = hashlib.sha256(stamped).hexdigest()[:12]
    defaults = {kind: _text(kind, name, texts) for kind, name in _DEFAULT_TEXTS.items()}
    return Rulebook(
        rules, _starts(rules), lexicon, _spelling(sources["spelling"], lexicon), defaults, version
    )


def _starts(rules: tuple[Rule, ...]) -> dict[str, list[tuple[int, Slot, Phrase]]]:
    starts: dict[str, list[tuple[int, Slot, Phrase]]] = {}
    slots: tuple[Slot, ...] = ("when", "asked", "always")
    for number, rule in enumerate(rules):
        for slot in slots:
            for atom, phrases in by_first(getattr(rule, slot)).items():
                starts.setdefault(atom, []).extend((number, slot, phrase) for phrase in phrases)
    return starts


def read_rules(name: str) -> str:
    """The text of one file of the rules folder, wherever the package is installed."""
    return read_bytes(name).decode()


def read_bytes(name: str) -> bytes:
    """The content of one file of the rules folder."""
    return (files("assistant.safety") / "rules" / name).read_bytes()


def _alternatives(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def _inline(phrases: list[Phrase]) -> dict[str, list[Phrase]]:
    """A concept for every `several_words` alternative."""
    atoms = {a for phrase in phrases for _, atoms in phrase for a in atoms if "_" in a}
    return {a[1:]: compile_all([a[1:].replace("_", " ")]) for a in sorted(atoms)}


def _rule(entry: dict[str, Any], texts: dict[str, Any]) -> Rule:
    known = {"id", "text", "when", "asked", "any", "unless", "sure", "over"}
    if set(entry) - known:
        raise ValueError(
            f"rule {entry.get('id')!r}: expected keys {sorted(known)}, got {sorted(entry)}"
        )
    kind: Kind = entry["id"].split(".")[0]
    text = _text(kind, entry["text"], texts)
    when, asked, always, unless, sure = (
        tuple(compile_all(entry.get(key, []))) for key in ("when", "asked", "any", "unless", "sure")
    )
    over = frozenset(entry.get("over", []))
    return Rule(entry["id"], kind, text, when, asked, always, unless, sure, over)


def _text(kind: Kind, name: str, texts: dict[str, Any]) -> str:
    text: str = texts[kind][name]
    return f"{texts['opening']} {text} {texts['closing']}" if kind == "emergency" else text


def _spelling(source: str, lexicon: Lexicon) -> Spelling:
    table = yaml.safe_load(source)
    aliases = {typed: tuple(words.split()) for typed, words in table["aliases"].items()}
    split = {key: frozenset(_alternatives(table[key])) for key in ("targets", "guard")}
    return Spelling(lexicon.vocabulary, aliases, split["targets"], split["guard"])
