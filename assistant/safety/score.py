"""Two opinions beside the rules, and one judgement out of the three.

Rules say why they fire and are exact; they miss the hundredth way to say a thing. Two models catch
much of the rest: a linear one over words, word pairs, concepts and frames, and a small transformer
that was taught on the messages in data/ (encoder.py). A logistic model for each group - urgent,
harmful, dosing - weighs both with the rules that fired. Where it is surer than its threshold, the
gate speaks without a rule; where it finds a rule likelier wrong than right, and is below that
threshold too, the rule is overruled, unless it is one of the certain ones.
`python -m training gate` makes the weights and chooses the thresholds.
"""

import io
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from assistant.safety import encoder
from assistant.safety.frames import Frames
from assistant.safety.phrases import Tagged
from assistant.safety.rulebook import Kind, read_bytes

CLASSES: tuple[Kind, ...] = (
    "none", "emergency", "self_harm", "abuse", "poisoning", "dosing", "harmful",
)  # fmt: skip
URGENT: tuple[Kind, ...] = ("emergency", "self_harm", "abuse", "poisoning")
GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "urgent": URGENT, "harmful": ("harmful",), "dosing": ("dosing",),
}  # fmt: skip
WEIGHTS = "weights.npz"
# Words: shorter messages say too little, longer ones hold too many themes for one linear score.
_SHORTEST, _LONGEST = 2, 120
WORDS_SCALE = 3  # brings the scores over words to the spread of the transformer's
_OVERRULE_FROM = 4  # words: in fewer there is nothing that could speak against a rule
OVERRULED = 0.5  # chance below which a rule is likelier wrong than right
# Letters of other scripts, digits among letters, letters spaced out: no transformer reads them.
_DISGUISED = re.compile(r"[^\W\d_a-zA-Z]|[a-zA-Z][0-9@$!]+[a-zA-Z]|\b\w(?:[ .\-_*]\w){3,}\b")

Array = np.ndarray[Any, np.dtype[np.float32]]


def features(tagged: Tagged, frames: Frames) -> set[str]:
    """The words, stems, pairs, concepts and frames of a message, each once."""
    words = tagged.text.words
    found = {f"w:{word}" for word in words}
    found |= {f"s:{word[:5]}" for word in words if len(word) > 5}
    found |= {f"b:{a} {b}" for a, b in pairwise(["^", *words, "$"])}
    found |= {f"c:{atom[1:]}" for atom in tagged.spans if atom[0] == "@" and "_" not in atom}
    found.add(f"f:{frames.shape}")
    return found


def evidence(tagged: Tagged, frames: Frames, fired: Collection[Kind]) -> list[float]:
    """What the judgement reads beside the two opinions: the rules' kinds, frames, drug, length."""
    return [
        *(float(kind in fired) for kind in CLASSES[1:]),
        *(float(mark == "y") for mark in frames.shape),
        float(frames.imagined),
        float(frames.resolved),
        float(bool(tagged.spans.get("@drug"))),
        min(math.log(1 + len(tagged.text.words)), 5) / 5,
    ]


@dataclass(frozen=True)
class Model:
    """The fitted weights.

    Shapes: `words` (features, classes) and `word_bias` (classes,); `judge` (2 * classes +
    evidence, groups), `judge_bias` and `thresholds` (groups,), the latter probabilities.
    """

    vocabulary: Mapping[str, int]
    words: Array
    word_bias: Array
    judge: Array
    judge_bias: Array
    thresholds: Array
    certain: frozenset[str]  # ids of rules that no opinion overrules
    encoder: str  # revision of the transformer that `judge` was fitted on

    def opinions(self, found: Collection[str], read: Array) -> Array:
        """Scores of both models for each class, (2 * classes,), of about the same spread.

        Args:
            read: the transformer's logits, (classes,).
        """
        rows = [self.vocabulary[f] for f in sorted(found) if f in self.vocabulary]
        words = self.words[rows].sum(axis=0) / math.sqrt(len(found)) + self.word_bias
        return np.concatenate([words / WORDS_SCALE, read])

    def chances(self, opinions: Array, evidence: list[float]) -> dict[str, float]:
        """The probability of each group."""
        values = np.concatenate([opinions, np.asarray(evidence, np.float32)])
        logits = np.clip(values @ self.judge + self.judge_bias, -30, 30)
        return dict(zip(GROUPS, (1 / (1 + np.exp(-logits))).tolist(), strict=True))


@dataclass(frozen=True)
class Opinion:
    """Which groups are sure without a rule, which rules stand, which urgent kind is likeliest."""

    sure: frozenset[str]
    standing: frozenset[str]  # groups whose rules are not overruled
    chances: Mapping[str, float]
    urgent_kind: Kind
    certain: frozenset[str]


def judge(message: str, tagged: Tagged, frames: Frames, fired: Collection[Kind]) -> Opinion | None:
    """Weigh the opinions on `message` with the rules that fired; None if too short or too long."""
    words = tagged.text.words
    if not _SHORTEST <= len(words) <= _LONGEST:
        return None
    model = load()
    read = ready().encode(" ".join(words) if _DISGUISED.search(message) else message)
    opinions = model.opinions(features(tagged, frames), read)
    chances = model.chances(opinions, evidence(tagged, frames, fired))
    bars = dict(zip(GROUPS, model.thresholds.tolist(), strict=True))
    sure = {group for group, bar in bars.items() if chances[group] > bar}
    standing = {group for group, bar in bars.items() if chances[group] > min(bar, OVERRULED)}
    if len(words) < _OVERRULE_FROM:
        standing = set(GROUPS)
    if frames.imagined or frames.resolved:
        sure.clear()
    # "Can I take notes?" has the words of a dosing question, but no medicine.
    if not tagged.spans.get("@drug"):
        sure.discard("dosing")
    both = opinions[: len(CLASSES)] + opinions[len(CLASSES) :]
    urgent_kind = max(URGENT, key=lambda kind: float(both[CLASSES.index(kind)]))
    return Opinion(frozenset(sure), frozenset(standing), chances, urgent_kind, model.certain)


def ready() -> encoder.Encoder:
    """Open the transformer that the weights were fitted on.

    Raises:
        EmbedderUnavailableError: it is missing or damaged.
        ValueError: it is another one.
    """
    reader = encoder.shipped()
    if reader.revision != load().encoder:
        raise ValueError(
            f"{WEIGHTS}: fitted on encoder revision {load().encoder}, found {reader.revision}; "
            "run 'python -m training gate'"
        )
    return reader


@cache
def load() -> Model:
    """The shipped weights. Raises ValueError where they are of other classes."""
    with np.load(io.BytesIO(read_bytes(WEIGHTS)), allow_pickle=False) as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    classes = tuple(_lines(stored["classes"]))
    if classes != CLASSES:
        raise ValueError(f"{WEIGHTS}: expected classes {CLASSES}, got {classes}; refit")
    numbers = {
        name: stored[name].astype(np.float32)
        for name in ("word_bias", "judge", "judge_bias", "thresholds")
    }
    return Model(
        vocabulary={feature: i for i, feature in enumerate(_lines(stored["vocabulary"]))},
        words=stored["words"].astype(np.float32) * float(stored["word_scale"]),
        certain=frozenset(_lines(stored["certain"])),
        encoder=_lines(stored["encoder"])[0],
        **numbers,
    )


def _lines(text: np.ndarray[Any, Any]) -> list[str]:
    """Lines of UTF-8 text that is stored as bytes, so that nothing has to be unpickled."""
    return text.tobytes().decode().split("\n")
