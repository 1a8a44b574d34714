"""The metrics of finding cards, citing them and refusing, as `evaluate.Metric` classes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import datasets
import evaluate

from eval import citations, refusal
from eval.citations import Cited, Judge
from eval.metrics import NUMBER, TEXT, ItemMetric, Result
from index import ranking
from index.cards import Flashcard

_IDS = datasets.List(TEXT)


class RecallAt(ItemMetric):
    """Recall at k: predictions are ranked ids, references the relevant ids."""

    title = "recall"
    prediction = _IDS
    reference = _IDS

    def __init__(self, k: int, **options: Any) -> None:
        super().__init__(**options)
        self._k = k

    def item(self, prediction: Sequence[str], reference: Sequence[str]) -> float | None:
        return ranking.recall_at(self._k, prediction, reference)


class MeanReciprocalRank(ItemMetric):
    """One over the place of the first relevant id."""

    title = "mrr"
    prediction = _IDS
    reference = _IDS

    def item(self, prediction: Sequence[str], reference: Sequence[str]) -> float | None:
        return ranking.reciprocal_rank(prediction, reference)


class NdcgAt10(ItemMetric):
    """nDCG of the first ten ids."""

    title = "ndcg10"
    prediction = _IDS
    reference = _IDS

    def item(self, prediction: Sequence[str], reference: Sequence[str]) -> float | None:
        return ranking.ndcg_at(10, prediction, reference)


class _Citation(ItemMetric):
    """Predictions are sentences with the positions they cite, references [question, answer]s."""

    prediction = datasets.List({"text": TEXT, "citations": datasets.List(datasets.Value("int32"))})
    reference = datasets.List(datasets.List(TEXT))
    measure: ClassVar[Callable[[Sequence[Cited], Sequence[Flashcard], Judge], float | None]]

    def __init__(self, judge: Judge = citations.held, **options: Any) -> None:
        super().__init__(**options)
        self._judge = judge

    def item(self, prediction: Any, reference: Any) -> float | None:
        said = [Cited(s["text"], tuple(s["citations"])) for s in prediction]
        cards = [Flashcard("", question, answer) for question, answer in reference]
        return type(self).measure(said, cards, self._judge)


class CitationRecall(_Citation):
    """ALCE: share of the sentences that their cited cards hold together."""

    title = "citation_recall"
    measure = citations.recall


class CitationPrecision(_Citation):
    """ALCE: share of the citations that are needed."""

    title = "citation_precision"
    measure = citations.precision


class Refusal(evaluate.Metric):
    """Predictions are confidences, references 1 where the cards can answer and 0 where not."""

    def __init__(self, **options: Any) -> None:
        super().__init__(keep_in_memory=True, cache_dir=tempfile.gettempdir(), **options)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            inputs_description="confidences (0 to 1) and whether an answer would be right",
            features=datasets.Features({"predictions": NUMBER, "references": NUMBER}),
        )

    def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> Result:
        pairs = [
            (float(p), bool(r))
            for p, r in zip(predictions, references, strict=True)
            if p is not None and r is not None
        ]
        sure, right = [p for p, _ in pairs], [r for _, r in pairs]
        return {
            "auroc": refusal.auroc(sure, right),
            "aurc": refusal.aurc(sure, [1.0 - r for r in right]),
            "ece": refusal.expected_calibration_error(sure, right),
            "missing": len(predictions) - len(pairs),
        }
