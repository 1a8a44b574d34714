from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index import text

# Words in scripts that combine, join and run from right to left, and what hides between them.
odd_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "aé\u0301\u0323\u200b\u200d\u202e\u2028\u00a0\x00\x1b\ud800ß\ufb01İ\U000e0041"
        ),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  a\t b\r\n c ", "a b c"),
        ("a\u2028b\x85c\u00a0d", "a b c d"),
        ("pass\u200bword\ufeff", "password"),  # zero width
        ("safe\u202egnp.exe\u202c\u2066x\u2069\u061c", "safegnp.exex"),  # displays reordered
        ("card\U000e0041\U000e0042", "card"),  # text that only a language model sees
        ("red\x1b[31m alert\x07", "red [31m alert"),
        ("nul\x00byte", "nul byte"),
        ("lone\ud800surrogate", "lone surrogate"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),  # composed only once the invisible one is gone
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs it  # noqa: RUF001
        ("👩\u200d⚕️", "👩\u200d⚕️"),
        ("", ""),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert text.clean(raw) == cleaned


@given(odd_text)
def test_clean_text_is_left_alone(raw: str) -> None:
    once = text.clean(raw)
    assert text.clean(once) == once
    once.encode()  # can be written to a file


@given(odd_text)
def test_clean_text_is_one_line_without_controls(raw: str) -> None:
    cleaned = text.clean(raw)
    assert len(cleaned.splitlines()) <= 1
    assert not any(c < " " or c == "\x7f" or "\u202a" <= c <= "\u202e" for c in cleaned)


def test_many_marks_on_one_letter_take_no_time() -> None:
    start = time.perf_counter()
    cleaned = text.clean("a" + "\u0301\u0323" * 100_000 + " b")
    assert time.perf_counter() - start < 2
    assert cleaned.endswith(" b")
    assert len(cleaned) < 40


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Straße", "STRASSE"),
        ("ﬁbrosis", "fibrosis"),
        ("don’t", "don't"),  # noqa: RUF001
        ("Ａspirin", "aspirin"),  # noqa: RUF001
    ],
)
def test_fold_equates(left: str, right: str) -> None:
    assert text.fold(left) == text.fold(right)


def test_words_keep_numbers_and_apostrophes() -> None:
    assert text.words("Crohn's: 2.5 mg_daily, B12!") == ["crohn's", "2", "5", "mg", "daily", "b12"]


def test_content_words_leave_out_function_words() -> None:
    assert text.content_words("What should I do about the measles?") == ["measles"]


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Drugs, e.g. Aspirin, help. Rest.", ["Drugs, e.g. Aspirin, help.", "Rest."]),
        ("Dr. Smith came.", ["Dr. Smith came."]),
        ("Take 2.5 mg. Wait.", ["Take 2.5 mg.", "Wait."]),
        ('He said "yes." Then left.', ['He said "yes."', "Then left."]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences(whole: str, parts: list[str]) -> None:
    assert text.sentences(whole) == parts


@given(st.text(max_size=200))
def test_sentences_lose_no_words(whole: str) -> None:
    cleaned = text.clean(whole)
    assert "".join(text.sentences(cleaned)).replace(" ", "") == cleaned.replace(" ", "")


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("They activate vitamin D. Each one does.", 2),
        ("It protects from hepatitis B. It is given early.", 2),
        ("Vaccines differ. mRNA is short-lived. pH falls.", 3),
        ("Dr. J. Smith said so.", 1),
        ("John F. Kennedy had it.", 1),
        ("S. aureus and E. coli do.", 1),
    ],
)
def test_a_letter_ends_a_sentence_unless_it_is_an_initial(said: str, parts: int) -> None:
    assert len(text.sentences(said)) == parts
