"""For the owner of a service: `python -m ui feedback` prints the ratings as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from index import cli
from index.errors import ExpectedError
from ui.feedback import FeedbackStore, reason
from ui.settings import SQLITE, load_service_settings


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ui", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("feedback", help="print the stored ratings as CSV")
    command.add_argument("--file", help="a file or URL instead of that of MEDCARDS_FEEDBACK")
    command.set_defaults(func=_feedback)
    arguments = parser.parse_args(argv)
    return cli.run(arguments.func, arguments)


def _feedback(arguments: argparse.Namespace) -> int:
    settings = load_service_settings()
    if arguments.file:
        settings = settings.model_copy(update={"feedback": arguments.file})
    url = settings.feedback_url
    file = Path(url.removeprefix(SQLITE)) if url and url.startswith(SQLITE) else None
    if url is None:
        raise ExpectedError(
            "no ratings are kept: MEDCARDS_FEEDBACK is off; set it to a file or database, or name "
            "one with --file"
        )
    if file is not None and not file.is_file():
        raise ExpectedError(
            f"no ratings at {str(file)!r}: expected the file or database of MEDCARDS_FEEDBACK; "
            "name it with --file"
        )
    store = FeedbackStore(url)
    try:
        print(store.csv(), end="")
    except SQLAlchemyError as error:
        raise ExpectedError(f"cannot read the ratings in {store}: {reason(error)}") from error
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
