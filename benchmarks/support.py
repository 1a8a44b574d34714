"""How often is a sentence judged rightly? `python benchmarks/support.py`, hand-written pairs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from assistant import support
from index.cards import make_card

PAIRS = Path(__file__).resolve().parents[1] / "eval" / "sets" / "support_pairs.jsonl"


def main() -> int:
    """Print the share judged rightly, by kind; wrong sentences must be caught, good ones kept."""
    right: Counter[tuple[bool, str]] = Counter()
    total: Counter[tuple[bool, str]] = Counter()
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        held = support.check(row["sentence"], [make_card(row["question"], row["card"])]).citations
        for kind in ("all", row["kind"]):
            total[row["supported"], kind] += 1
            right[row["supported"], kind] += bool(held) == row["supported"]
    for (supported, kind), n in sorted(total.items()):
        share = right[supported, kind] / n
        print(f"{'good kept' if supported else 'wrong caught':12} {kind:12} {share:.2f} of {n}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
