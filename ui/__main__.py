"""For the owner of a service: `python -m ui feedback` prints the ratings as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from index import cli
from index.errors import ExpectedError
from ui.feedback import FeedbackStore
from ui.settings import load_service_settings


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ui", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("feedback", help="print the stored ratings as CSV")
    command.add_argument("--file", type=Path, help="instead of the one of MEDCARDS_FEEDBACK")
    command.set_defaults(func=_feedback)
    arguments = parser.parse_args(argv)
    return cli.run(arguments.func, arguments)


def _feedback(arguments: argparse.Namespace) -> int:
    path = arguments.file or load_service_settings().feedback_path
    if path is None or not path.is_file():
        raise ExpectedError(
            f"no ratings at {str(path)!r}: expected the file of MEDCARDS_FEEDBACK; name it with "
            "--file"
        )
    print(FeedbackStore(path).csv(), end="")
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
