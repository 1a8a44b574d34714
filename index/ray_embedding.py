"""Embed many cards on the machines of a Ray cluster: the only module that knows Ray.

RAY_ADDRESS says where the cluster is; without it Ray starts one on this machine. Each worker opens
the embedder by its name, and the batches come back in any order: what is embedded on many machines
is, card for card, what one machine would have made of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from index.cards import Flashcard
from index.embedder import Vectors, embed_cards, open_embedder
from index.errors import ExpectedError, IndexMismatchError
from index.manifest import EmbedderRecord

Batch = dict[str, Any]


class _Worker:
    """One process of the cluster with the embedder in it."""

    def __init__(self, record: EmbedderRecord) -> None:
        embedder = open_embedder(record.name)
        if embedder.record != record:
            raise IndexMismatchError(
                f"the embedder {record.name!r} is revision {embedder.record.revision!r} on a "
                f"machine of the cluster, {record.revision!r} where the build began: install the "
                "same medcards on all"
            )
        self._model = embedder.model

    def __call__(self, batch: Batch) -> Batch:
        cards = [
            Flashcard(id="", question=question, answer=answer)
            for question, answer in zip(batch["question"], batch["answer"], strict=True)
        ]
        return {"number": batch["number"], "vector": embed_cards(self._model, cards)}


def embedded(
    cards: Sequence[Flashcard], record: EmbedderRecord, batch: int
) -> Iterator[tuple[list[Flashcard], Vectors]]:
    """Cards with their vectors, (cards, dimension), a batch at a time, in any order.

    Args:
        record: the embedder's; each machine of the cluster must have it, at the same revision.
        batch: cards that a worker embeds at a time.

    Raises:
        ExpectedError: Ray is not installed, or the cluster cannot be reached.
    """
    if not cards:
        return
    try:
        import ray as typed_in_part
    except ImportError as error:
        raise ExpectedError("--engine ray needs Ray: pip install 'medcards[scale]'") from error
    ray: Any = typed_in_part
    if not ray.is_initialized():
        _connect(ray)
    workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
    rows = [
        {"number": i, "question": card.question, "answer": card.answer}
        for i, card in enumerate(cards)
    ]
    vectors = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // batch)).map_batches(
        _Worker,
        fn_constructor_args=(record,),
        batch_size=batch,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
    )
    for found in vectors.iter_batches(batch_size=None, batch_format="numpy"):
        numbers = found["number"].tolist()
        yield [cards[i] for i in numbers], np.stack(list(found["vector"])).astype(np.float32)


def _connect(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS")
    try:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ExpectedError(
            f"no Ray cluster at {address or 'this machine'} ({str(error)[:200]}): start one with "
            "'ray start --head', or correct RAY_ADDRESS"
        ) from error
