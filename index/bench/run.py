"""The benchmark of the index: what it finds, how fast, with how much memory."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

from index import build, manifest
from index.bench import quality, report, speed
from index.bench.sets import QuestionSet, question_to_answer, questions_of_cards
from index.config import DEFAULT_EMBEDDER, IndexConfig
from index.embedder import STOCK, embed, open_embedder
from index.retrieve import open_index
from index.store import Store, Vectors

logger = logging.getLogger(__name__)

_REFERENCE_QUESTIONS = 400


@dataclass(frozen=True)
class BenchOptions:
    """One run.

    `queries` are JSONL files of questions on cards of the deck (`sets.questions_of_cards`),
    `pairs` decks whose questions are asked of their answers alone.
    """

    deck: str
    out: Path
    queries: tuple[Path, ...] = ()
    pairs: tuple[str, ...] = ()
    embedder: str = DEFAULT_EMBEDDER
    texts: int = 400  # cards of the embedding measurement
    rounds: int = 3
    reference: int = 1000  # documents on which int8 is compared with the stock call; 0: not at all
    vectors: int = 0  # of a large synthetic index; 0: none


def run(options: BenchOptions) -> Path:
    """Measure, and write `bench.json`, `bench.md` and `bench.png`; returns the Markdown file.

    The indexes that it builds stay in the output folder, so that a second run embeds nothing anew.

    Raises:
        DeckError: a deck cannot be read.
        EmbedderUnavailableError: an embedder cannot be loaded.
        ExpectedError: a file of questions is not one.
    """
    models = {"stock": open_embedder(STOCK).model, "tuned": open_embedder(options.embedder).model}
    folders = {
        name: _index(options, name, embedder)
        for name, embedder in (("stock", STOCK), ("tuned", options.embedder))
    }
    retriever = open_index(folders["tuned"])
    asked = [questions_of_cards(path, options.deck, retriever.cards) for path in options.queries]
    asked += [question_to_answer(deck) for deck in options.pairs]
    stored = {name: _stored(folder) for name, folder in folders.items()}
    stock = speed.stock_model() if options.reference or options.rounds else None

    results: dict[str, Any] = {"machine": _machine(), "options": _plain(options), "sets": {}}
    for one in asked:
        logger.info(
            "%s: %d questions, %d documents", one.name, len(one.questions), len(one.documents)
        )
        vectors = {
            name: (
                embed(model, one.questions),
                _documents(one, model, stored[name], retriever.cards),
            )
            for name, model in models.items()
        }
        found = {
            "questions": len(one.questions),
            "documents": len(one.documents),
            "systems": quality.compare(one, vectors["stock"], vectors["tuned"]),
        }
        if options.reference:
            found["int8"] = _int8(one, stock, vectors["stock"], options.reference)
        results["sets"][one.name] = found
    questions = [question for one in asked for question in one.questions]
    questions = questions or [card.question for card in retriever.cards]
    spread = np.random.default_rng(0).permutation(len(questions))
    questions = [questions[i] for i in spread]
    results["latency"] = speed.latency(retriever, questions)
    results["memory MB"] = speed.memory(folders["tuned"], questions)
    if options.rounds:
        chosen = np.random.default_rng(1).permutation(len(retriever.cards))[: options.texts]
        cards = [retriever.cards[i] for i in sorted(chosen)]
        results["embedding"] = speed.embedding(stock, models["tuned"], cards, options.rounds)
    if options.vectors:
        results["large"] = speed.large(stored["tuned"], options.vectors)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    target = options.out / "bench.md"
    target.write_text(report.markdown(results), encoding="utf-8")
    report.plot(results, options.out / "bench.png")
    return target


def _index(options: BenchOptions, name: str, embedder: str) -> Path:
    folder = options.out / f"index-{name}"
    build.build(IndexConfig(decks=(options.deck,), out=folder, embedder=embedder))
    return folder


def _stored(folder: Path) -> Vectors:
    record = manifest.read(folder)
    return Store(folder / record.generation / manifest.VECTORS).all_vectors()


def _documents(
    asked: QuestionSet, model: BaseEmbedding, stored: Vectors, cards: Sequence[object]
) -> Vectors:
    same = len(asked.documents) == len(cards) and asked.documents[0] is cards[0]
    return stored if same else quality.document_vectors(model, asked)


def _int8(
    asked: QuestionSet, stock: Any, vectors: tuple[Vectors, Vectors], size: int
) -> dict[str, Any]:
    """The stock weights as the stock call computes them, and as int8, on the same documents."""
    part, kept = asked.subset(size, _REFERENCE_QUESTIONS)
    whole = cast("BaseEmbedding", _Reference(stock))
    queries, documents = vectors[0][: len(part.questions)], vectors[1][kept]
    found = {
        "stock call": quality.dense(
            embed(whole, part.questions), quality.document_vectors(whole, part)
        ),
        "int8": quality.dense(queries, documents),
    }
    figures = {name: quality.figures(ranked, part.right) for name, ranked in found.items()}
    return {"questions": len(part.questions), "documents": len(part.documents), **figures}


class _Reference:
    """`SentenceTransformer.encode` where the index expects an embedding model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def get_text_embedding_batch(self, texts: list[str]) -> Vectors:
        vectors: Vectors = self._model.encode(texts, show_progress_bar=False)
        return vectors


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _plain(options: BenchOptions) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(json.dumps(vars(options), default=str))
    # Names, not places: the file is for others to read.
    fields["deck"] = Path(options.deck).name
    fields["queries"] = [path.name for path in options.queries]
    fields["pairs"] = [Path(deck).name for deck in options.pairs]
    del fields["out"]
    return fields
