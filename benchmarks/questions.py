"""Does the right card come up, and is the rest refused? Reworded and out-of-scope questions.

    python benchmarks/questions.py --deck DECK.jsonl --index DIR [--half test]

`DECK` is the deck that eval/sets/README.md describes (rows with `id`), `DIR` its index. The `dev`
half is for choosing settings, the `test` half for measuring them, once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assistant.extractive import ExtractiveGenerator
from assistant.pipeline import Assistant, QuestionError
from assistant.settings import Settings
from index.cards import card_id
from index.retrieve import CardRetriever, open_index
from index.text import clean

SETS = Path(__file__).resolve().parents[1] / "eval" / "sets"


def main(argv: list[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deck", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--half", choices=("dev", "test"), default="dev")
    parser.add_argument("--misses", action="store_true", help="list them (dev half only)")
    options = parser.parse_args(argv)
    retriever = open_index(options.index)
    assistant = Assistant(retriever, ExtractiveGenerator(), Settings())
    deck = {row["id"]: row for row in _rows(options.deck)}
    reworded = _rows(SETS / f"reworded_{options.half}.jsonl")
    other = _rows(SETS / f"out_of_scope_{options.half}.jsonl")
    show = options.misses and options.half == "dev"
    print(
        json.dumps(
            {
                "half": options.half,
                "cards": len(retriever.cards),
                **_found(retriever, deck, reworded, show),
                **_refused(assistant, reworded, other, show),
            },
            indent=2,
        )
    )
    return 0


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _found(
    retriever: CardRetriever,
    deck: dict[str, dict[str, str]],
    reworded: list[dict[str, str]],
    show: bool,
) -> dict[str, float]:
    """Recall and nDCG of the drawn card itself, and recall of any card with its question."""
    ranks, same, times = [], [], []
    for row in tqdm(reworded, desc="reworded", file=sys.stderr):
        gold = deck[row["standin_id"]]
        started = time.perf_counter()
        cards = [hit.card for hit in retriever.hits(row["question"], 10)]
        times.append(time.perf_counter() - started)
        identifier = card_id(gold["question"], gold["answer"])
        rank = next((i for i, c in enumerate(cards) if c.id == identifier), None)
        ranks.append(rank)
        same.append(any(c.question == clean(gold["question"]) for c in cards[:5]))
        if show and not same[-1]:
            print(
                row["question"],
                "|",
                gold["question"],
                "->",
                [c.question for c in cards[:3]],
                file=sys.stderr,
            )
    gains = [1 / np.log2(rank + 2) if rank is not None else 0.0 for rank in ranks]
    return {
        "questions": len(reworded),
        "recall@1": _share(rank == 0 for rank in ranks),
        "recall@5": _share(rank is not None and rank < 5 for rank in ranks),
        "recall@5, same question": _share(same),
        "nDCG@10": round(float(np.mean(gains)), 4),
        "query ms p50": round(1000 * float(np.quantile(times, 0.5)), 1),
        "query ms p95": round(1000 * float(np.quantile(times, 0.95)), 1),
    }


def _refused(
    assistant: Assistant, reworded: list[dict[str, str]], other: list[dict[str, str]], show: bool
) -> dict[str, float]:
    def refused(row: dict[str, str], wanted: bool) -> bool:
        try:
            answer = assistant.answer(row["question"])
        except QuestionError:  # a message without a word
            return True
        no = answer.status in ("abstained", "declined")
        if show and no != wanted:
            print(f"{answer.status} {answer.confidence:.2f}: {row['question']}", file=sys.stderr)
        return no

    return {
        "reworded refused": _share(refused(row, wanted=False) for row in reworded),
        "out of scope": len(other),
        "out of scope refused": _share(refused(row, wanted=True) for row in other),
    }


def _share(flags: object) -> float:
    return round(float(np.mean(list(flags))), 4)  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
