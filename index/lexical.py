"""BM25 over the cards' words (bm25s), stored as plain NumPy arrays and JSON."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer

from index.text import content_words

logging.getLogger("bm25s").setLevel(logging.WARNING)  # its import sets DEBUG

FloatArray = np.ndarray[Any, np.dtype[np.float32]]


def tokens(text: str) -> list[str]:
    """Stemmed content words (Snowball English)."""
    return _stem(content_words(text))


def _stem(words: list[str]) -> list[str]:
    # A new stemmer for each call: PyStemmer's are not safe to share between threads.
    return list(Stemmer.Stemmer("english").stemWords(words))


def write(texts: Sequence[str], folder: Path) -> None:
    """Index texts and write the files into `folder`."""
    _built(texts).save(str(folder), allow_pickle=False)


def _built(texts: Sequence[str]) -> bm25s.BM25:
    corpus = [content_words(text) or [""] for text in texts]
    distinct = list({word for text in corpus for word in text})  # each stemmed once, not 40 times
    stems = dict(zip(distinct, _stem(distinct), strict=True))
    # Numbered here and not by bm25s, which numbers in the order of a set: that of Python's string
    # hashes, another one in each process.
    vocabulary = {stem: i for i, stem in enumerate(sorted(set(stems.values())))}
    numbers = {word: vocabulary[stem] for word, stem in stems.items()}
    ids = [[numbers[word] for word in text] for text in corpus]
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index((ids, vocabulary), show_progress=False)
    return index


class LexicalIndex:
    """BM25 scores of all cards for a query, from a folder of `write` or from texts in memory."""

    def __init__(self, source: Path | Sequence[str]) -> None:
        self._index = (
            bm25s.BM25.load(str(source), mmap=True, allow_pickle=False)
            if isinstance(source, Path)
            else _built(source)
        )

    def scores(self, query: str) -> FloatArray:
        """The BM25 score of every card, (cards,); zeros where no word is known."""
        known = [t for t in tokens(query) if t in self._index.vocab_dict]
        if not known:
            return np.zeros(int(self._index.scores["num_docs"]), dtype=np.float32)
        scores: FloatArray = self._index.get_scores(known)
        return scores
