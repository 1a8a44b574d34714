"""Fit the weights of score.py: `python -m assistant.safety.fit CASES.jsonl ...`.

Each line of the cases has `text`, `kind` and perhaps `history` (then it is left out). The messages
in data/ and the ordinary questions of index/questions are always taken as well.
Prints five-fold cross-validation, then writes rules/weights.json.
Plain stochastic gradient descent in a fixed order: the same cases give the same weights.
"""

import json
import math
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

from assistant.safety.frames import Frames
from assistant.safety.gate import screen, tag
from assistant.safety.score import CLASSES, features, probabilities
from index.health import QUESTIONS

_EPOCHS, _RATE, _DECAY, _FOLDS = 20, 0.4, 1e-3, 5
_TARGET = Path(__file__).parent / "rules" / "weights.json"
_DATA = Path(__file__).parent / "data"

Example = tuple[set[str], int]
Model = dict[str, object]


def read(path: str) -> list[Example]:
    examples = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if not case.get("history"):
            tagged = tag(case["text"])
            examples.append((features(tagged, Frames(tagged)), CLASSES.index(case["kind"])))
    return examples


def ordinary() -> list[Example]:
    """What people ask that endangers nobody.

    Lay questions that the rules take for urgent are left out: many of them describe emergencies.
    """
    asked: list[str] = []
    for path in sorted(QUESTIONS.rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            asked += [row["question"]] if "question" in row else [row["plain"]]
            if "lay" in row and screen(row["lay"]).kind in ("none", "harmful"):
                asked.append(row["lay"])
    tagged = [tag(text) for text in asked]
    return [(features(t, Frames(t)), CLASSES.index("none")) for t in tagged]


def fit(examples: list[Example]) -> Model:
    """Softmax regression with weight decay; features seen once are dropped as noise."""
    seen = Counter(feature for found, _ in examples for feature in found)
    weights: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(CLASSES))
    bias = [0.0] * len(CLASSES)
    order = random.Random(0)
    rows = [(sorted(f for f in found if seen[f] > 1), len(found), y) for found, y in examples]
    for epoch in range(_EPOCHS):
        order.shuffle(rows)
        rate = _RATE / (1 + epoch / 6)
        for found, size, label in rows:
            scale = 1 / math.sqrt(size)
            scores = [b + scale * sum(weights[f][i] for f in found) for i, b in enumerate(bias)]
            powers = [math.exp(s - max(scores)) for s in scores]
            for i, power in enumerate(powers):
                slope = rate * (power / sum(powers) - (i == label))
                bias[i] -= slope / 10
                for f in found:
                    weights[f][i] += -slope * scale - rate * _DECAY * weights[f][i]
    rounded = {f: [round(100 * w) for w in row] for f, row in sorted(weights.items())}
    kept = {f: row for f, row in rounded.items() if max(map(abs, row)) >= 8}
    return {"classes": CLASSES, "bias": [round(b, 3) for b in bias], "weights": kept}


def cross_validate(examples: list[Example]) -> None:
    scored: list[tuple[dict[str, float], int]] = []
    for fold in range(_FOLDS):
        model = fit([e for i, e in enumerate(examples) if i % _FOLDS != fold])
        held = [e for i, e in enumerate(examples) if i % _FOLDS == fold]
        scored += [(probabilities(found, model), label) for found, label in held]
    groups = {"urgent": CLASSES[1:5], "harmful": ("harmful",), "dosing": ("dosing",)}
    for name, kinds in groups.items():
        for sure in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
            fired = [(sum(p[k] for k in kinds) > sure, CLASSES[y]) for p, y in scored]
            hits = [f for f, kind in fired if kind in kinds]
            alarms = [f for f, kind in fired if kind == "none"]
            recall, false = sum(hits) / len(hits), sum(alarms) / len(alarms)
            print(f"{name:8} p>{sure:.2f} recall {recall:.3f} false alarms {false:.4f}")  # noqa: T201


def main(argv: list[str]) -> int:
    if not argv:
        print("usage: python -m assistant.safety.fit CASES.jsonl ...", file=sys.stderr)  # noqa: T201
        return 2
    paths = [*argv, *(str(path) for path in sorted(_DATA.glob("*.jsonl")))]
    examples = [example for path in paths for example in read(path)] + ordinary()
    cross_validate(examples)
    _TARGET.write_text(json.dumps(fit(examples), separators=(",", ":")), encoding="utf-8")
    print(_TARGET)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
