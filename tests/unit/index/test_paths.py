from __future__ import annotations

from pathlib import Path

import pytest

from index.paths import default_index


@pytest.mark.parametrize(
    ("deck", "name"),
    [
        ("starter", "starter"),
        ("flashcards", "flashcards"),
        ("owner/name", "name"),
        ("decks/lungs.csv", "lungs"),
        ("/data/decks/", "decks"),
        ("..", "work"),  # the folder's own name: ".." would lead out of the folder of indexes
        (".", "here"),
        ("/", "deck"),
    ],
)
def test_every_index_gets_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deck: str, name: str
) -> None:
    (tmp_path / "work" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "here")
    monkeypatch.setenv("MEDCARDS_HOME", str(tmp_path / "home"))
    assert default_index(deck) == tmp_path / "home" / "index" / name
