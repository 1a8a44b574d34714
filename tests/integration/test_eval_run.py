"""Runs end to end on a small index: real commands, real files, tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant import embedded
from assistant.prompts import Prompt
from eval import records, run, systems
from eval.__main__ import main
from eval.config import EvalConfig, make_config
from eval.judges import open_judge
from eval.losses import answer_losses, example
from eval.worlds import Worlds
from index import build
from index.cards import Flashcard
from index.config import IndexConfig, SplitConfig
from index.embedder import Embedder
from index.errors import ExpectedError
from index.relevance import Judgement, Relevance
from index.search import Hit

pytestmark = pytest.mark.integration

Rows = list[dict[str, str]]
DISEASES = ("asthma", "measles", "gout", "scurvy", "migraine", "anaemia", "croup", "tetanus")
PARTS = ("lung", "skin", "knee", "ear", "liver", "spine")


def deck_rows() -> Rows:
    return [
        {
            "question": f"What is the treatment of {disease} of the {part}?",
            "answer": f"The treatment of {disease} of the {part} is rest and remedy number {n} "
            f"for {n} days. Fluids help with {disease}.",
            "topic": part,
        }
        for n, (disease, part) in enumerate([(d, p) for d in DISEASES for p in PARTS], start=1)
    ]


@pytest.fixture
def index_folder(
    hash_embedder: Embedder,
    write_deck: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An index of 48 cards, a fifth of them held out, with the embedder's double.

    Whether the deck covers a question is decided by the cosine: nothing can be fitted on a double.
    """

    def judge(
        self: Relevance, question: str, health: Any, hits: Sequence[Hit], cards: int
    ) -> Judgement:
        best = hits[0].score if hits else 0.0
        return Judgement(min(max(best, 0.0), 1.0), in_scope=True, covered=best > 0.6)

    monkeypatch.setattr(Relevance, "judge", judge)
    monkeypatch.setattr("index.embedder.open_embedder", lambda name: hash_embedder)
    return make_index(write_deck(deck_rows()), tmp_path / "index")


def make_index(deck: Path, folder: Path, seed: int = 1) -> Path:
    build.build(
        IndexConfig(
            decks=(str(deck),), out=folder, embedder="hash-double",
            split=SplitConfig(test=0.2, seed=seed),
        )
    )  # fmt: skip
    return folder


def evaluate(index: Path, out: Path, *options: str) -> int:
    return main(["run", "--index", str(index), "--out", str(out), *options])


def test_worlds_hide_what_they_say(index_folder: Path) -> None:
    worlds = Worlds(index_folder, top_k=5, related=0.5)
    item = worlds.items(None, 0)[0]
    found: dict[str, list[str]] = {}
    for world in ("gold", "removed", "distractors"):
        with worlds.entered(world, item):  # type: ignore[arg-type]
            found[world] = [hit.card.id for hit in worlds.retriever.hits(item.card.question, 10)]
    assert found["gold"][0] == item.card.id
    assert item.card.id not in found["removed"] + found["distractors"]
    assert found["removed"][0] not in found["distractors"], "the nearest other card is hidden too"
    assert len(found["removed"]) == 10
    again = worlds.retriever.hits(item.card.question, 10)
    assert [hit.card.id for hit in again] == found["gold"], "leaving a world brings all back"


def test_items_are_the_test_side_in_a_seeded_order(index_folder: Path) -> None:
    worlds = Worlds(index_folder, top_k=5, related=0.5)
    everyone = [item.card.id for item in worlds.items(None, 0)]
    assert set(everyone) == {c.id for c in worlds.split.select(worlds.cards, "test")}
    assert [item.card.id for item in worlds.items(2, 0)] == everyone[:2]
    assert [item.card.id for item in worlds.items(None, 1)] != everyone


def test_extractive_from_run_to_report(
    index_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert evaluate(index_folder, out, "--systems", "extractive") == 0
    printed, progress = capsys.readouterr()
    assert printed.strip() == str(out / records.PREDICTIONS)
    assert "extractive, gold" in progress
    found = records.read(out)
    assert len(found.rows) == 3 * found.header.test_cards
    assert not [row for row in found.rows if row.status == "failed"]
    assert main(["report", str(out)]) == 0
    scores = json.loads((out / "scores.json").read_text())
    gold = scores["series"]["extractive, gold"]["figures"]
    assert gold["recall_1"]["mean"] == 1
    assert gold["cosine"]["mean"] is not None
    assert not [check for check in scores["checks"] if check["passed"] is False]
    assert "<h1>medcards: evaluation report</h1>" in (out / "report.html").read_text()
    capsys.readouterr()
    assert main(["compare", str(out), str(out)]) == 0
    assert capsys.readouterr().out.startswith("0 of ")
    assert main(["score", str(out / records.PREDICTIONS)]) == 0


def test_an_interrupted_run_goes_on(
    index_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    asked: list[str] = []
    row = systems.Asker._row

    def cut(self: Any, item: Any, replies: Any) -> Any:
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(item.card.id)
        return row(self, item, replies)

    monkeypatch.setattr(systems.Asker, "_row", cut)
    assert evaluate(index_folder, out, "--systems", "extractive", "--worlds", "gold") == 130
    path = out / records.PREDICTIONS
    with path.open("a") as file:
        file.write('{"item": "torn')  # as a power cut leaves it
    assert main(["score", str(out)]) == 2

    monkeypatch.setattr(systems.Asker, "_row", row)
    assert evaluate(index_folder, out, "--systems", "extractive", "--worlds", "gold") == 0
    assert evaluate(index_folder, whole, "--systems", "extractive", "--worlds", "gold") == 0
    resumed, unbroken = records.read(out), records.read(whole)
    assert [r.item for r in resumed.rows] == [r.item for r in unbroken.rows]
    assert [r.text for r in resumed.rows] == [r.text for r in unbroken.rows]
    assert resumed.rows[0].total_ms == records.read(out).rows[0].total_ms


def test_a_failed_answer_is_a_row_and_is_tried_again(
    index_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    served = systems.Asker._served

    def fail(*_: Any) -> Any:
        raise RuntimeError("no memory left")

    monkeypatch.setattr(systems.Asker, "_served", fail)
    options = ("--systems", "extractive", "--worlds", "gold", "--limit", "2")
    assert evaluate(index_folder, out, *options) == 0
    assert {r.error for r in records.read(out).rows} == {"RuntimeError: no memory left"}
    monkeypatch.setattr(systems.Asker, "_served", served)
    assert evaluate(index_folder, out, *options) == 0
    assert {r.status for r in records.read(out).rows} == {"answered"}


def test_a_changed_index_or_split_is_refused_with_the_reason(
    index_folder: Path,
    tmp_path: Path,
    write_deck: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    options = ("--systems", "extractive", "--limit", "2", "--worlds", "gold")
    assert evaluate(index_folder, out, *options) == 0
    before = (out / records.PREDICTIONS).read_bytes()
    other_split = make_index(write_deck(deck_rows()), tmp_path / "other", seed=2)
    other_deck = make_index(write_deck(deck_rows()[:40], "less.jsonl"), tmp_path / "less")
    for folder in (other_split, other_deck):
        assert evaluate(folder, out, *options) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert "error: the run was begun with another" in error
    assert (out / records.PREDICTIONS).read_bytes() == before
    assert evaluate(index_folder, out, *options, "--max-new-tokens", "9") == 2
    assert "max_new_tokens" in capsys.readouterr().err


def test_systems_without_weights_are_named_or_left_out(
    index_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded, "is_there", lambda: False)  # a slim install
    assert evaluate(index_folder, tmp_path / "a", "--systems", "base,tuned+rag") == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert "--base" in line
    assert "extractive" in line
    assert evaluate(index_folder, tmp_path / "b", "--limit", "1") == 0
    assert {row.system for row in records.read(tmp_path / "b").rows} == {"extractive"}
    assert evaluate(index_folder, tmp_path / "c", "--systems", "gpt") == 2


def test_without_weights_named_the_small_model_is_measured() -> None:
    shipped = make_config({"limit": 1})
    assert (shipped.base, shipped.adapter) == (str(embedded.BASE), str(embedded.ADAPTER))
    named = make_config({"base": "elsewhere", "adapter": None})
    assert (named.base, named.adapter) == ("elsewhere", None)


@pytest.fixture
def own_adapter(tiny_adapter: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny adapter that records what it was trained on."""
    import shutil

    def make(**record: Any) -> Path:
        folder = tmp_path / f"adapter-{len(list(tmp_path.glob('adapter-*')))}"
        shutil.copytree(tiny_adapter, folder)
        (folder / "run.json").write_text(json.dumps(record))
        return folder

    return make


def test_an_adapter_of_another_split_is_refused(
    index_folder: Path,
    tmp_path: Path,
    tiny_llama: Path,
    own_adapter: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stale = own_adapter(split_stamp="0" * 64)
    options = ("--systems", "tuned", "--base", str(tiny_llama), "--adapter", str(stale))
    assert evaluate(index_folder, tmp_path / "run", *options) == 2
    assert "held-out cards may have been trained on" in capsys.readouterr().err


@pytest.fixture(scope="module")
def models(tiny_llama: Path, tiny_adapter: Path) -> Iterator[Sequence[str]]:
    """The options for the tiny models; on one thread, as several only wait on busy cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield ("--base", str(tiny_llama), "--adapter", str(tiny_adapter))
    torch.set_num_threads(threads)


def test_all_systems_with_protocols(
    index_folder: Path, tmp_path: Path, models: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = (*models, "--limit", "2", "--worlds", "gold,distractors", "--protocol")
    options = (*options, "--max-new-tokens", "4")
    assert evaluate(index_folder, out, *options) == 0
    found = records.read(out)
    labels = found.labels()
    assert {row.system for row in found.rows} == set(EvalConfig().systems)
    assert len([k for k in labels if "(" in k]) == 5, "three protocols, the last for base alone"
    base, tuned = labels["base, closed-book"], labels["tuned, closed-book"]
    assert all(row.nll and row.nll_tokens == row.answer_tokens for row in (*base, *tuned))
    assert [r.nll for r in base] != [r.nll for r in tuned], "the adapter does something"
    after = labels["base, closed-book (base-after-adapter)"]
    assert [round(r.nll or 0, 3) for r in after] == [round(r.nll or 0, 3) for r in tuned]
    assert all(row.tokens and row.first_token_ms and row.peak_mb for row in base)

    assert main(["report", str(out)]) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert not [check for check in scores["checks"] if check["passed"] is False]
    left = scores["series"]["base, closed-book (answer-left-in-prompt)"]["corpus"]["corpus_bleu"]
    sound = scores["series"]["base, closed-book"]["corpus"]["corpus_bleu"]
    assert left > sound + 20, "the protocol alone makes a score out of a random model"
    assert "answer-left-in-prompt" in (out / "report.html").read_text()

    capsys.readouterr()
    assert evaluate(index_folder, out, *options) == 0
    assert records.read(out).rows == found.rows, "nothing is asked twice"


def test_another_adapter_in_the_middle_of_a_run_is_refused(
    index_folder: Path,
    tmp_path: Path,
    tiny_llama: Path,
    models: Sequence[str],
    own_adapter: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    options = ("--systems", "tuned", "--limit", "1", "--max-new-tokens", "4")
    assert evaluate(index_folder, out, *options, *models) == 0
    changed = own_adapter()
    weights = changed / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    again = ("--base", str(tiny_llama), "--adapter", str(changed))
    assert evaluate(index_folder, out, *options, *again) == 2
    assert "another adapter" in capsys.readouterr().err


def test_a_planted_training_leak_is_caught(
    index_folder: Path, tmp_path: Path, tiny_llama: Path, own_adapter: Callable[..., Path]
) -> None:
    worlds = Worlds(index_folder, top_k=5, related=0.5)
    leaked = worlds.items(None, 0)[0].card.id
    adapter = own_adapter(split_stamp=worlds.split.stamp, train_ids=[leaked])
    out = tmp_path / "run"
    options = ("--systems", "tuned", "--limit", "1", "--max-new-tokens", "4")
    models = ("--base", str(tiny_llama), "--adapter", str(adapter))
    assert evaluate(index_folder, out, *options, *models) == 0
    assert main(["report", str(out)]) == 0
    assert "Do not trust the figures below" in (out / "report.html").read_text()


def test_batches_say_what_single_answers_say(
    index_folder: Path, tmp_path: Path, models: Sequence[str]
) -> None:
    texts = {}
    for batch in ("1", "3"):
        out = tmp_path / batch
        options = ("--systems", "base,tuned+rag", "--worlds", "gold", "--limit", "5")
        options = (*options, "--max-new-tokens", "6", "--batch", batch, "--timed", "2")
        assert evaluate(index_folder, out, *options, *models) == 0
        rows = records.read(out).rows
        texts[batch] = [(row.key, row.raw and row.raw.strip(), row.prompt) for row in rows]
        timed = [row.item for row in rows if row.first_token_ms is not None]
        assert len(timed) == len(rows) if batch == "1" else len(set(timed)) == 2
    assert texts["1"] == texts["3"]


def test_the_loss_of_a_batch_is_that_of_each_alone(tiny_llama: Path) -> None:
    """And that of transformers itself, given labels for the answer only."""
    import torch

    from assistant.transformers_generator import TransformersGenerator

    tokenizer, model = TransformersGenerator(str(tiny_llama)).load()
    examples = [
        example(tokenizer, Prompt(f"What is {name}?"), f"It is {name}. " * n)
        for n, name in enumerate(("asthma", "gout", "croup"), start=1)
    ]
    together = answer_losses(model, examples, tokenizer.eos_token_id)
    for one, loss in zip(examples, together, strict=True):
        wanted = [-100] * len(one.prompt) + list(one.answer)
        with torch.inference_mode():
            theirs = model(torch.tensor([one.ids]), labels=torch.tensor([wanted])).loss
        assert loss.nll / loss.tokens == pytest.approx(float(theirs), rel=1e-4)


def test_a_judge_by_name(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    folder = tmp_path / "judge"
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0,
        id2label={0: "entailment", 1: "neutral"}, label2id={"entailment": 0, "neutral": 1},
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    judge = open_judge(str(folder))
    assert judge("It is gout.", [Flashcard("", "What?", "Gout.")]) in (True, False)
    with pytest.raises(ExpectedError, match="cannot load the judge"):
        open_judge(str(tmp_path / "none"))


def test_an_index_that_holds_out_nothing_is_refused(
    hash_embedder: Embedder, write_deck: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    build.build(
        IndexConfig(
            decks=(str(write_deck(deck_rows())),), out=folder, embedder="hash-double",
            split=SplitConfig(test=0, validation=0),
        )
    )  # fmt: skip
    with pytest.raises(ExpectedError, match="holds out no card"):
        run.run(EvalConfig(index=folder, out=tmp_path / "run", systems=("extractive",)))
