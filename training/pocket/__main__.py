"""`python -m training.pocket prepare | train`: the small Llama that medcards ships."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index import cli
from training.pocket.config import Schedule, Shape


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; expected failures are one line and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m training.pocket", description=__doc__)
    commands = parser.add_subparsers(required=True)
    prepare = commands.add_parser("prepare", help="corpora -> tokenizer and token file")
    prepare.add_argument("--corpus", type=Path, nargs="+", required=True, metavar="JSONL")
    prepare.add_argument("--books", type=Path, nargs="*", default=[], metavar="JSONL")
    prepare.add_argument(
        "--without", type=Path, nargs="+", required=True, metavar="INDEX",
        help="indexes whose held-out cards, and corpus rows like them, stay away",
    )  # fmt: skip
    prepare.add_argument("--rows", type=int, default=60_000)
    prepare.add_argument("--seed", type=int, default=0)
    prepare.add_argument("--out", type=Path, required=True)
    prepare.set_defaults(run=_prepare)
    train = commands.add_parser("train", help="token file -> model, resumable")
    train.add_argument("--data", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True)
    train.add_argument("--start", type=Path, help="earlier run, or its model, to go on from")
    train.add_argument("--steps", type=int, default=2000)
    train.add_argument("--minutes", type=float, default=25.0)
    for name in Shape.model_fields:
        if name not in ("vocabulary", "context"):  # of the token file
            train.add_argument(f"--{name.replace('_', '-')}", type=int, default=None)
    train.add_argument("--learning-rate", type=float, default=None)
    train.add_argument("--batch-tokens", type=int, default=None)
    train.add_argument("--threads", type=int, default=None)
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=_train)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return cli.run(args.run, args)


def _prepare(args: argparse.Namespace) -> int:
    from training.pocket.prepare import prepare

    prepare(args.corpus, args.books, args.without, args.rows, args.seed, args.out)
    print(args.out)
    return 0


def _train(args: argparse.Namespace) -> int:
    from training.pocket.train import Budget, train

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    given = vars(args)
    shape = Shape(**_given(**{name: given.get(name) for name in Shape.model_fields}))
    schedule = Schedule(**_given(learning_rate=args.learning_rate, batch_tokens=args.batch_tokens))
    budget = Budget(args.steps, args.minutes)
    print(train(args.data, args.out, shape, schedule, budget, args.seed, args.start))
    return 0


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
