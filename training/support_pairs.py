"""Pairs of a sentence and a card, written by hand: what reader and judge of support learn from."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from assistant.support_features import Reading, read_beside
from index import token_vectors
from index.cards import make_card
from training.crossencoder_data import read_jsonl

DATA = Path(__file__).parent / "data"
PAIRS = DATA / "support_pairs.jsonl"
REWORDED = DATA / "support_reworded.jsonl"
PASSAGES = DATA / "support_passages.jsonl"
TWINS = DATA / "support_twins.jsonl"

STRANGER = "another card's"  # the kind of a good sentence beside a strange card
SPLICED = "spliced"  # the kind of a good sentence with what is said of another card's subject
EASY = frozenset((STRANGER, SPLICED))
_HELD_OUT = 5  # one card in these many
_STRANGE = 6
_SPLICED = 24  # more of them make the judge hard on long sentences
_PREDICATE = re.compile(r"\s(?:is|are|was|were|can|may|has|have|causes|does|should|must)\s.*")

Row = dict[str, Any]


def hand_written() -> list[Row]:
    """Rows of `sentence`, `question`, `answer`, `supported`, `kind` and `source`.

    In all but `pairs` the sentences, right and wrong, are mostly in other words than the card's; in
    `twins` a wrong one differs from a good one only in what makes it wrong.
    """
    rows = [{**row, "source": "pairs"} for row in read_jsonl(PAIRS)]
    for path in (REWORDED, PASSAGES):
        for card in read_jsonl(path):
            made = {"question": card["question"], "answer": card["answer"]}
            made["source"] = path.stem.removeprefix("support_")
            for key, supported in (("good", True), ("wrong", False)):
                for kind, sentence in card[key]:
                    rows.append(
                        {**made, "sentence": sentence, "supported": supported, "kind": kind}
                    )
    for card in read_jsonl(TWINS):
        made = {"question": card["question"], "answer": card["answer"], "source": "twins"}
        for kind, *both in card["twins"]:
            for sentence, supported in zip(both, (True, False), strict=True):
                rows.append({**made, "sentence": sentence, "supported": supported, "kind": kind})
    return rows


def with_strangers() -> list[Row]:
    """The hand-written pairs, and wrong ones made of their good sentences (`EASY`).

    One in `_STRANGE` stands beside a strange card, one in `_SPLICED` has a strange statement added.
    """
    rows = hand_written()
    return [*rows, *strangers(rows)[::_STRANGE], *spliced(rows)[::_SPLICED]]


def readings(rows: Sequence[Row]) -> Iterator[Reading]:
    """Each sentence beside its card, as the support check reads them."""
    encoder = token_vectors.shipped()
    for row in tqdm(rows, "reading", unit=" pairs", file=sys.stderr):
        card = make_card(row["question"], row["answer"])
        yield from read_beside(row["sentence"], [card], encoder)


def held_out(row: Row) -> bool:
    """Whether the reader does not learn from a pair: so for all pairs of every fifth card.

    On these it is measured, and the support judge learns how much its word weighs.
    """
    return zlib.crc32(row["question"].encode()) % _HELD_OUT == 0


def strangers(rows: Sequence[Row]) -> list[Row]:
    """The good sentences beside another card, which does not hold them."""
    cards = list(dict.fromkeys((row["question"], row["answer"]) for row in rows))
    place = {card: number for number, card in enumerate(cards)}
    found = []
    for row in rows:
        if row["supported"]:
            question, answer = cards[(place[row["question"], row["answer"]] + 7) % len(cards)]
            other = {"question": question, "answer": answer, "kind": STRANGER}
            found.append({**row, **other, "supported": False})
    return found


def spliced(rows: Sequence[Row]) -> list[Row]:
    """The good sentences, each with a predicate of another card's, which it does not hold."""
    good = [row for row in rows if row["supported"]]
    found = []
    for number, row in enumerate(good):
        other = good[(number + len(good) // 2) % len(good)]
        predicate = _PREDICATE.search(other["sentence"])
        if predicate and other["question"] != row["question"]:
            said = row["sentence"].rstrip(".!") + (", and" if number % 2 else " and")
            made = {"sentence": said + predicate[0], "kind": SPLICED, "supported": False}
            found.append({**row, **made})
    return found
