"""The small Llama: its tokenizer, its copying heads, what it reads, and a resumable training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assistant.prompts import NOT_COVERED, Prompt, answer_ids, prompt_ids
from index.cards import make_card
from index.errors import ExpectedError
from training.embedder_data import PairMaker
from training.embedder_subjects import Phrases, Row
from training.pocket import tokens
from training.pocket.config import Mixture, Schedule, Shape
from training.pocket.rows import ANSWER, CONTEXT, Material, RowMaker, without_held_out
from training.pocket.tokenizer import train_tokenizer
from training.pocket.train import Budget, fresh, learning_rate, train

ORGANS = [
    *("heart", "lung", "kidney", "liver", "brain", "skin"),
    *("spleen", "stomach", "bone", "ear", "eye", "thyroid"),
]
SHAPE = Shape(vocabulary=700, layers=3, feed_forward=128)
SCHEDULE = Schedule(batch_tokens=600, warmup=2, validation_rows=8)


def rows() -> list[Row]:
    made = []
    for n, organ in enumerate(ORGANS):
        for intent, verb in (("symptoms", "signs"), ("treatment", "therapy"), ("causes", "roots")):
            question = f"What are the {intent} of {organ}itis?"
            own = ", ".join(f"{organ}{end}{verb}" for end in ("al", "ic", "oid", "ose", "ium"))
            answer = f"Known in {10 + n} of 50 {organ} patients: {own}."
            made.append(Row(question, answer, f"{organ}itis", intent))
    return made


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [f"{row.question} {row.answer}" for row in rows()]
    return train_tokenizer(texts * 3, SHAPE.vocabulary, SHAPE.context)


def make_rows(tokenizer: Any, seed: int = 0, **mixture: Any) -> RowMaker:
    material = Material(PairMaker(rows(), Phrases.load(), 0), [], ["The heart pumps blood. " * 60])
    return RowMaker(material, tokenizer, Mixture(**mixture), seed)


@pytest.mark.parametrize(
    "text",
    [
        "Take 50 mg of “ibuprofen” (Advil), 2.5 ml/kg; Crohn's disease.",
        "café 漢字 \u0301\nnext line",
        "<0x41> is no byte",
    ],
)
def test_the_tokenizer_gives_a_text_back(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_figures_stand_alone_and_words_do_not_change_before_punctuation(tokenizer: Any) -> None:
    pieces = tokenizer.tokenize("of patients 50 mg, of patients? of patients:")
    assert "5" in pieces
    assert not any("50" in piece for piece in pieces)
    assert pieces.count("▁patients") == 3


def test_an_answer_opens_with_the_piece_that_its_card_holds(tokenizer: Any) -> None:
    card = make_card(question="What is it?", answer="The usual signs of heart disease.")
    answer = answer_ids(tokenizer, card.answer)[:-1]
    prompt = prompt_ids(tokenizer, Prompt("What is it?", (card,)))
    assert any(prompt[i : i + len(answer)] == answer for i in range(len(prompt)))


def test_a_fresh_model_copies_the_answering_card_before_any_training(tokenizer: Any) -> None:
    model = fresh(SHAPE, tokenizer, 0).eval()
    cards = [make_card(question=row.question, answer=row.answer) for row in rows()]
    right = opened = total = 0
    for at in range(0, len(cards), 6):
        shown = (cards[at - 1], cards[at], cards[at - 5])
        prompt = prompt_ids(tokenizer, Prompt(cards[at].question, shown))
        answer = answer_ids(tokenizer, cards[at].answer)[:-1]
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + answer])).logits[0]
        said = logits[len(prompt) - 1 : -1].argmax(-1).tolist()
        opened += said[0] == answer[0]
        right += sum(a == b for a, b in zip(said[3:], answer[3:], strict=True))
        total += len(answer) - 3
    assert right / total > 0.6  # of tokens; chance is 1 in 700
    assert opened >= 4  # of 6


def test_heads_need_room(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="hidden size of at least 301"):
        fresh(Shape(vocabulary=700, hidden=128, heads=2), tokenizer, 0)


def test_rows_like_held_out_cards_stay_away() -> None:
    held = [
        make_card(question="What are the symptoms of heartitis?", answer="Something else."),
        make_card(question="Unlike any other?", answer=rows()[7].answer),
    ]
    kept = without_held_out(rows(), held)
    assert rows()[0] not in kept  # the question
    assert rows()[7] not in kept  # the answer
    assert rows()[20] in kept


def test_rows_follow_the_mixture_and_count_answers_only(tokenizer: Any) -> None:
    maker = make_rows(tokenizer, read_prompts=0.0)
    drawn = list(islice(maker, 400))
    kinds = {kind: sum(row.kind == kind for row in drawn) for kind in ("gold", "absent", "book")}
    assert kinds["gold"] > kinds["absent"] > 0 < kinds["book"]
    for row in drawn:
        counted = [i for i, c in zip(row.ids, row.counts, strict=True) if c == ANSWER]
        text = tokenizer.decode(counted, skip_special_tokens=True)
        if row.kind == "absent":
            assert text == NOT_COVERED
        if row.kind == "gold":
            assert text in tokenizer.decode(row.ids[: -len(counted)])
        if row.kind == "book":
            assert set(row.counts) == {CONTEXT}


def test_the_same_seed_draws_the_same_rows(tokenizer: Any) -> None:
    first, again, other = (
        [row.ids for row in islice(make_rows(tokenizer, seed), 30)] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.fixture
def data(tokenizer: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    tokenizer.save_pretrained(folder / "tokenizer")
    tokens.write(iter(make_rows(tokenizer)), 400, {"seed": 0}, folder)
    return folder


def test_a_token_file_holds_every_row_and_is_checked(data: Path, tokenizer: Any) -> None:
    read, record = tokens.read(data)
    expected = [row.ids for row in islice(make_rows(tokenizer), 400)]
    assert [read.row(i)[0].tolist() for i in range(len(read))] == expected
    assert record["rows"] == 400
    path = data / tokens.TOKENS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ExpectedError, match="not the file that"):
        tokens.read(data)


def test_batches_hold_each_row_once_an_epoch_within_their_size(data: Path) -> None:
    read, _ = tokens.read(data)
    seen: list[int] = []
    batches: Iterator[list[int]] = read.batches(600, 0, range(100))
    while len(seen) < 100:
        batch = next(batches)
        longest = max(len(read.row(i)[0]) for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= 600
        seen += batch
    assert sorted(seen) == list(range(100))


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = Schedule(learning_rate=1.0, warmup=10, decay=0.5)
    rates = [learning_rate(step, 100, schedule) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert np.all(np.diff(rates[50:]) < 0)
    assert rates[100] == pytest.approx(0.0)


def test_an_interrupted_training_ends_as_an_unbroken_one(data: Path, tmp_path: Path) -> None:
    def run(out: Path, minutes: float = 60) -> dict[str, torch.Tensor]:
        from transformers import LlamaForCausalLM

        folder = train(data, out, SHAPE, SCHEDULE, Budget(3, minutes), seed=0)
        weights: dict[str, torch.Tensor] = LlamaForCausalLM.from_pretrained(folder).state_dict()
        return weights

    whole = run(tmp_path / "whole")
    run(tmp_path / "broken", minutes=0)  # no step, but a checkpoint
    resumed = run(tmp_path / "broken")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    facts = json.loads((tmp_path / "whole" / "model" / "pretraining.json").read_text())
    assert facts["steps"] == 3
    with pytest.raises(ExpectedError, match="of another run"):
        train(data, tmp_path / "whole", SHAPE, SCHEDULE, Budget(3, 60), seed=1)


def test_training_goes_on_from_a_run_or_from_the_model_that_it_wrote(
    data: Path, tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import LlamaForCausalLM

    def weights(folder: Path) -> dict[str, torch.Tensor]:
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        found: dict[str, torch.Tensor] = model.state_dict()
        return found

    first = train(data, tmp_path / "first", SHAPE, SCHEDULE, Budget(3, 60), seed=0)
    for name, start in (("run", tmp_path / "first"), ("model", first)):
        out = tmp_path / name
        nothing = train(data, out, SHAPE, SCHEDULE, Budget(2, 0), seed=1, start=start)
        assert all(torch.equal(w, weights(first)[key]) for key, w in weights(nothing).items())
        further = train(data, out, SHAPE, SCHEDULE, Budget(2, 60), seed=1, start=start)
        assert not all(torch.equal(w, weights(first)[key]) for key, w in weights(further).items())
        assert json.loads((further / "pretraining.json").read_text())["start"]["steps"] == 3
    with pytest.raises(ExpectedError, match="found neither"):
        train(data, tmp_path / "none", SHAPE, SCHEDULE, Budget(2, 60), seed=1, start=data)
    other = train_tokenizer(["other words of another corpus"] * 9, SHAPE.vocabulary, SHAPE.context)
    other.save_pretrained(first)
    with pytest.raises(ExpectedError, match="another tokenizer"):
        train(data, tmp_path / "other", SHAPE, SCHEDULE, Budget(2, 60), seed=1, start=first)
