"""The token file: every row of a pre-training run, compact enough to carry to another machine."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.errors import ExpectedError
from training.pocket.rows import Sample

TOKENS, RECORD = "tokens.npz", "tokens.json"
_BUCKET = 64  # batches' worth of rows that are sorted by length together


@dataclass(frozen=True)
class Tokens:
    """Rows one after another.

    `ids` (tokens,) uint16; `counts` (tokens,) uint8, see `training.pocket.rows`; `starts`
    (rows + 1,) int64, where each row begins.
    """

    ids: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, i: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Ids and counts of a row."""
        span = slice(int(self.starts[i]), int(self.starts[i + 1]))
        return self.ids[span], self.counts[span]

    def batches(self, size: int, seed: int, rows: range) -> Iterator[list[int]]:
        """Rows of like length in batches of about `size` tokens, without end, shuffled by epoch."""
        lengths = np.diff(self.starts)
        epoch = 0
        while True:
            random = np.random.default_rng([seed, epoch])
            order = random.permutation(np.arange(rows.start, rows.stop))
            batches: list[list[int]] = []
            span = max(1, _BUCKET * size // max(1, int(lengths.mean())))
            for start in range(0, len(order), span):
                near = sorted(order[start : start + span].tolist(), key=lambda i: int(lengths[i]))
                batches += _filled(near, lengths, size)
            for at in random.permutation(len(batches)):
                yield batches[int(at)]
            epoch += 1


def _filled(rows: list[int], lengths: npt.NDArray[np.int64], size: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for row in rows:
        if batch and (len(batch) + 1) * int(lengths[row]) > size:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def write(
    samples: Iterator[Sample],
    count: int,
    record: dict[str, Any],
    out: Path,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Write `count` rows and what they were made from."""
    ids: list[npt.NDArray[np.uint16]] = []
    counts: list[npt.NDArray[np.uint8]] = []
    kinds: Counter[str] = Counter()
    for sample in islice(samples, count):
        ids.append(np.array(sample.ids, dtype=np.uint16))
        counts.append(np.array(sample.counts, dtype=np.uint8))
        kinds[sample.kind] += 1
        done()
    starts = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    path = out / TOKENS
    np.savez_compressed(path, ids=np.concatenate(ids), counts=np.concatenate(counts), starts=starts)
    record = {
        **record,
        "rows": count,
        "tokens": int(starts[-1]),
        "kinds": dict(sorted(kinds.items())),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (out / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[Tokens, dict[str, Any]]:
    """The rows of a folder and their record.

    Raises:
        ExpectedError: there are none, or the file is not the one that the record names.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        data = (folder / TOKENS).read_bytes()
    except (OSError, ValueError) as error:
        raise ExpectedError(
            f"no rows at {str(folder)!r} ({error}): expected {TOKENS} and {RECORD}; make them with "
            "'python -m training.pocket prepare'"
        ) from error
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise ExpectedError(
            f"{str(folder / TOKENS)!r} is not the file that {RECORD} describes: expected SHA-256 "
            f"{record['sha256'][:12]}; make both again with 'python -m training.pocket prepare'"
        )
    with np.load(folder / TOKENS, allow_pickle=False) as arrays:
        return Tokens(arrays["ids"], arrays["counts"], arrays["starts"]), record
