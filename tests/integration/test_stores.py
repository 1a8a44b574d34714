"""One contract for every place where vectors are kept or made: FAISS, Milvus, an index of Ray's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index import manifest
from index.build import build
from index.commands import main
from index.config import IndexConfig
from index.errors import ExpectedError, IndexMissingError
from index.retrieve import CardRetriever, open_index
from index.store import Store

pytestmark = pytest.mark.integration

CARDS = 40
PLACES = ("faiss", "milvus", "ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray on two nodes, each with a processor of its own."""
    pytest.importorskip("ray", reason="Ray is in the extra: pip install 'medcards[scale]'")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20},
    )
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    yield ray
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def deck(write_deck: Callable[..., Path]) -> Path:
    parts = ("lung", "skin", "knee", "ear", "liver")
    rows = [
        {
            "question": f"What soothes ailment {i} of the {parts[i % 5]}?",
            "answer": f"Ailment {i} of the {parts[i % 5]} passes with rest and remedy {i}.",
            "topic": parts[i % 5],
        }
        for i in range(CARDS)
    ]
    return write_deck(rows)


@pytest.fixture
def built(home: Path, deck: Path, tmp_path: Path) -> Path:
    """Built on this machine alone, with the embedder that ships."""
    build(IndexConfig(decks=(str(deck),), out=tmp_path / "index"))
    return tmp_path / "index"


def milvus_uri(tmp_path: Path) -> str:
    """`milvus-lite`, or the server that MEDCARDS_TEST_MILVUS names."""
    pytest.importorskip("milvus_lite", reason="pip install 'medcards[scale]'")
    pytest.importorskip("llama_index.vector_stores.milvus", reason="pip install 'medcards[scale]'")
    return os.environ.get("MEDCARDS_TEST_MILVUS", str(tmp_path / "vectors.db"))


@pytest.fixture(params=PLACES)
def retriever(
    request: pytest.FixtureRequest, built: Path, deck: Path, tmp_path: Path
) -> CardRetriever:
    """The same index, with its vectors kept or made elsewhere."""
    if request.param == "milvus":
        uri = milvus_uri(tmp_path)
        assert main(["publish", "--index", str(built), "--vectors", uri]) == 0
        return open_index(built, vectors=uri)
    if request.param == "ray":
        request.getfixturevalue("cluster")
        out = str(tmp_path / "by-ray")
        assert main(["build", "--deck", str(deck), "--out", out, "--engine", "ray"]) == 0
        return open_index(Path(out))
    return open_index(built)


def test_the_contract(retriever: CardRetriever, built: Path) -> None:
    reference = open_index(built)
    assert retriever.manifest.generation == reference.manifest.generation
    assert retriever.cards == reference.cards
    questions = ["ailment 7 of the knee", "what helps a sore ear", "remedy 31", "who won in 1998"]
    lung = frozenset({"lung"})
    for question in questions:
        for topics in (None, lung, frozenset({"lung", "ear"})):
            found = retriever.hits(question, 8, topics=topics)
            expected = reference.hits(question, 8, topics=topics)
            assert [hit.card.id for hit in found] == [hit.card.id for hit in expected]
            assert [hit.score for hit in found] == pytest.approx(
                [hit.score for hit in expected], abs=1e-5
            )
    assert {hit.card.topic for hit in retriever.hits("ailment", 8, topics=lung)} == {"lung"}
    assert retriever.hits("ailment", CARDS + 5) != []
    assert len(retriever.hits("ailment", CARDS + 5)) == CARDS
    nodes = retriever.retrieve("ailment 7 of the knee")
    assert nodes[0].node.metadata["question"] == "What soothes ailment 7 of the knee?"
    judged = [store.judged(questions[0])[1].confidence for store in (retriever, reference)]
    assert judged[0] == pytest.approx(judged[1], abs=1e-5)


def test_every_card_finds_itself(retriever: CardRetriever) -> None:
    store = retriever._searcher._store
    assert store.size == CARDS
    for position in (0, 7, CARDS - 1):
        vector = store.vectors_of(position)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert store.nearest(vector.tolist(), 1)[0][0] == position
        mask = np.ones(CARDS, dtype=bool)
        mask[position] = False
        nearest = store.nearest(vector.tolist(), CARDS, mask)
        assert position not in dict(nearest)
        assert len(nearest) == CARDS - 1
        assert [cosine for _, cosine in nearest] == sorted(dict(nearest).values(), reverse=True)
    assert store.nearest(vector.tolist(), 3, np.zeros(CARDS, dtype=bool)) == []


def test_the_same_bytes_from_two_machines(
    built: Path, deck: Path, tmp_path: Path, cluster: Any
) -> None:
    out = tmp_path / "by-ray"
    build(IndexConfig(decks=(str(deck),), out=out, engine="ray"))
    assert manifest.read(out).files == manifest.read(built).files
    assert manifest.read(out).config == manifest.read(built).config


# --- Milvus when something is missing


def test_a_collection_that_is_missing_or_half_filled(built: Path, tmp_path: Path) -> None:
    uri = milvus_uri(tmp_path)
    with pytest.raises(IndexMissingError, match="python -m index publish"):
        open_index(built, vectors=uri)
    from index import milvus

    record = manifest.read(built)
    vectors = Store(built / record.generation / manifest.VECTORS).all_vectors()
    milvus.publish(vectors[:25], record, uri)
    with pytest.raises(IndexMissingError, match="25 of 40 vectors"):
        open_index(built, vectors=uri)
    milvus.publish(vectors, record, uri)
    assert open_index(built, vectors=uri).hits("remedy 31")


def test_a_milvus_that_is_not_there_is_one_line(built: Path, tmp_path: Path) -> None:
    milvus_uri(tmp_path)
    for uri in ("http://someone:secret@127.0.0.1:9", "ftp://x"):
        with pytest.raises(ExpectedError, match="Milvus at") as raised:
            open_index(built, vectors=uri)
        assert "\n" not in str(raised.value)
        assert "secret" not in str(raised.value)


def test_one_setting_moves_the_vectors(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assistant.build import build_assistant
    from assistant.settings import load_settings

    uri = milvus_uri(tmp_path)
    main(["publish", "--index", str(built), "--vectors", uri])
    monkeypatch.setenv("MEDCARDS_PROFILE", "embedded")
    monkeypatch.setenv("MEDCARDS_INDEX", str(built))
    here = build_assistant(load_settings()).answer("What soothes ailment 7 of the knee?")
    monkeypatch.setenv("MEDCARDS_VECTORS", uri)
    moved = build_assistant(load_settings())
    assert type(moved.retriever._searcher._store).__name__ == "MilvusStore"
    there = moved.answer("What soothes ailment 7 of the knee?")
    left, right = (json.loads(answer.to_json()) for answer in (here, there))
    assert left["text"] == right["text"]
    assert [s["card_id"] for s in left["sources"]] == [s["card_id"] for s in right["sources"]]


def test_a_rebuilt_index_waits_for_its_vectors(
    built: Path,
    tmp_path: Path,
    write_deck: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from assistant.extractive import ExtractiveGenerator
    from assistant.pipeline import Assistant
    from assistant.reload import IndexWatch
    from assistant.settings import Settings

    uri = milvus_uri(tmp_path)
    main(["publish", "--index", str(built), "--vectors", uri])
    settings = Settings(profile="embedded", vectors=uri)
    assistant = Assistant(open_index(built, vectors=uri), ExtractiveGenerator(), settings)
    watch = IndexWatch(assistant, again_seconds=0)
    rows = [
        {"question": f"What is sign {i}?", "answer": f"Sign {i} is of gout."} for i in range(12)
    ]
    build(IndexConfig(decks=(str(write_deck(rows, "new.jsonl")),), out=built))
    assert not watch.look()
    assert "python -m index publish" in caplog.text
    assert len(assistant.retriever.cards) == CARDS
    assert assistant.retriever.hits("remedy 31")
    main(["publish", "--index", str(built), "--vectors", uri])
    assert watch.look()
    assert len(assistant.retriever.cards) == 12
