"""Reranking with a tiny random cross-encoder, through the index and its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index import retrieve
from index.cards import make_card
from index.commands import main
from index.config import IndexConfig
from index.embedder import Embedder, open_embedder
from index.errors import ExpectedError
from index.rerank import DEPTH, open_reranker
from index.search import Hit

pytestmark = pytest.mark.integration

WORDS = [
    *("what", "is", "the", "treatment", "of", "rest", "and", "remedy"),
    *("asthma", "gout", "measles", "lung", "skin", "knee"),
]


def make_cross_encoder(folder: Path, scores: int) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=128,
    )  # fmt: skip
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=128, num_labels=scores, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("rerank") / "tiny", scores=1)


def test_hits_come_in_the_models_order(cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    query = "what is the treatment of gout"
    cards = [make_card(f"What is the {word}?", f"The {word} and rest.") for word in WORDS[-8:]]
    hits = [Hit(card, 0.9 - i / 10, 0.95 - i / 10, i + 1, None) for i, card in enumerate(cards)]
    ordered = open_reranker(str(cross_encoder)).order(query, hits)
    scores = CrossEncoder(str(cross_encoder)).predict([(query, card.text) for card in cards])
    expected = sorted(zip(scores.tolist(), cards, strict=True), key=lambda pair: -pair[0])
    assert [hit.card for hit in ordered] == [card for _, card in expected]
    assert [hit.rank_score for hit in ordered] == pytest.approx([s for s, _ in expected])
    assert {(h.card.id, h.score, h.dense_rank) for h in ordered} == {
        (h.card.id, h.score, h.dense_rank) for h in hits
    }
    assert open_reranker(str(cross_encoder)).order(query, []) == []


def test_weights_in_a_pickle_are_not_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = make_cross_encoder(tmp_path / "tiny", scores=1)
    open_embedder(str(folder))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExpectedError, match="cross-encoder on a reachable hub, in safetensors"):
        open_reranker(str(folder))
    with pytest.raises(ExpectedError, match="on a reachable hub, in safetensors"):
        open_embedder(str(folder))


def test_off_by_default_and_on_by_name(
    cross_encoder: Path,
    home: Path,
    hash_embedder: Embedder,
    starter_index: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = retrieve.open_index(starter_index)
    assert plain.reranker is None
    query = "what is the treatment of gout"
    found = plain.hits(query, DEPTH)
    reranked = retrieve.open_index(starter_index, reranker=str(cross_encoder))
    ordered = reranked.hits(query, DEPTH)
    assert {hit.card.id for hit in ordered} == {hit.card.id for hit in found}
    assert [hit.card.id for hit in ordered] != [hit.card.id for hit in found]
    scores = [hit.rank_score for hit in ordered]
    assert scores == sorted(scores, reverse=True)
    assert reranked.judged(query, 3)[0] == ordered[:3]
    topic = frozenset([found[0].card.topic or ""])
    assert {hit.card.topic for hit in reranked.hits(query, 3, topics=topic)} == topic

    command = ["search", query, "--index", str(starter_index), "--json"]
    assert main([*command, "--reranker", str(cross_encoder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["card"]["id"] for line in lines] == [h.card.id for h in ordered[:5]]


@pytest.fixture
def starter_index(hash_embedder: Embedder, tmp_path: Path) -> Path:
    from index import build

    deck = tmp_path / "deck.jsonl"
    rows = [
        {"question": f"What is the treatment of {word} {n}?", "answer": f"Rest and remedy {n}.",
         "topic": word}
        for word in WORDS[-6:] for n in range(6)
    ]  # fmt: skip
    deck.write_text("".join(json.dumps(row) + "\n" for row in rows))
    build.build(IndexConfig(decks=(str(deck),), out=tmp_path / "index"))
    return tmp_path / "index"


def test_rerankers_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="cannot load the reranker 'no/such-model'"):
        open_reranker("no/such-model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExpectedError, match="cannot load the reranker"):
        open_reranker(str(tmp_path / "empty"))
    with pytest.raises(ExpectedError, match="gives 3 scores a pair"):
        open_reranker(str(make_cross_encoder(tmp_path / "three", scores=3)))
