from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index import lexical
from index.manifest import file_record

TEXTS = ["Asthma narrows the airways.", "Gout inflames a joint.", "What is it?", "Joints and gout."]


@pytest.fixture
def written(tmp_path: Path) -> lexical.LexicalIndex:
    lexical.write(TEXTS, tmp_path / "bm25")
    return lexical.LexicalIndex(tmp_path / "bm25")


def test_tokens_are_stems_of_content_words() -> None:
    assert lexical.tokens("What are swollen joints?") == lexical.tokens("SWOLLEN joint")
    assert lexical.tokens("What is it?") == []


def test_scores(written: lexical.LexicalIndex) -> None:
    scores = written.scores("painful gouty joint, gout")
    assert scores.shape == (len(TEXTS),)
    assert scores[0] == scores[2] == 0
    assert min(scores[1], scores[3]) > 0


@pytest.mark.parametrize("query", ["", "what is it", "xylophone", "\x00", "?" * 1000])
def test_no_known_word(written: lexical.LexicalIndex, query: str) -> None:
    assert not written.scores(query).any()


def test_one_text_and_a_text_without_words(tmp_path: Path) -> None:
    lexical.write(["gout"], tmp_path / "one")
    assert lexical.LexicalIndex(tmp_path / "one").scores("gout").shape == (1,)
    lexical.write(["what is it"], tmp_path / "none")
    assert not lexical.LexicalIndex(tmp_path / "none").scores("gout").any()


def test_the_same_bytes_in_every_process(tmp_path: Path, written: lexical.LexicalIndex) -> None:
    code = (
        "import sys, pathlib; from index import lexical;"
        f"lexical.write({TEXTS!r}, pathlib.Path(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.getcwd()},
    )
    names = sorted(p.name for p in (tmp_path / "bm25").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "other").iterdir())
    for name in names:
        assert file_record(tmp_path / "bm25" / name) == file_record(tmp_path / "other" / name)


def test_nothing_is_pickled(tmp_path: Path, written: lexical.LexicalIndex) -> None:
    arrays = [np.load(path, allow_pickle=False) for path in (tmp_path / "bm25").glob("*.npy")]
    assert arrays
    assert not any(array.dtype.hasobject for array in arrays)
