"""How often is a sentence judged rightly? `python benchmarks/support.py [SET]`, hand-written pairs.

The sets are `support_pairs` (the default) and `support_paraphrases`, whose sentences, right and
wrong alike, are in other words than the card's throughout.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from assistant import support
from index.cards import make_card

SETS = Path(__file__).resolve().parents[1] / "eval" / "sets"


def main() -> int:
    """Print the share judged rightly, by kind; wrong sentences must be caught, good ones kept."""
    right: Counter[tuple[bool, str]] = Counter()
    total: Counter[tuple[bool, str]] = Counter()
    name = sys.argv[1] if sys.argv[1:] else "support_pairs"
    for line in (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
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
