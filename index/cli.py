"""What the command lines share: exit statuses and one-line errors."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from index.errors import ExpectedError
from index.text import clean

EXIT_OK = 0
EXIT_EXPECTED_FAILURE = 2
EXIT_INTERRUPTED = 130
_YOUNG = 200_000  # new objects between two searches for cycles


def run(command: Callable[[Namespace], int], arguments: Namespace) -> int:
    """Call a command and turn anticipated failures into one line on stderr and a status.

    Anything that is not an `ExpectedError` is a bug and keeps its traceback.
    """
    try:
        return command(arguments)
    except ExpectedError as error:
        # Cleaned, because a message may quote a deck: one line, and no codes for the terminal.
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return EXIT_EXPECTED_FAILURE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout (head, less) has left; that is its right, not an error.
        # Python would still flush stdout at exit and complain: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def process(module: str) -> NoReturn:
    """Import a module and run its `main` as the whole of this process.

    Python searches for cycles of objects every 700 new ones, and twice at its end. The libraries
    make 150,000 objects and a build makes millions, hardly any of them in a cycle: the searches
    took half a second of every command, and a quarter of what a rebuild does beside embedding.
    """
    gc.set_threshold(_YOUNG)
    status = import_module(module).main()
    gc.freeze()
    sys.exit(status)
