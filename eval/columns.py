"""The value of every measure for every row of a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval import metrics, metrics_trust
from eval.citations import Judge, held
from eval.records import Row
from index.cards import Flashcard
from index.text import sentences

Values = list[float | None]
Embed = Callable[[list[str]], Any]


@dataclass(frozen=True)
class Columns:
    """Values in the order of the rows, and figures that only the whole series has."""

    values: dict[str, Values]
    corpus: dict[str, float | None] = field(default_factory=dict)


def columns(rows: Sequence[Row], embed: Embed | None, judge: Judge = held) -> Columns:
    """Measure a series.

    Args:
        embed: gives the unit vectors of texts; None where the embedder cannot be had.
    """
    said = [None if row.status == "failed" else row.text for row in rows]
    wanted = [row.reference for row in rows]
    values: dict[str, Values] = {}
    corpus: dict[str, float | None] = {}
    for metric in (
        metrics.TokenF1(), metrics.Rouge1(), metrics.Rouge2(), metrics.RougeL(), metrics.Bleu(),
        metrics.Chrf(), metrics.NumbersKept(), metrics.NumbersInvented(), metrics.LengthRatio(),
        metrics.ReadingGrade(),
    ):  # fmt: skip
        result = metric.compute(predictions=said, references=wanted)
        values[metric.title] = result["items"]
        if "corpus_bleu" in result:
            corpus["corpus_bleu"] = result["corpus_bleu"]
    if embed is None:
        values["cosine"] = [None] * len(rows)
    else:
        values["cosine"] = metrics.Cosine(embed).compute(predictions=said, references=wanted)[
            "items"
        ]
    values["held_by_reference"] = [_held_by_reference(row, judge) for row in rows]
    values["answered"] = [_flag(row, row.status == "answered" and bool(row.text)) for row in rows]
    _losses(rows, values, corpus)
    if any(row.ranked is not None for row in rows):
        _retrieval(rows, values)
        _citations(rows, values, judge)
    _speed(rows, values)
    return Columns(values, corpus)


def _flag(row: Row, value: bool) -> float | None:
    return None if row.status == "failed" else float(value)


def _held_by_reference(row: Row, judge: Judge) -> float | None:
    said = sentences(row.text)
    gold = [Flashcard(row.item, row.question, row.reference)]
    return sum(judge(one, gold) for one in said) / len(said) if said else None


def _losses(
    rows: Sequence[Row], values: dict[str, Values], corpus: dict[str, float | None]
) -> None:
    if all(row.nll is None for row in rows):
        return
    sizes = [
        None if row.nll_tokens is None else [float(row.nll_tokens), float(len(row.reference))]
        for row in rows
    ]
    nlls = [row.nll for row in rows]
    result = metrics.AnswerLoss().compute(predictions=nlls, references=sizes)
    values["item_loss"] = result["items"]
    corpus |= {k: result[k] for k in ("loss", "perplexity", "bits_per_char")}
    per_char: Values = []
    for nll, row in zip(nlls, rows, strict=True):
        one = metrics.bits_per_char(nll, len(row.reference)) if nll is not None else None
        per_char.append(one)
    values["bits_per_char"] = per_char


def _retrieval(rows: Sequence[Row], values: dict[str, Values]) -> None:
    # In the other worlds the relevant cards are hidden: there is nothing to find.
    gold = [row if row.world == "gold" else None for row in rows]
    ranked = [None if row is None or row.ranked is None else list(row.ranked) for row in gold]
    relevant = [None if row is None else list(row.relevant) for row in gold]
    for key, metric in (
        ("recall_1", metrics_trust.RecallAt(1)),
        ("recall_5", metrics_trust.RecallAt(5)),
        ("recall_10", metrics_trust.RecallAt(10)),
        ("mrr", metrics_trust.MeanReciprocalRank()),
        ("ndcg10", metrics_trust.NdcgAt10()),
    ):
        values[key] = metric.compute(predictions=ranked, references=relevant)["items"]


def _citations(rows: Sequence[Row], values: dict[str, Values], judge: Judge) -> None:
    said = [
        None
        if row.status != "answered"
        else [{"text": s.text, "citations": list(s.citations)} for s in row.sentences]
        for row in rows
    ]
    cards = [[[card.question, card.answer] for card in row.cards] for row in rows]
    for metric in (metrics_trust.CitationRecall(judge), metrics_trust.CitationPrecision(judge)):
        values[metric.title] = metric.compute(predictions=said, references=cards)["items"]
    values["supported"] = [_supported(row) for row in rows]
    values["fell_back"] = [
        float(row.fell_back) if row.status == "answered" else None for row in rows
    ]
    values["gold_cited"] = [_gold_cited(row) for row in rows]


def _supported(row: Row) -> float | None:
    if row.raw is None:
        return None
    kept = sum(said.text in row.raw for said in row.sentences)
    written = kept + len(row.removed)
    return kept / written if written else None


def _gold_cited(row: Row) -> float | None:
    if row.status != "answered" or row.world != "gold":
        return None
    cited = {row.cards[n].id for said in row.sentences for n in said.citations}
    return float(bool(cited & set(row.relevant)))


def _speed(rows: Sequence[Row], values: dict[str, Values]) -> None:
    for key in ("first_token_ms", "total_ms", "peak_mb", "energy_j"):
        values[key] = [getattr(row, key) for row in rows]
    values["tokens_per_s"] = [_tokens_per_s(row) for row in rows]


def _tokens_per_s(row: Row) -> float | None:
    if row.tokens is None or row.first_token_ms is None or row.total_ms is None:
        return None
    seconds = (row.total_ms - row.first_token_ms) / 1000
    return (row.tokens - 1) / seconds if seconds > 0 and row.tokens > 1 else None
