"""The metrics as `evaluate.Metric` classes that load without a hub.

`evaluate.load(name)` downloads a script; these are imported. Each returns the mean over the items
that could be measured, the value of every item, and how many are missing. A missing input (None)
gives a missing value, never a 0.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import datasets
import evaluate

from eval import quantities, wording

Result = dict[str, Any]
TEXT = datasets.Value("string")
NUMBER = datasets.Value("float64")


class ItemMetric(evaluate.Metric):
    """A metric that is a mean over items; a subclass says how one item is measured."""

    title: ClassVar[str]
    prediction: ClassVar[Any] = TEXT
    reference: ClassVar[Any] = TEXT

    def __init__(self, **options: Any) -> None:
        # The cache folder is made even where nothing is cached: not in the user's home.
        super().__init__(keep_in_memory=True, cache_dir=tempfile.gettempdir(), **options)

    def item(self, prediction: Any, reference: Any) -> float | None:
        """The value of one item; None where it has none."""
        raise NotImplementedError

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> Any:
        """The result; `evaluate` sees whole pairs only, since it takes the first for the form."""
        if predictions is None:
            return super().compute(**options)  # of what was added before
        pairs = list(zip(predictions, references, strict=True))
        whole = [i for i, pair in enumerate(pairs) if None not in pair]
        said, wanted = [pairs[i][0] for i in whole], [pairs[i][1] for i in whole]
        if whole:
            found = super().compute(predictions=said, references=wanted, **options)
        else:
            found = self._compute(said, wanted, **options)
        items = dict(zip(whole, found["items"], strict=True))
        return {**found, **summary(self.title, [items.get(i) for i in range(len(pairs))])}

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            inputs_description="predictions and references of equal length",
            features=datasets.Features(
                {"predictions": self.prediction, "references": self.reference}
            ),
        )

    def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> Result:
        return summary(self.title, [*map(self.item, predictions, references)])


def summary(title: str, items: Sequence[float | None]) -> Result:
    """Mean of what was measured (None if nothing was), the items, and how many are missing."""
    measured = [value for value in items if value is not None]
    return {
        title: sum(measured) / len(measured) if measured else None,
        "items": list(items),
        "missing": len(items) - len(measured),
    }


class TextMetric(ItemMetric):
    """A metric of two texts by a function."""

    measure: ClassVar[Callable[[str, str], float | None]]

    def item(self, prediction: str, reference: str) -> float | None:
        return type(self).measure(prediction, reference)


class TokenF1(TextMetric):
    """SQuAD's token F1, 0 to 1."""

    title = "token_f1"
    measure = wording.token_f1


class Bleu(TextMetric):
    """BLEU of sacrebleu: sentence BLEU for each item, and "corpus_bleu", 0 to 100."""

    title = "bleu"
    measure = wording.bleu

    def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> Result:
        result = super()._compute(predictions, references)
        said, wanted = list(predictions), list(references)
        corpus = wording.corpus_bleu(said, wanted) if said else None
        return {**result, "corpus_bleu": corpus}


class Chrf(TextMetric):
    """chrF of sacrebleu, 0 to 100."""

    title = "chrf"
    measure = wording.chrf


class Rouge1(TextMetric):
    """ROUGE-1 F1, 0 to 1."""

    title = "rouge1"
    measure = partial(wording.rouge, "rouge1")


class Rouge2(TextMetric):
    """ROUGE-2 F1, 0 to 1."""

    title = "rouge2"
    measure = partial(wording.rouge, "rouge2")


class RougeL(TextMetric):
    """ROUGE-L F1, 0 to 1."""

    title = "rougeL"
    measure = partial(wording.rouge, "rougeL")


class NumbersKept(TextMetric):
    """Share of the reference's numbers with units that the prediction has."""

    title = "numbers_kept"
    measure = quantities.kept


class NumbersInvented(TextMetric):
    """Share of the prediction's numbers with units that the reference lacks."""

    title = "numbers_invented"
    measure = quantities.invented


class LengthRatio(TextMetric):
    """Words of the prediction over words of the reference."""

    title = "length_ratio"
    measure = wording.length_ratio


class ReadingGrade(ItemMetric):
    """Flesch-Kincaid grade of the prediction; the reference is not looked at."""

    title = "reading_grade"

    def item(self, prediction: str, reference: str) -> float | None:
        return wording.reading_grade(prediction)


class Cosine(ItemMetric):
    """Cosine of prediction and reference by an embedder of unit vectors; None for an empty text."""

    title = "cosine"

    def __init__(self, embed: Callable[[list[str]], Any], **options: Any) -> None:
        super().__init__(**options)
        self._embed = embed

    def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> Result:
        whole = [bool(p and r) for p, r in zip(predictions, references, strict=True)]
        said = self._embed([p for p, ok in zip(predictions, whole, strict=True) if ok])
        wanted = self._embed([r for r, ok in zip(references, whole, strict=True) if ok])
        cosines = iter([float(a @ b) for a, b in zip(said, wanted, strict=True)])
        return summary(self.title, [next(cosines) if ok else None for ok in whole])


class AnswerLoss(ItemMetric):
    """Loss on the answer alone: predictions are sums of negative log-likelihood in nats,
    references are [tokens, characters].

    Beside the mean loss a token of each item: "loss" and "perplexity" over all tokens, and
    "bits_per_char", which alone can be compared between tokenizers.
    """

    title = "item_loss"
    prediction = NUMBER
    reference = datasets.List(NUMBER)

    def item(self, prediction: float, reference: Sequence[float]) -> float | None:
        return prediction / reference[0] if reference[0] else None

    def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> Result:
        result = super()._compute(predictions, references)
        nats = sum(predictions)
        tokens, characters = (sum(row[at] for row in references) for at in (0, 1))
        return {
            **result,
            "loss": nats / tokens if tokens else None,
            "perplexity": math.exp(min(nats / tokens, 700)) if tokens else None,
            "bits_per_char": bits_per_char(nats, characters),
        }


def bits_per_char(nats: float, characters: float) -> float | None:
    """A loss in nats over a text as bits per character; None for an empty text."""
    return nats / math.log(2) / characters if characters else None
