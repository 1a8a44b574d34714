from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from training import embedder_data as data
from training import embedder_subjects as subjects
from training.embedder_data import Pair
from training.embedder_subjects import Row

PHRASES = subjects.Phrases.load()


def row(question: str, answer: str) -> Row:
    intent, subject = PHRASES.parse(question)
    return Row(question, answer, subject, intent)


ROWS = [
    row("What is (are) gallstones?", "Gallstones are hard lumps that form in the gallbladder."),
    row("What are the symptoms of gallstones?", "Gallstones may give sudden pain on the right."),
    row("What are the treatments for gallstones?", "Gallstones are often left alone or taken out."),
    row("What is (are) gout?", "Gout is a kind of arthritis in which crystals build up in joints."),
    row("What causes gout?", "Gout comes from too much uric acid in the blood."),
    row("Is albinism inherited?", "Albinism is passed on when both parents carry the gene."),
]


@pytest.mark.parametrize(
    ("question", "intent", "subject"),
    [
        ("What are the symptoms of gout?", "symptoms", "gout"),
        ("What to expect if I have Gout (Outlook/Prognosis)?", "outlook", "Gout"),
        ("When to seek urgent medical care when I have Gout ?", "urgent", "Gout"),
        ("Is albinism inherited?", "inherited", "albinism"),
        ("What is (are) gout?", "what", "gout"),
        ("Why do bats carry viruses?", None, "Why do bats carry viruses"),
    ],
)
def test_parse(question: str, intent: str | None, subject: str) -> None:
    assert PHRASES.parse(question) == (intent, subject)


def test_every_plain_phrase_is_read_back_with_its_intent() -> None:
    checked = 0
    for intent, phrase in PHRASES.intents.items():
        for plain in phrase["plain"]:
            assert PHRASES.parse(plain.format(x="gout")) == (intent, "gout")
            checked += 1
        assert all("{x}" in lay for lay in phrase["lay"])
    assert checked >= len(PHRASES.intents) > 10


def test_read_rows_leaves_out_empty_answers(tmp_path: Path) -> None:
    records = [
        {
            "question": "What causes gout?",
            "answer": "Too much uric acid in the blood.",
            "topic": "Gout",
        },
        {"question": "What causes gout?", "answer": "FAQ"},
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert [(r.subject, r.intent) for r in subjects.read_rows(path, PHRASES)] == [
        ("Gout", "causes")
    ]


def test_near_equal_names_and_synonyms_are_held_out_together() -> None:
    rows = [row(f"What causes disease number {i}?", "Nobody knows what it is.") for i in range(300)]
    rows += [
        row("What is (are) Zellig syndrome?", "Zellig syndrome, also known as blue knee, is rare."),
        row("What causes blue knee?", "Nobody knows what causes blue knee."),
        row("What causes Zellig syndromes (ZS)?", "Nobody knows what causes these."),
    ]
    sides = subjects.held_out(rows)
    assert sides == subjects.held_out(rows[::-1])
    assert {"train", "validation", "test"} >= set(sides.values())
    assert len({sides[subjects.subject_key(r.subject)] for r in rows[-3:]}) == 1


def test_an_excluded_subject_leaves_training_and_nothing_else_moves() -> None:
    before, after = subjects.held_out(ROWS), subjects.held_out(ROWS, ["Gout", "Unheard of"])
    gout = subjects.subject_key("gout")
    assert after[gout] == (None if before[gout] == "train" else before[gout])
    assert all(after[key] == side for key, side in before.items() if key != gout)
    assert subjects.side_of("unheard of", after) is None
    assert subjects.side_of("something else", after) == "train"
    assert subjects.names_held_out("What helps against something unheard of?", after)


def test_other_names() -> None:
    answer = "Motor neurone disease (MND), also called Lou's disease or fading nerves, is rare."
    assert subjects.other_names("motor neurone disease", answer) == [
        "MND",
        "Lou's disease",
        "fading nerves",
    ]


def test_description_leaves_the_name_out() -> None:
    answer = "Gout is a kind of arthritis in which gout crystals build up in the joints."
    told = subjects.description("gout", [], answer)
    assert told == "a kind of arthritis in which it crystals build up in the joints"
    assert subjects.description("gout", [], "Gout hurts.") is None


def test_passages_cut_at_sentences() -> None:
    answer = " ".join(f"This is sentence number {i} of the long answer." for i in range(20))
    cut = data.passages(answer)
    assert " ".join(cut) == answer
    assert all(len(text.split()) <= data.PASSAGE_WORDS for text in cut)


def test_typo_changes_one_word_at_most() -> None:
    draw = random.Random(1)
    text = "what helps with stomach cramps"
    for _ in range(50):
        changed = data.typo(text, draw, share=1)
        assert sum(a != b for a, b in zip(text.split(), changed.split(), strict=True)) == 1
    assert data.typo("is it TB", draw, share=1) == "is it TB"


def test_pairs_are_reproducible_and_sound() -> None:
    def make() -> list[Pair]:
        maker = data.PairMaker(ROWS, PHRASES, seed=3)
        lay = [
            {"lay": "big toe on fire", "plain": "What is (are) gout?", "about": "Gout hurts."},
            {"lay": "stones in my gall", "plain": "What causes gallstones?", "about": "Stones."},
        ]
        return [
            *maker.question_to_answer(),
            *maker.asked_to_card(1),
            *maker.asked_to_question(1),
            *maker.hand_written(lay, 2),
            *maker.glossary(lambda term: term == "hypertension"),
        ]

    pairs = make()
    assert pairs == make()
    assert len(pairs) > 3 * len(ROWS)
    for pair in pairs:
        assert pair.anchor.strip()
        assert pair.positive.strip()
        assert pair.positive not in (pair.anchor, pair.negative)
        assert "{" not in pair.anchor + pair.positive + (pair.negative or "")
    assert any("high blood pressure" in pair.anchor for pair in pairs)


def test_arrange_never_opposes_one_label_in_a_batch() -> None:
    pairs = [Pair(f"label {i % 7}", f"asked {i}", f"answer {i}") for i in range(70)]
    extra = [Pair("off", "off asked", "off answer")]
    done = data.arrange(pairs, extra, size=6, each=1)
    assert len(done) == 84
    for start in range(0, len(done), 6):
        batch = done[start : start + 6]
        assert len({pair.label for pair in batch}) == 6
        assert extra[0] in batch
