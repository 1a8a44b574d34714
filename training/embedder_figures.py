"""Measure embedders side by side: questions in everyday words, held-out subjects, refusals.

    python -m training.embedder_figures --deck DECK.jsonl --sets eval/sets --medquad FILE \
        --wikidoc FILE --model stock=FOLDER --model tuned=FOLDER > figures.md

A model is a folder with `model.onnx` and `tokenizer.json`. The deck's rows have an `id`, to which
the `standin_id` of `reworded_dev.jsonl` refers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from index import lexical
from index.cards import card_id
from index.cleaning import clean_deck
from index.config import CleaningConfig
from index.decks import read
from index.embedder import OnnxEmbedding, embed
from index.text import fold
from training import embedder_subjects as subjects

Floats = np.ndarray[Any, np.dtype[np.float32]]

DEPTH = 10
QUESTION_WEIGHTS = (0.3, 0.5, 0.7)
BM25_WEIGHTS = (0.0, 0.05, 0.1)
REFUSED = 0.95  # of the out-of-scope questions


def main(argv: Sequence[str] | None = None) -> int:
    """Print a Markdown table for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deck", type=Path, required=True)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--medquad", type=Path, required=True)
    parser.add_argument("--wikidoc", type=Path, required=True)
    parser.add_argument("--side", choices=("validation", "test"), default="test")
    parser.add_argument(
        "--model", dest="models", action="append", required=True, metavar="NAME=FOLDER"
    )
    options = parser.parse_args(argv)
    models = {
        name: OnnxEmbedding(Path(folder), name)
        for name, folder in (model.split("=", 1) for model in options.models)
    }
    _held_out(models, options.medquad, options.wikidoc, options.side)
    _reworded(models, options.deck, options.sets)
    return 0


def _held_out(models: Mapping[str, OnnxEmbedding], medquad: Path, wikidoc: Path, side: str) -> None:
    """MedQuAD questions of held-out subjects against these subjects' answers."""
    phrases = subjects.Phrases.load()
    rows = subjects.read_rows(medquad, phrases)
    sides = subjects.held_out(rows + subjects.read_rows(wikidoc, phrases))
    rows = [row for row in rows if sides[subjects.subject_key(row.subject)] == side]
    gold = defaultdict(set)
    for i, row in enumerate(rows):
        gold[row.question].add(i)
    questions = list(gold)
    lexical_scores = _bm25([row.answer for row in rows], questions)
    _line(f"## MedQuAD, {side} subjects: {len(questions)} questions, {len(rows)} answers\n")
    _line("| model | BM25 weight | recall@1 | recall@5 | nDCG@10 |\n|---|---|---|---|---|")
    for name, model in models.items():
        cosines = embed(model, questions) @ embed(model, [row.answer for row in rows]).T
        for weight in BM25_WEIGHTS:
            figures = _ranking(cosines + weight * lexical_scores, [gold[q] for q in questions])
            _line(f"| {name} | {weight} | {figures} |")


def _reworded(models: Mapping[str, OnnxEmbedding], deck: Path, sets: Path) -> None:
    """Everyday questions against a whole deck, and how well a threshold tells out of scope."""
    cards = clean_deck(read(str(deck)), CleaningConfig()).cards
    place = {card.id: i for i, card in enumerate(cards)}
    same = defaultdict(set)
    for i, card in enumerate(cards):
        same[fold(card.question)].add(i)
    standin = {r["id"]: r for r in _records(deck)}
    asked, strict, loose = [], [], []
    for record in _records(sets / "reworded_dev.jsonl"):
        row = standin[record["standin_id"]]
        position = place[_card_id(row)]
        asked.append(record["question"])
        strict.append({position})
        loose.append(same[fold(cards[position].question)])
    outside = [record["question"] for record in _records(sets / "out_of_scope_dev.jsonl")]
    lexical_scores = _bm25([card.text for card in cards], asked + outside)
    _line(f"\n## Reworded questions: {len(asked)} on {len(cards):,} cards\n")
    _line(
        "w: weight of the card's question in its vector, the rest is the whole card. Refused: "
        f"in-scope questions lost to the threshold that refuses {REFUSED:.0%} of out of scope.\n"
    )
    _line(
        "| model | w | BM25 weight | recall@1 | recall@5 | nDCG@10 | nDCG@10, same question counts "
        "| refused |\n|---|---|---|---|---|---|---|---|"
    )
    for name, model in models.items():
        of_questions = embed(model, [card.question for card in cards])
        of_cards = embed(model, [card.text for card in cards])
        queries = embed(model, asked + outside)
        for w in QUESTION_WEIGHTS:
            mixed = w * of_questions + (1 - w) * of_cards
            mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
            cosines = queries @ mixed.T
            for weight in BM25_WEIGHTS:
                scores = cosines + weight * lexical_scores
                inside = scores[: len(asked)]
                figures = _ranking(inside, strict)
                also = _ranking(inside, loose).rsplit("|", 1)[1]
                best = scores.max(1)
                threshold = np.quantile(best[len(asked) :], REFUSED)
                lost = float((best[: len(asked)] < threshold).mean())
                _line(f"| {name} | {w} | {weight} | {figures} |{also} | {lost:.3f} |")


def _card_id(row: Mapping[str, str]) -> str:
    return card_id(row["question"], row["answer"])


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _bm25(texts: Sequence[str], queries: Sequence[str]) -> Floats:
    """BM25 scores divided by each query's highest, (queries, texts)."""
    with tempfile.TemporaryDirectory() as name:
        lexical.write(texts, Path(name))
        index = lexical.LexicalIndex(Path(name))
        rows = np.stack([index.scores(query) for query in queries])
    highest: Floats = rows / np.maximum(rows.max(1, keepdims=True), 1e-9)
    return highest


def _ranking(scores: Floats, gold: Sequence[set[int]]) -> str:
    """Recall@1, recall@5 and nDCG@10 as cells of a table; recall is "found any"."""
    first = five = gain = 0.0
    for row, right in zip(scores, gold, strict=True):
        best = np.argsort(-row, kind="stable")[:DEPTH].tolist()
        hits = [i in right for i in best]
        first += hits[0]
        five += any(hits[:5])
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(right), DEPTH)))
        gain += sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits)) / ideal
    n = len(gold)
    return f"{first / n:.3f} | {five / n:.3f} | {gain / n:.3f}"


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
