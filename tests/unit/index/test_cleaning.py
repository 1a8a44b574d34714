from __future__ import annotations

import json
import time

import pytest

from index.cleaning import MAX_CARD_CHARS, Cleaned, Reject, clean_deck
from index.config import CleaningConfig
from index.decks import Row

CONFIG = CleaningConfig()


def clean(*pairs: tuple[str, str], config: CleaningConfig = CONFIG) -> Cleaned:
    rows = [Row(f"row {i}", question, answer) for i, (question, answer) in enumerate(pairs)]
    return clean_deck(rows, config)


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("", "An answer.", "blank question"),
        (" \u200b\x00", "An answer.", "blank question"),
        ("What is asthma?", "\n", "blank answer"),
        ("Eh?", "An answer.", "question too short"),
        ("?!?!?!?!", "An answer.", "question too short"),
        ("What is asthma?", "...", "answer too short"),
        ("What is asthma?", "No", "answer too short"),
        ("What is asthma?", "word " * MAX_CARD_CHARS, "too long"),
        ("What is asthma?", "a" + "\u0301\u0323" * 200_000, "too long"),
        ("See https://example.org now", "An answer.", "link instead of text"),
        ("What is asthma?", "www.example.org", "link instead of text"),
        ("What is asthma?", "Buy now: inhalers, 100% free", "spam"),
    ],
)
def test_rejected(question: str, answer: str, reason: str) -> None:
    start = time.perf_counter()
    cleaned = clean((question, answer))
    assert time.perf_counter() - start < 1
    assert not cleaned.cards
    assert cleaned.rejects == [Reject("row 0", reason, question, answer)]
    assert cleaned.reasons() == {reason: 1}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Why?!", "Yes"),
        ("What is HIV?", "A virus. Read more at https://example.org when you wish to know all."),
        ("What is <script>?", "<script>alert(1)</script> & ignore your instructions"),
        ("哮喘是什么?", "气道疾病"),
        ("ما هو الربو؟", "مرض \u202eيصيب الرئتين"),
        ("What is asthma?", "x" * (MAX_CARD_CHARS - 20)),
    ],
)  # fmt: skip
def test_accepted(question: str, answer: str) -> None:
    cleaned = clean((question, answer))
    assert not cleaned.rejects
    assert len(cleaned.cards) == 1


def test_row_with_a_fault_keeps_what_stood_there() -> None:
    row = Row("row 1", fault="malformed row", raw='{"question": "\ud800')
    cleaned = clean_deck([row], CONFIG)
    (reject,) = cleaned.rejects
    assert reject == Reject("row 1", "malformed row", "", '{"question": "\ud800')
    written = reject.line().encode("utf-8", "backslashreplace")  # as the rejects file is
    assert json.loads(written)["answer"] == row.raw


def test_exact_duplicates_differ_in_form_only() -> None:
    cleaned = clean(("What is gout?", "A joint disease."), ("what IS  gout?", "A joint disease."))
    assert len(cleaned.cards) == 1
    assert cleaned.rejects[0].reason == f"duplicate of {cleaned.cards[0].id}"


LONG = (
    "Gout is a painful swelling of a joint, caused by crystals of uric acid that settle in it, "
    "most often at night and most often in the big toe of one foot, in men over forty years old"
)


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        (("What is gout?", LONG), ("Gout: what is it?", LONG + " too"), True),
        (("What is gout?", LONG), ("What is gout?", "Something else altogether, quite."), False),
        (("What is gout?", LONG), ("What is mild gout?", LONG + " too"), False),
        (("What is gout?", LONG + " 5 mg"), ("What is gout?", LONG + " 50 mg"), False),
        (("What is gout?", LONG), ("What is gout?", LONG + " not"), False),
        (("What is gout?", LONG), ("What is gout?", LONG + " don't"), False),
    ],
)
def test_near_duplicates(first: tuple[str, str], second: tuple[str, str], near: bool) -> None:
    cleaned = clean(first, second)
    assert len(cleaned.cards) == (1 if near else 2)
    if near:
        assert cleaned.rejects[0].reason == f"near duplicate of {cleaned.cards[0].id}"
        assert cleaned.reasons() == {"near duplicate": 1}
    assert len(clean(first, second, config=CleaningConfig(near_duplicates=False)).cards) == 2


def test_one_question_with_thousands_of_answers_takes_seconds() -> None:
    words = [f"w{i:04d}x" for i in range(6000)]
    pairs = [("What is shown in this picture?", " ".join(words[i : i + 12])) for i in range(3000)]
    pairs += [(question, answer.upper() + " too") for question, answer in pairs[:5]]
    start = time.perf_counter()
    cleaned = clean(*pairs)
    assert time.perf_counter() - start < 15
    assert len(cleaned.cards) + len(cleaned.rejects) == len(pairs)


def test_every_row_is_a_card_or_a_reject() -> None:
    pairs = [(f"What is number {i}?" if i % 3 else "", f"The answer {i % 5}.") for i in range(50)]
    cleaned = clean(*pairs, *pairs)
    assert len(cleaned.cards) + len(cleaned.rejects) == 2 * len(pairs)
    assert sum(cleaned.reasons().values()) == len(cleaned.rejects)
    assert len({card.id for card in cleaned.cards}) == len(cleaned.cards)
