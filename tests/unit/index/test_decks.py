from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from index import decks
from index.decks import Row
from index.errors import DeckError

ASTHMA = ("What is asthma?", "A disease of the airways.")
GOUT = ("What is gout?", "Crystals in a joint, most often the toe.")


def read(path: Path, **limits: int) -> list[Row]:
    return list(decks.read(str(path), **limits))


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.question, row.answer) for row in rows if row.fault is None]


def faults(rows: list[Row]) -> list[str]:
    return [row.fault for row in rows if row.fault]


@pytest.fixture
def deck(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Deck = Callable[[str, "str | bytes"], Path]
ROWS = [{"question": q, "answer": a} for q, a in (ASTHMA, GOUT)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps({"version": 1, "data": ROWS})),
        ("a.json", json.dumps({"data": ROWS}, indent=2)),
        ("a.json", "\n".join(map(json.dumps, ROWS))),  # JSONL under another name
        ("a.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("a.jsonl", "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n"),
        ("a.jsonl", json.dumps(ROWS, indent=1)),
        ("a.ndjson", "\ufeff" + "\n".join(map(json.dumps, ROWS))),
        ("a.csv", 'question,answer\n{},{}\n{},"{}"\n'.format(*ASTHMA, *GOUT)),
        ("a.csv", '\r\nAnswer;Question \r\n{1};{0}\r\n"{3}";{2}'.format(*ASTHMA, *GOUT)),
        ("a.csv", "question\tfull, answer\tanswer\n{}\t\t{}\n{}\t\t{}".format(*ASTHMA, *GOUT)),
        ("a.tsv", "front\tback\n{}\t{}\n{}\t{}".format(*ASTHMA, *GOUT)),
        ("a.txt", "question|answer\n{}|{}\n{}|{}".format(*ASTHMA, *GOUT)),
        ("a.txt", "{}\t{}\n{}\t{}".format(*ASTHMA, *GOUT)),
        ("a.csv", "question,answer\r{},{}\r{},\"{}\"".format(*ASTHMA, *GOUT)),
    ],
)  # fmt: skip
def test_text_formats(deck: Deck, name: str, content: str) -> None:
    assert pairs(read(deck(name, content))) == [ASTHMA, GOUT]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(deck: Deck, encoding: str) -> None:
    text = "question,answer\nWas ist Gürtelrose? 🦠,Eine Infektion — Zoster\n"
    rows = read(deck("a.csv", text.encode(encoding)))
    assert pairs(rows) == [("Was ist Gürtelrose? 🦠", "Eine Infektion — Zoster")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "Answer this", "input": "What?", "output": "That."}, ("What?", "That.")),
        ({"instruction": "What?", "input": "", "output": "That."}, ("What?", "That.")),
        ({"instruction": "What?", "output": "That."}, ("What?", "That.")),
        ({"Patient": "It hurts.", "Doctor": "Rest.", "Description": "x"}, ("It hurts.", "Rest.")),
        ({"question": 120, "answer": 80.5}, ("120", "80.5")),
        ({"question": None, "answer": float("nan")}, ("", "")),
        ({"QUESTION ": "What?", " Answer": "That."}, ("What?", "That.")),
    ],
)
def test_columns(deck: Deck, row: dict[str, Any], expected: tuple[str, str]) -> None:
    assert pairs(read(deck("a.json", json.dumps([row])))) == [expected]


def test_topic_source_and_link(deck: Deck) -> None:
    row = {**ROWS[0], "tags": ["lung", "child"], "Source": "NHS", "URL": "https://www.nhs.uk"}
    (found,) = read(deck("a.jsonl", json.dumps(row)))
    assert (found.topic, found.source, found.url) == ("lung, child", "NHS", "https://www.nhs.uk")
    assert (found.deck, found.place) == ("a", "a.jsonl: row 1")


def test_line_separators_inside_a_json_string(deck: Deck) -> None:
    text = '{"question": "one\u2028two\u2029three\x85four", "answer": "five"}\n'
    assert pairs(read(deck("a.jsonl", text))) == [("one\u2028two\u2029three\x85four", "five")]


def test_quoted_newlines_and_quotes(deck: Deck) -> None:
    text = 'question,answer\n"What is ""shock""?","Too little\nblood, flowing."\n'
    assert pairs(read(deck("a.csv", text))) == [('What is "shock"?', "Too little\nblood, flowing.")]


def test_a_stray_quotation_mark_costs_one_line(deck: Deck) -> None:
    text = 'question,answer\n{},{}\nWhat?,"never closed\n{},"{}"\n'.format(*ASTHMA, *GOUT)
    rows = read(deck("a.csv", text))
    assert pairs(rows) == [ASTHMA, GOUT]
    assert [(row.fault, row.raw) for row in rows if row.fault] == [
        ("malformed row", 'What?,"never closed')
    ]


def test_an_unquoted_delimiter_never_halves_an_answer(deck: Deck) -> None:
    rows = read(deck("a.csv", "question,answer\nSprain?,rest, ice\nonly\nGout?,a toe,,\n"))
    assert [(row.fault, row.raw) for row in rows if row.fault] == [
        ("more fields than columns", "Sprain?,rest, ice")
    ]
    assert pairs(rows) == [("only", ""), ("Gout?", "a toe")]


def test_a_field_that_is_too_large_is_one_fault(deck: Deck) -> None:
    text = f"question,answer\nq,{'x' * (17 << 20)}\nWhat is gout?,a joint\n"
    rows = read(deck("a.csv", text))
    assert faults(rows) == ["malformed row"]
    assert pairs(rows) == [("What is gout?", "a joint")]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[1, 2]", "not an object"),
        ('"text"', "not an object"),
        ("null", "not an object"),
        ("NaN", "not an object"),
        ('{"question": "half', "malformed row"),
        ('{"question": "q", "answer": ' + "1" * 5000 + "}", "malformed row"),
        ("[" * 100_000, "malformed row"),
        ('{"question": "bell\x07", "answer": "a"}', "malformed row"),
        ('{"question": ["q"], "answer": "a"}', "question or answer is no text"),
        ('{"question": "q", "answer": {"text": "a"}}', "question or answer is no text"),
        ('{"title": "q"}', "no question and answer columns"),
    ],
)
def test_a_bad_row_is_kept_with_its_fault(deck: Deck, line: str, fault: str) -> None:
    good = json.dumps(ROWS[0])
    rows = read(deck("a.jsonl", f"{good}\n{line}\n{good}\n"))
    assert faults(rows) == [fault]
    assert pairs(rows) == [ASTHMA, ASTHMA]
    assert rows[1].raw


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"", "is empty"),
        ("a.json", b"   ", "not complete JSON"),
        ("a.json", json.dumps(ROWS)[:-20], "not complete JSON"),
        ("a.json", json.dumps({"data": ROWS}, indent=2)[:-20], "not complete JSON"),
        ("a.json", '{"question": "half', "not complete JSON"),
        ("a.json", '[{"question": "q", "answer": ' + "1" * 5000 + "}]", "not complete JSON"),
        ("a.json", "[" * 200_000, "not complete JSON"),
        ("a.json", '"text"', "holds a JSON str"),
        ("a.json", "[]", "no rows"),
        ("a.json", "[1, 2]", "no readable row (first: not an object"),
        ("a.json", "<html>", "not complete JSON"),
        ("a.jsonl", '{"question": "half', "no readable row (first: malformed row"),
        ("a.jsonl", '{"a":' * 200_000, "no readable row"),
        (
            "a.jsonl",
            '{"title": "x", "body": "y"}',
            "has the columns body, title: expected question",
        ),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "is a binary file"),
        ("a.csv", "question,answer\nq,a\x00b\n", "is a binary file"),
        ("a.csv", b"question,answer\n\xe9t\xe9,x\n", "is not valid utf-8-sig at byte 16"),
        ("a.csv", b"\xff\xfeq\x00u", "not valid utf-16"),
        ("a.csv", "titre,texte\na,b\n", "has the columns texte, titre: expected question"),
        ("a.csv", "question\nWhat?\n", "has the columns question: expected question and answer"),
        ("a.csv", "question,answer,Answer\na,b,c\n", "has the column 'answer' more than once"),
        ("a.csv", "question,answer\n", "no rows"),
        ("a.csv", "\n\n", "no header row"),
        ("a.csv", '"question,answer\n', "no header row"),
        ("a.csv", "\x1b]0;pwned\x07,b\nx,y\n", "has the columns"),
        ("a.txt", "just\nlines\n", "no line with two fields"),
        ("a.parquet", b"PAR1 cut off", "not a complete Parquet file"),
        ("a.parquet", b"", "is empty"),
    ],
)
def test_unreadable_decks(deck: Deck, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DeckError) as raised:
        read(deck(name, content))
    assert message in str(raised.value)
    assert "a." in str(raised.value)


def test_names_in_a_message_are_cut(deck: Deck) -> None:
    with pytest.raises(DeckError) as raised:
        read(deck("a.csv", ",".join(f"{i}" + "x" * 10_000 for i in range(99)) + "\na,b"))
    assert len(str(raised.value)) < 1000


def test_a_gigabyte_is_refused_unread(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    path = deck("a.csv", "question,answer\n")
    os.truncate(path, 1 << 30)  # sparse: takes no space
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(DeckError, match=r"has 1,024 MB: expected at most 512 MB"):
        read(path)


def test_limit_is_configurable(deck: Deck) -> None:
    path = deck("a.csv", "question,answer\nq,a\n" + "\n" * (1 << 20))
    with pytest.raises(DeckError, match="--max-megabytes"):
        read(path, max_megabytes=1)
    assert len(read(path, max_megabytes=2)) == 1


@pytest.mark.parametrize(
    "name", ["", "  ", "missing.csv", "a\x00b", "x" * 5000, "~nobody-here/x.csv"]
)
def test_no_such_deck(name: str) -> None:
    with pytest.raises(DeckError, match="expected"):
        list(decks.read(name))


def test_unreadable_file(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = deck("a.csv", "question,answer\nq,a\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DeckError, match="Permission denied"):
        read(path)


def test_folder_reads_every_deck_in_it(deck: Deck, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    deck("b.csv", "question,answer\n{},{}\n".format(*ASTHMA))
    deck("sub/a.jsonl", json.dumps(ROWS[1]))
    deck("notes.md", "no deck")
    deck("._b.csv", b"\x00\x05\x16\x07")  # what macOS leaves beside files on other disks
    rows = read(tmp_path)
    assert pairs(rows) == [ASTHMA, GOUT]
    assert [row.deck for row in rows] == ["b", "a"]


def test_folder_without_decks(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match="no deck files in folder"):
        read(tmp_path)


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "Question": [ASTHMA[0], GOUT[0], "Dose?", None],
            "Answer": [ASTHMA[1], GOUT[1], None, "nothing asked"],
            "weight": [Decimal("1.5"), None, None, None],
        }
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    rows = read(path)
    assert pairs(rows)[:2] == [ASTHMA, GOUT]
    assert pairs(rows)[2:] == [("Dose?", ""), ("", "nothing asked")]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DeckError, match="not a complete Parquet file"):
        read(path)


def test_starter_deck_is_sound() -> None:
    rows = list(decks.read("starter"))
    assert len(rows) >= 400
    assert not faults(rows)
    assert {row.deck for row in rows} == {"starter"}
    assert len({row.topic for row in rows}) >= 20


def test_reserved_names_win_over_files(
    deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flashcards").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(decks.hub, "rows", lambda name: asked.append(name) or iter(ROWS))
    assert pairs(list(decks.read("flashcards"))) == [ASTHMA, GOUT]
    assert asked == ["flashcards"]
