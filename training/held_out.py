"""The rows of a corpus whose subjects the embedder was not trained on, to measure it with.

    python -m training.held_out --medquad FILE --wikidoc FILE [--side test] > held-out.jsonl
    python -m index bench --pairs held-out.jsonl

The corpora are those of the training: together they decide which names are one subject.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from training import embedder_subjects as subjects


def main(argv: Sequence[str] | None = None) -> int:
    """Write the rows of the first corpus, one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--medquad", type=Path, required=True)
    parser.add_argument("--wikidoc", type=Path, required=True)
    parser.add_argument("--side", choices=("validation", "test"), default="test")
    options = parser.parse_args(argv)
    phrases = subjects.Phrases.load()
    rows = subjects.read_rows(options.medquad, phrases)
    sides = subjects.held_out(rows + subjects.read_rows(options.wikidoc, phrases))
    for row in rows:
        if sides[subjects.subject_key(row.subject)] == options.side:
            line = {"question": row.question, "answer": row.answer, "topic": row.subject}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
