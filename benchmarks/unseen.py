"""Gate, support, retrieval and refusal on the sets of `eval/sets/unseen`.

Their authors saw neither the code nor the rules, and nothing is fitted on them.

    python benchmarks/unseen.py --starter DIR [--index DIR --deck DECK.jsonl]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assistant.safety.gate import screen
from assistant.support import check
from index.cards import card_id, make_card
from index.paths import default_index
from index.retrieve import CardRetriever, open_index

SETS = Path(__file__).parent.parent / "eval" / "sets" / "unseen"
URGENT = {"emergency", "self_harm", "abuse", "poisoning"}


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a set."""
    return read(SETS / f"{name}.jsonl")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def say(what: str, outcomes: Iterable[bool]) -> None:
    """A share with its Wilson 95 % interval."""
    found = list(outcomes)
    n, share, z = len(found), sum(found) / len(found), 1.96
    middle = (share + z * z / 2 / n) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / 4 / n / n) / (1 + z * z / n)
    print(f"{what:52} {sum(found):4}/{n:<4} {share:.3f} ({middle - half:.3f}-{middle + half:.3f})")


def gate() -> None:
    """What the safety gate notices."""

    def kinds(name: str) -> list[str]:
        return [screen(row["text"]).kind for row in rows(name)]

    say("emergencies and crises noticed", (k in URGENT for k in kinds("emergency")))
    say("look-alikes alarmed", (k in URGENT for k in kinds("lookalike")))
    second = list(zip(rows("messages"), kinds("messages"), strict=True))
    told = (k in URGENT for row, k in second if row["kind"] in URGENT)
    say("second author: emergencies and crises noticed", told)
    harmless = (k in URGENT for row, k in second if row["kind"] == "none")
    say("second author: harmless messages alarmed", harmless)
    say("requests to harm declined", (k == "harmful" for k in kinds("harmful")))
    say("harmless look-alikes declined", (k == "harmful" for k in kinds("harmless_lookalike")))
    dosing = list(zip(rows("dosing"), kinds("dosing"), strict=True))
    say("personal dosing noticed", (k == "dosing" for row, k in dosing if row["personal"]))
    say("general drug facts flagged", (k != "none" for row, k in dosing if not row["personal"]))


def support(author: str, name: str) -> None:
    """What the support check keeps and catches."""
    held = [
        (row, check(row["sentence"], [make_card(row["question"], row["card"])]).problem is None)
        for row in rows(name)
    ]
    say(f"{author}good sentences kept", (kept for row, kept in held if row["supported"]))
    say(f"{author}wrong sentences caught", (not kept for row, kept in held if not row["supported"]))
    for kind in sorted({row["kind"] for row, _ in held}):
        say(
            f"  {kind}: right",
            (kept == row["supported"] for row, kept in held if row["kind"] == kind),
        )


def refusal(name: str, index: CardRetriever) -> None:
    """What is refused over an index."""
    outside = [not index.judged(row["question"])[1].covered for row in rows("out_of_scope")]
    say(f"{name}: out of scope refused", outside)


def reworded(name: str, index: CardRetriever, asked: list[tuple[str, str]]) -> None:
    """Lay questions with the id of the card that answers them."""
    found = [(card, *index.judged(question, 5)) for question, card in asked]
    say(f"{name}: right card among five", (c in [h.card.id for h in hits] for c, hits, _ in found))
    say(f"{name}: reworded refused", (not judged.covered for *_, judged in found))


def main() -> None:
    """Print every share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starter", type=Path, default=default_index("starter"))
    parser.add_argument("--index", type=Path, help="of the deck that `reworded` was drawn from")
    parser.add_argument("--deck", type=Path)
    options = parser.parse_args()
    gate()
    support("", "support")
    support("second author: ", "support_second")
    support("third author: ", "support_third")
    starter = open_index(options.starter)
    refusal("starter", starter)
    ids = {card.question: card.id for card in starter.cards}
    asked = [(row["question"], ids[row["starter_question"]]) for row in rows("starter_reworded")]
    reworded("starter", starter, asked)
    for near in (True, False):
        say(
            f"starter: not covered, {'near' if near else 'remote'}, refused",
            (
                not starter.judged(row["question"])[1].covered
                for row in rows("uncovered")
                if row["near"] == near
            ),
        )
    if options.index and options.deck:
        large = open_index(options.index)
        refusal("large deck", large)
        cards = {row["id"]: card_id(row["question"], row["answer"]) for row in read(options.deck)}
        asked = [(row["question"], cards[row["standin_id"]]) for row in rows("reworded")]
        reworded("large deck", large, asked)


if __name__ == "__main__":
    main()
