"""Compare the systems on held-out cards, score their answers, report, guard, red-team."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from eval.config import SYSTEMS, WORLDS, EvalConfig, make_config
from index import cli


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    defaults = EvalConfig()

    command = commands.add_parser("run", help="ask the held-out questions, write predictions")
    command.add_argument("--systems", type=_names, help=f"of {','.join(SYSTEMS)}")
    command.add_argument("--worlds", type=_names, help=f"of {','.join(WORLDS)} (all)")
    command.add_argument("--limit", type=int, help="items, a seeded sample (all)")
    command.add_argument("--out", type=Path, help=f"folder ({defaults.out})")
    command.add_argument("--base", help="checkpoint: folder or hub id (the small one here)")
    command.add_argument("--adapter", help="LoRA adapter: folder or hub id")
    command.add_argument("--index", type=Path, help=f"index folder ({defaults.index})")
    command.add_argument("--seed", type=int)
    command.add_argument("--batch", type=int, help=f"prompts at once ({defaults.batch})")
    command.add_argument(
        "--timed", type=int, help=f"items answered one by one, for the times ({defaults.timed})"
    )
    command.add_argument("--max-new-tokens", type=int, help=f"({defaults.max_new_tokens})")
    command.add_argument("--device", help="auto (default), cpu or cuda")
    command.add_argument(
        "--protocol",
        action="store_true",
        default=None,
        help="also measure in the prior work's ways, labelled as such",
    )
    command.set_defaults(func=_run)

    for name, func, what in (
        ("score", _score, "figures from a predictions file"),
        ("report", _report, "report.html and report.md from a predictions file"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("file", type=Path, help="predictions file, or the folder of a run")
        command.add_argument("--judge", help="entailment model for citations: folder or hub id")
        command.set_defaults(func=func)

    command = commands.add_parser("compare", help="status 1 if B is worse than A by the margin")
    command.add_argument("a", type=Path, help="predictions file or folder of the former run")
    command.add_argument("b", type=Path, help="of the new run")
    command.add_argument("--margin", type=float, default=0.02, help="largest fall, 0 to 1 (0.02)")
    command.set_defaults(func=_compare)

    command = commands.add_parser("redteam", help="safety gate, refusal and bias suites")
    command.add_argument("--index", type=Path, help="also ask the assistant over this index")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(func=_redteam)

    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "matplotlib", "absl", "faiss"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return cli.run(arguments.func, arguments)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _run(arguments: argparse.Namespace) -> int:
    from eval import run

    fields = {k: v for k, v in vars(arguments).items() if k != "func"}
    print(run.run(make_config(fields), named=arguments.systems is not None))
    return cli.EXIT_OK


def _score(arguments: argparse.Namespace) -> int:
    from eval import records

    predictions = records.read(arguments.file)
    from eval import score

    scores = score.score_with(predictions, arguments.judge)
    print(score.write(scores, records.resolve(arguments.file).parent))
    return cli.EXIT_OK


def _report(arguments: argparse.Namespace) -> int:
    from eval import records

    predictions = records.read(arguments.file)
    from eval import report, score

    folder = records.resolve(arguments.file).parent
    scores = score.score_with(predictions, arguments.judge)
    score.write(scores, folder)
    for path in report.write(scores, predictions, folder):
        print(path)
    return cli.EXIT_OK


def _compare(arguments: argparse.Namespace) -> int:
    from eval import records

    before, after = records.read(arguments.a), records.read(arguments.b)
    from eval import compare, score

    changes = compare.changes(score.score_with(before), score.score_with(after))
    print(compare.table(changes, arguments.margin))
    return compare.status(changes, arguments.margin)


def _redteam(arguments: argparse.Namespace) -> int:
    from eval import redteam

    suites = redteam.run(arguments.index)
    if arguments.json:
        print(json.dumps([asdict(suite) for suite in suites], ensure_ascii=False))
    else:
        print(redteam.table(suites))
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
