from __future__ import annotations

import random
import sqlite3
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from index import anki, decks
from index.anki import Note, plain_text
from index.delimited import Malformed
from index.errors import DeckError

Write = Callable[..., Path]
NOTES = [
    (("What is <b>asthma</b>?", "A disease<br>of the&nbsp;airways."), " lung child::school "),
    (("Gout [sound:gout.mp3]", "Crystals<script>alert(1)</script> in a <i>joint</i>", "", "x"), ""),
    (("{{c1::Insulin::hormone}} lowers {{c2::glucose}}.", "See the pancreas."), "cloze"),
]
EXPECTED = [
    Note("What is asthma?", "A disease of the\u00a0airways.", "lung child::school"),
    Note("Gout", "Crystals  in a joint x", ""),
    Note("[...] lowers [...].", "Insulin lowers glucose. See the pancreas.", "cloze"),
]
GENERATIONS = ("collection.anki2", "collection.anki21", "collection.anki21b")


@pytest.mark.parametrize("member", GENERATIONS)
def test_packages_of_every_generation(write_apkg: Write, member: str) -> None:
    assert list(anki.package_notes(write_apkg(NOTES, member))) == EXPECTED


def test_the_newest_collection_is_read(write_apkg: Write) -> None:
    notice = ("collection.anki2", b"Please update to the latest Anki version")
    path = write_apkg(NOTES, "collection.anki21b", others=[notice, ("media", b"\x00")])
    assert list(anki.package_notes(path)) == EXPECTED


def test_package_as_a_deck(write_apkg: Write) -> None:
    rows = list(decks.read(str(write_apkg(NOTES, name="Lungs.apkg"))))
    assert [row.question for row in rows] == [note.front for note in EXPECTED]
    assert rows[0].topic == "lung child::school"
    assert rows[0].deck == "Lungs"
    assert rows[1].place == "Lungs.apkg: note 2"


def test_names_that_climb_out_of_the_archive_go_nowhere(write_apkg: Write, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.parent.iterdir())
    others = [("../escaped.txt", b"x"), ("/tmp/../escaped.txt", b"x"), ("..\\escaped", b"x")]
    assert list(anki.package_notes(write_apkg(NOTES, others=others))) == EXPECTED
    assert sorted(p.name for p in tmp_path.parent.iterdir()) == before
    assert not (tmp_path / "escaped.txt").exists()


@pytest.mark.parametrize("member", ["../collection.anki2", "sub/collection.anki2", "collection"])
def test_package_without_a_collection(write_apkg: Write, member: str) -> None:
    with pytest.raises(DeckError, match="holds no Anki collection"):
        list(anki.package_notes(write_apkg(NOTES, member)))


@pytest.mark.parametrize("member", ["collection.anki2", "collection.anki21b"])
def test_a_package_that_unpacks_to_too_much(write_apkg: Write, member: str) -> None:
    bomb = write_apkg([(("q" * 3_000_000, "a"), "")], member)
    assert bomb.stat().st_size < 10_000
    with pytest.raises(DeckError, match="unpacks to more than 1 MB"):
        list(anki.package_notes(bomb, 1 << 20))
    with pytest.raises(DeckError, match="unpacks to more than 2 MB"):
        list(decks.read(str(bomb), max_unpacked=2))
    assert len(list(decks.read(str(bomb)))) == 1


def test_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "deck.apkg"
    path.write_bytes(b"not a zip at all")
    with pytest.raises(DeckError, match="not a complete Anki package"):
        list(anki.package_notes(path))


@pytest.mark.parametrize("member", GENERATIONS)
def test_no_damage_is_taken_for_a_deck(write_apkg: Write, member: str) -> None:
    path = write_apkg(NOTES, member)
    whole = path.read_bytes()
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        # Some bits, such as a date, mean nothing. The others must end in the one error.
        try:
            rows = list(decks.read(str(path)))
            assert [Note(r.question, r.answer, r.topic or "") for r in rows] == EXPECTED
        except DeckError as error:
            assert "deck.apkg" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE other (id integer)"],
        [],
        ["CREATE TABLE notes (id integer primary key, question text)"],
        [
            "CREATE VIEW notes AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
            " SELECT id, 'q' || char(31) || 'a' AS flds, '' AS tags FROM n"
        ],
        ["CREATE VIRTUAL TABLE notes USING fts5(id, flds, tags)"],
        [
            "CREATE TABLE notes (id integer primary key, tags text,"
            " flds text AS (hex(zeroblob(20000000))))",
            "INSERT INTO notes (id, tags) VALUES (1, '')",
        ],
    ],
)
def test_hostile_databases(tmp_path: Path, statements: list[str]) -> None:
    database = tmp_path / "c.sqlite"
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    with zipfile.ZipFile(tmp_path / "deck.apkg", "w") as archive:
        archive.writestr("collection.anki21", database.read_bytes())
    start = time.perf_counter()
    with pytest.raises(DeckError, match="has a damaged collection"):
        list(anki.package_notes(tmp_path / "deck.apkg"))
    assert time.perf_counter() - start < 5


def test_no_notes(write_apkg: Write) -> None:
    with pytest.raises(DeckError, match="holds no note"):
        list(anki.package_notes(write_apkg([])))


def test_damaged_text_in_a_note(write_apkg: Write, tmp_path: Path) -> None:
    path = write_apkg(NOTES)
    with zipfile.ZipFile(path) as archive:
        data = archive.read("collection.anki2").replace(b"asthma", b"asth\xff\xfe")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("collection.anki2", data)
    assert next(anki.package_notes(path)).front == "What is asth\ufffd\ufffd?"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("a<br/>b<div>c</div><p>d</p>e", "a bc d e"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("&lt;b&gt; is a tag", "<b> is a tag"),
        ("<style>p{}</style>x<script src=y>z", "x"),
        ('<img src="a.png" onerror="alert(1)">x', "x"),
        ("[sound:a.mp3]x", "x"),
    ],
)
def test_plain_text(field: str, text: str) -> None:
    assert plain_text(field) == text


@pytest.mark.parametrize("mark", ["<a", "<br", "[sound:", "{{c1::", "{{c1::a::", "<script", "<!--"])
def test_marks_that_never_close_take_no_time(mark: str) -> None:
    start = time.perf_counter()
    list(anki.text_notes(f"{mark * 100_000}\tback\n", "a.txt"))
    assert time.perf_counter() - start < 2


def test_nested_clozes() -> None:
    (note,) = anki.text_notes("The {{c1::left {{c2::ventricle}}}} pumps.\textra\n", "a.txt")
    assert note == Note("The [...] pumps.", "The left ventricle pumps. extra", "")


def test_text_export_with_directives() -> None:
    text = (
        "#separator:tab\n#html:true\n#guid column:1\n#notetype column:2\n#deck column:3\n"
        "#tags column:6\n"
        'id1\tBasic\tLungs\tWhat is <i>asthma</i>?\t"A disease\nof the ""airways"""\tlung child\n'
    )
    assert list(anki.text_notes(text, "a.txt")) == [
        Note("What is asthma?", 'A disease\nof the "airways"', "lung child")
    ]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("#separator:semicolon\nq;a\n", Note("q", "a", "")),
        ("#separator:Comma\r\nq,a\r\n", Note("q", "a", "")),
        ("#separator:|\nq|a\n", Note("q", "a", "")),
        ('#separator:"\nq\ta\n', Note("q", "a", "")),
        ("#html:false\n<b>q</b>\ta &amp; b\n", Note("<b>q</b>", "a &amp; b", "")),
        ("#tags column:²\n#later:x\nq\ta\n", Note("q", "a", "")),
    ],
)
def test_directives(text: str, note: Note) -> None:
    assert list(anki.text_notes(text, "a.txt")) == [note]


def test_an_unclosed_quotation_mark_costs_one_line() -> None:
    notes = list(anki.text_notes('q1\ta1\nq2\t"never closed\nq3\ta3\n', "a.txt"))
    assert notes == [
        Note("q1", "a1", ""),
        Malformed("malformed row", 'q2\t"never closed'),
        Note("q3", "a3", ""),
    ]


def test_text_export_as_a_deck(tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_text('#separator:tab\n#tags column:3\nq\ta\tlung\nbad\t"x\n', encoding="utf-8")
    good, bad = decks.read(str(path))
    assert (good.question, good.answer, good.topic) == ("q", "a", "lung")
    assert (bad.fault, bad.raw, bad.place) == ("malformed row", 'bad\t"x', "export.txt: note 2")
