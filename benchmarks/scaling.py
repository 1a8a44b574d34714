"""What a larger deck costs one process: memory, search, and the vectors' part of it in Milvus.

    python benchmarks/scaling.py [--cards 1000 10000 100000] [--milvus URI]

Cards are made up (about 350 characters, words drawn by Zipf's law) and their vectors random: no
card is near another, which is the worst case of a search, and nothing is said of what is found.
Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

DIMENSION = 384
VOCABULARY = 50_000
QUERIES = 100


def measure(cards: int, milvus: str | None, told: Any) -> None:
    """One size; memory is this process's peak less what it had before, in MB."""
    from index import manifest
    from index.cards import Flashcard
    from index.filters import CardFilter
    from index.lexical import LexicalIndex
    from index.search import Searcher
    from index.store import Store, write

    chance = np.random.default_rng(7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def text(words: int) -> str:
        drawn = np.minimum(chance.zipf(1.3, words), VOCABULARY)
        return " ".join(f"word{n}" for n in drawn)

    deck = [
        Flashcard(f"{i:016x}", text(8), text(40), topic=f"topic {i % 50}") for i in range(cards)
    ]
    vectors = chance.standard_normal((cards, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors"
        began = time.perf_counter()
        write(vectors, path)
        store = Store(path)
        words = LexicalIndex([card.text for card in deck])
        built = time.perf_counter() - began
        searcher = Searcher(deck, store, words)
        mask = CardFilter(deck).mask(frozenset({"topic 3"}), None)
        asked = [(text(8), row.tolist()) for row in vectors[:QUERIES] + 0.01]
        whole = [_timed(lambda q=q, v=v: searcher.hits(q, v, 5)) for q, v in asked]
        narrow = [_timed(lambda q=q, v=v: searcher.hits(q, v, 5, mask)) for q, v in asked]
        dense = [_timed(lambda v=v: store.nearest(v, 64)) for _, v in asked]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        row = [cards, built, path.stat().st_size / 1e6, peak, *map(_middle, (whole, narrow, dense))]
        if milvus is not None:
            from index import milvus as kept

            uri = milvus or str(Path(folder) / "vectors.db")
            record: Any = manifest.Manifest.model_construct(
                generation=f"bench{cards}",
                cards=cards,
                embedder=manifest.EmbedderRecord(name="none", revision="0", dimension=DIMENSION),
            )
            began = time.perf_counter()
            kept.publish(vectors, record, uri)
            filled = time.perf_counter() - began
            there = kept.MilvusStore(uri, record)
            row += [filled, _middle([_timed(lambda v=v: there.nearest(v, 64)) for _, v in asked])]
    told.put(row)


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _middle(times: list[float]) -> float:
    return float(np.median(times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--milvus", nargs="?", const="", help="also there; by default in the lite")
    arguments = parser.parse_args()
    print("cards  build s  vectors MB  peak MB  search ms  narrowed  dense  fill s  milvus ms")
    context = multiprocessing.get_context("spawn")
    for cards in arguments.cards:
        told = context.SimpleQueue()
        worker = context.Process(target=measure, args=(cards, arguments.milvus, told))
        worker.start()
        worker.join()
        if worker.exitcode:
            return worker.exitcode
        figures = (f"{x:,.1f}" if isinstance(x, float) else f"{x:,}" for x in told.get())
        print("  ".join(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
