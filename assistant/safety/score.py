"""A small linear model behind the rules, for what no rule foresaw.

Rules say why they fire and are exact; they miss the hundredth way to say a thing. This softmax
over words, word pairs and the concepts that the lexicon found in them catches part of the rest.
It speaks only where it is rather sure (see the thresholds): for a kind where the rules were silent,
and against a rule whose words stand in a short message that has nothing else of danger in it.
`python -m assistant.safety.fit` makes its weights from the labelled cases of the tests.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from assistant.safety.frames import Frames
from assistant.safety.phrases import Tagged
from assistant.safety.rulebook import Kind, read_rules

CLASSES: tuple[Kind, ...] = (
    "none", "emergency", "self_harm", "abuse", "poisoning", "dosing", "harmful",
)  # fmt: skip
_URGENT: tuple[Kind, ...] = ("emergency", "self_harm", "abuse", "poisoning")
# Chosen by cross-validation on messages new to the rules (see fit.py): urgent kinds share a
# probability, because confusing them costs little; a declined learner costs less than a harmed one.
_SURE_URGENT = 0.55
_SURE: dict[Kind, float] = {"harmful": 0.55, "dosing": 0.50}
# At 0.85 cross-validation withdrew a quarter of the false alarms that the rules had raised on
# messages new to them, and 0.4 % of the true ones.
_SURE_HARMLESS = 0.85
_SURE_NO_HARM = 0.7  # against a rule for harm: a learner declined has done nothing wrong
# Words: shorter messages say too little, longer ones hold too many themes for one linear score.
_SHORTEST, _LONGEST = 4, 80


def features(tagged: Tagged, frames: Frames) -> set[str]:
    """The words, stems, pairs, concepts and frames of a message, each once."""
    words = tagged.text.words
    found = {f"w:{word}" for word in words}
    found |= {f"s:{word[:5]}" for word in words if len(word) > 5}
    found |= {f"b:{a} {b}" for a, b in pairwise(["^", *words, "$"])}
    found |= {f"c:{atom[1:]}" for atom in tagged.spans if atom[0] == "@" and "_" not in atom}
    found.add(f"f:{frames.shape}")
    return found


@dataclass(frozen=True)
class Opinion:
    kind: Kind  # the kind that the model is sure of, else "none"
    harmless: bool  # whether it is sure that there is nothing in it
    no_harm: bool = False  # whether it is sure that no harm is asked for


def judge(tagged: Tagged, frames: Frames) -> Opinion:
    """What the model thinks of a message; nothing of one too short or long, over, or a story."""
    if not _SHORTEST <= len(tagged.text.words) <= _LONGEST or frames.imagined or frames.resolved:
        return Opinion("none", False)
    chance = probabilities(features(tagged, frames), _weights())
    harmless = chance["none"] > _SURE_HARMLESS and tagged.text.sentence[-1] == 0
    no_harm = chance["none"] > _SURE_NO_HARM
    if sum(chance[kind] for kind in _URGENT) > _SURE_URGENT:
        return Opinion(max(_URGENT, key=lambda kind: chance[kind]), harmless, no_harm)
    for kind, sure in _SURE.items():
        # "Can I take notes?" has the words of a dosing question, but no medicine.
        if chance[kind] > sure and (kind != "dosing" or tagged.spans.get("@drug")):
            return Opinion(kind, harmless, no_harm)
    return Opinion("none", harmless, no_harm)


def probabilities(found: set[str], model: dict[str, Any]) -> dict[str, float]:
    scale = 1 / math.sqrt(len(found))
    sums = [0.0] * len(CLASSES)
    for feature in found:
        for i, weight in enumerate(model["weights"].get(feature, ())):
            sums[i] += weight
    scores = [bias + scale * total / 100 for bias, total in zip(model["bias"], sums, strict=True)]
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    return {kind: power / sum(powers) for kind, power in zip(CLASSES, powers, strict=True)}


@cache
def _weights() -> dict[str, Any]:
    model: dict[str, Any] = json.loads(read_rules("weights.json"))
    if tuple(model["classes"]) != CLASSES:
        raise ValueError(f"weights.json: expected classes {CLASSES}, got {model['classes']}; refit")
    return model
