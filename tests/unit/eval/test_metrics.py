"""The metric classes: no hub, missing stays missing, and the same values as the functions."""

from __future__ import annotations

import math
import socket
from typing import Any

import numpy as np
import pytest

from eval import metrics, metrics_trust, quantities, wording
from index import ranking

PREDICTIONS = ["Take 500 mg for the fever.", "", "Rest helps a fever.", None]
REFERENCES = ["Take 500 mg for fever.", "Drink water.", "Rest helps.", "Drink."]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a metric must not reach for a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (metrics.TokenF1, wording.token_f1),
        (metrics.Bleu, wording.bleu),
        (metrics.Chrf, wording.chrf),
        (metrics.Rouge1, lambda p, r: wording.rouge("rouge1", p, r)),
        (metrics.Rouge2, lambda p, r: wording.rouge("rouge2", p, r)),
        (metrics.RougeL, lambda p, r: wording.rouge("rougeL", p, r)),
        (metrics.NumbersKept, quantities.kept),
        (metrics.NumbersInvented, quantities.invented),
        (metrics.LengthRatio, wording.length_ratio),
        (metrics.ReadingGrade, lambda p, r: wording.reading_grade(p)),
    ],
)
def test_text_metrics(metric: Any, function: Any) -> None:
    result = metric().compute(predictions=PREDICTIONS, references=REFERENCES)
    expected = [
        None if p is None else function(p, r) for p, r in zip(PREDICTIONS, REFERENCES, strict=True)
    ]
    measured = [value for value in expected if value is not None]
    assert result["items"] == pytest.approx(expected)
    assert result[metric.title] == pytest.approx(sum(measured) / len(measured))
    assert result["missing"] == expected.count(None) > 0


def test_a_metric_can_be_used_twice_and_of_nothing_says_none() -> None:
    metric = metrics.TokenF1()
    for _ in range(2):
        assert metric.compute(predictions=["a b"], references=["b"])["token_f1"] == 1.0
    result = metric.compute(predictions=[None], references=["fever"])
    assert (result["token_f1"], result["missing"]) == (None, 1)


def test_corpus_bleu_is_not_the_mean_of_sentences() -> None:
    said = ["rest and drink water every day", "no"]
    wanted = ["rest and drink water every day", "take care of the fever"]
    result = metrics.Bleu().compute(predictions=said, references=wanted)
    assert result["corpus_bleu"] == pytest.approx(wording.corpus_bleu(said, wanted))
    assert result["corpus_bleu"] != pytest.approx(result["bleu"])


def test_cosine_by_hand_and_by_numpy() -> None:
    vectors = {"east": [1.0, 0.0], "north": [0.0, 1.0], "both": [math.sqrt(0.5)] * 2}
    metric = metrics.Cosine(lambda texts: np.array([vectors[t] for t in texts]).reshape(-1, 2))
    said, wanted = ["east", "east", "east", ""], ["east", "north", "both", "east"]
    result = metric.compute(predictions=said, references=wanted)
    assert result["items"][:3] == pytest.approx([1, 0, math.sqrt(0.5)])
    assert result["items"][3] is None, "an empty text has no direction"
    a, b = np.array(vectors["east"]), np.array(vectors["both"])
    angle = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert result["items"][2] == pytest.approx(angle)


def test_answer_loss_by_hand() -> None:
    result = metrics.AnswerLoss().compute(
        predictions=[2.0, 4.0, None], references=[[2, 10], [1, 5], None]
    )
    assert result["items"] == [1.0, 4.0, None]
    assert result["loss"] == pytest.approx(2.0)  # 6 nats over 3 tokens, not the mean of 1 and 4
    assert result["perplexity"] == pytest.approx(math.e**2)
    assert result["bits_per_char"] == pytest.approx(6 / math.log(2) / 15)
    nothing = metrics.AnswerLoss().compute(predictions=[None], references=[None])
    assert nothing["loss"] is None
    assert nothing["perplexity"] is None


def test_retrieval_metrics() -> None:
    ranked, relevant = [["a", "b"], ["c", "d"], None], [["b"], ["c"], ["x"]]
    arguments = {"predictions": ranked, "references": relevant}
    assert metrics_trust.RecallAt(1).compute(**arguments)["items"] == [0, 1, None]
    assert metrics_trust.MeanReciprocalRank().compute(**arguments)["mrr"] == 0.75
    ndcg = metrics_trust.NdcgAt10().compute(**arguments)
    assert ndcg["items"][0] == ranking.ndcg_at(10, ["a", "b"], {"b"})
    assert ndcg["missing"] == 1


def test_citation_metrics() -> None:
    said = [
        [{"text": "ab", "citations": [0]}, {"text": "q", "citations": []}],
        [],
        None,
    ]
    cards = [[["?", "ab"], ["?", "c"]], [], []]
    judge = lambda text, found: set(text) <= set("".join(c.answer for c in found))  # noqa: E731
    found = metrics_trust.CitationRecall(judge).compute(predictions=said, references=cards)
    assert found["items"] == [0.5, None, None]
    found = metrics_trust.CitationPrecision(judge).compute(predictions=said, references=cards)
    assert found["items"] == [1.0, None, None]


def test_an_answer_that_is_missing_may_come_first() -> None:
    said = [None, [{"text": "ab", "citations": [0]}]]
    found = metrics_trust.CitationRecall(lambda *_: True).compute(
        predictions=said, references=[[["?", "ab"]]] * 2
    )
    assert found == {"citation_recall": 1.0, "items": [None, 1.0], "missing": 1}


def test_refusal_metric() -> None:
    result = metrics_trust.Refusal().compute(
        predictions=[0.9, 0.8, 0.1, None], references=[1, 1, 0, 1]
    )
    assert result["auroc"] == 1
    assert result["aurc"] == pytest.approx(1 / 9)
    assert result["missing"] == 1
