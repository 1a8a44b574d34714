"""From rows to figures: what is missing is counted, what differs is tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval import compare, examples, headline, report, score
from eval.columns import columns
from eval.measures import BY_KEY, GUARDED, MEASURES, TESTED
from eval.records import Predictions, Row, RunMismatchError
from eval.score import Scores

MakeRow = Callable[..., Row]


@pytest.fixture(scope="module")
def scores(predictions: Predictions) -> Scores:
    return score.score(predictions, embed=None)


def test_series_and_their_figures(scores: Scores) -> None:
    assert scores.series.keys() == {
        "extractive, gold",
        "extractive, distractors",
        "base, closed-book",
        "tuned, closed-book",
        "tuned+rag, gold",
    }
    gold = scores.series["extractive, gold"]
    assert gold.figures["token_f1"].mean == 1
    assert gold.figures["citation_recall"].mean == 1
    assert gold.figures["recall_1"].mean == 1
    assert gold.figures["numbers_kept"].n == 1, "one of the three cards has numbers"
    assert gold.figures["numbers_kept"].missing == 2
    hidden = scores.series["extractive, distractors"]
    assert hidden.status == {"abstained": 3}
    assert hidden.figures["token_f1"].mean == 0
    assert hidden.figures["recall_1"].mean is None, "nothing could be found there"
    assert scores.series["base, closed-book"].figures["item_loss"].mean == pytest.approx(4.0)
    assert "citation_recall" not in scores.series["base, closed-book"].figures


def test_without_the_embedder_cosine_is_missing_and_said_so(scores: Scores) -> None:
    figure = scores.series["extractive, gold"].figures["cosine"]
    assert (figure.mean, figure.missing) == (None, 3)
    assert "cosine is missing" in scores.notes[0]


def test_a_failed_answer_is_missing_and_not_zero(row: MakeRow) -> None:
    rows = [row("a1"), row("b2", status="failed", text="", raw=None, error="out of memory")]
    found = columns(rows, embed=None)
    assert found.values["token_f1"] == [1.0, None]
    assert found.values["answered"] == [1.0, None]


def test_an_answer_without_words_is_no_answer(row: MakeRow) -> None:
    assert columns([row("a1", text="", sentences=())], None).values["answered"] == [0.0]


def test_supported_and_fallback(row: MakeRow) -> None:
    half = row("a1", removed=("It is contagious.",), raw=row("a1").text + " It is contagious.")
    fell = row("b2", raw="Nonsense.", removed=("Nonsense.",), fell_back=True)
    found = columns([half, fell], None).values
    assert found["supported"] == [0.5, 0.0]
    assert found["fell_back"] == [0.0, 1.0]


def test_differences_are_paired_and_corrected(scores: Scores) -> None:
    found = {(d.before, d.after, d.measure): d for d in scores.differences}
    one = found["base, closed-book", "tuned, closed-book", "token_f1"]
    assert one.n == 3
    assert one.mean == pytest.approx(1.0)
    assert one.p_holm >= one.p > 0
    loss = found["base, closed-book", "tuned, closed-book", "bits_per_char"]
    assert loss.mean < 0


def test_helped_and_harmed(scores: Scores) -> None:
    (tuned,) = scores.helped
    assert (tuned.helped, tuned.harmed) == (0, 3), "tuned was right alone and wrong with cards"
    assert set(tuned.harmed_items) == {"a1", "b2", "c3"}


def test_refusals(scores: Scores) -> None:
    one = scores.refusals["extractive"]
    assert one.auroc == 1
    assert (one.answered_gold, one.answered_distractors) == (1, 0)


def test_breakdowns(scores: Scores) -> None:
    assert {k: f.n for k, f in scores.by_topic["extractive, gold"].items()} == {
        "Joints": 2,
        "Lungs": 1,
    }
    assert sum(f.n for f in scores.by_length["extractive, gold"].values()) == 3


def test_scores_are_json_and_one_line_a_row(tmp_path: Path, scores: Scores) -> None:
    path = score.write(scores, tmp_path)
    assert json.loads(path.read_text())["series"]["extractive, gold"]["items"] == 3
    lines = (tmp_path / "item_scores.jsonl").read_text().splitlines()
    assert len(lines) == 15
    assert json.loads(lines[0])["token_f1"] == 1


def test_the_headline_is_three_sentences_that_claim_no_correctness(scores: Scores) -> None:
    found = headline.sentences(scores)
    assert len(found) == 3
    assert "the fine-tuned model without cards comes closest" in found[0]
    assert "fine-tuning changes it by +1.00" in found[0]
    assert "medically correct" in found[2]


def test_examples_show_best_worst_changed_and_harmed(
    scores: Scores, predictions: Predictions
) -> None:
    groups = {title: found for title, _, found in examples.choose(scores, predictions)}
    assert groups.keys() == {"Best", "Worst", "Most changed", "Where retrieval harmed"}
    first = groups["Where retrieval harmed"][0]
    assert {side.label for side in first.sides} >= {"tuned, closed-book", "tuned+rag, gold"}
    extractive = next(s for s in first.sides if s.label == "extractive, gold")
    assert extractive.text.endswith("[1]")


def test_the_report_stands_alone_and_escapes(
    tmp_path: Path, predictions: Predictions, row: MakeRow
) -> None:
    hostile = "<script>alert(1)</script> | `x`"
    rows = [
        *predictions.rows,
        row("a1", system="base+rag", text=hostile, raw=hostile, sentences=()),
    ]
    changed = replace(predictions, rows=rows)
    html, markdown = report.write(score.score(changed, None), changed, tmp_path)
    page = html.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert 'src="data:image/png;base64,' in page
    assert "http://" not in page
    assert "https://" not in page
    for measure in MEASURES:
        assert measure.title in page
    text = markdown.read_text(encoding="utf-8")
    assert text.startswith("# medcards: evaluation report")
    assert "| extractive, gold |" in text


def test_a_failed_check_opens_the_report(tmp_path: Path, predictions: Predictions) -> None:
    leaked = predictions.header.model_copy(update={"training_leaks": ("a1",)})
    changed = replace(predictions, header=leaked)
    html, _ = report.write(score.score(changed, None), changed, tmp_path)
    page = html.read_text(encoding="utf-8")
    assert page.index("Do not trust") < page.index("The answer in three sentences")


def test_compare_fails_on_a_fall_beyond_the_margin_only(
    predictions: Predictions, scores: Scores
) -> None:
    assert compare.status(compare.changes(scores, scores), 0.0) == 0
    worse = [
        one.model_copy(update={"text": "Gout."}) if one.label == "tuned, closed-book" else one
        for one in predictions.rows
    ]
    after = score.score(replace(predictions, rows=worse), None)
    found = compare.changes(scores, after)
    assert compare.status(found, 0.02) == 1
    assert compare.status(found, 1.0) == 0
    assert found[0].series == "tuned, closed-book"
    assert "FELL  tuned, closed-book" in compare.table(found, 0.02)
    assert compare.status(compare.changes(after, scores), 0.02) == 0, "better is not worse"


def test_compare_knows_that_a_higher_loss_is_worse(
    predictions: Predictions, scores: Scores
) -> None:
    worse = [
        one.model_copy(update={"nll": one.nll * 2}) if one.nll else one for one in predictions.rows
    ]
    found = compare.changes(scores, score.score(replace(predictions, rows=worse), None))
    assert {c.measure for c in found if c.fall > 0.02} == {"bits_per_char"}


def test_compare_refuses_another_split(scores: Scores) -> None:
    other = replace(scores, header=scores.header.model_copy(update={"split_stamp": "t"}))
    with pytest.raises(RunMismatchError, match="another split"):
        compare.changes(scores, other)


def test_every_tested_measure_is_known_and_has_a_direction() -> None:
    assert set(TESTED) <= set(GUARDED) <= set(BY_KEY)
    assert all(BY_KEY[key].better for key in GUARDED)


def test_the_guide_explains_every_measure() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for measure in MEASURES:
        assert f"| {measure.title} |" in guide
        assert measure.caveat in guide
