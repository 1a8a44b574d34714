"""Train adapters for medcards, compare runs, export and publish them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module
from pathlib import Path

from index import cli
from index.errors import ExpectedError
from training.config import RunConfig, load_config, recipes

_OWN_COMMAND_LINE = {
    "embedder": "train the embedder",
    "crossencoder": "train what judges whether a card answers a question",
    "calibration": "turn its logits into probabilities and thresholds",
    "gate": "train and fit the safety gate",
    "support-reader": "try to train what reads a sentence beside a card",
}


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] and arguments[0] in _OWN_COMMAND_LINE:
        own: int = import_module(f"training.{arguments[0].replace('-', '_')}").main(arguments[1:])
        return own
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("recipes", help="the runs that are ready to start")
    command.set_defaults(func=_recipes)

    command = commands.add_parser("run", help="train an adapter; prints its folder")
    command.add_argument("recipe", help="name of a recipe, or a YAML file")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    command.add_argument("--estimate", action="store_true", help="only say memory and time")
    command.add_argument("--base", help="base checkpoint, a folder or hub id, for the recipe's")
    command.add_argument("--index", type=Path, help="index folder, for the recipe's")
    command.add_argument("--out", type=Path, help="run folder (default: by the run's name)")
    command.set_defaults(func=_run)

    command = commands.add_parser("sweep", help="a grid of runs; ends in a table and a plot")
    command.add_argument("file", type=Path, help="YAML file with a recipe and a grid")
    command.add_argument("--base", help="base checkpoint, for the recipe's")
    command.add_argument("--index", type=Path, help="index folder, for the recipe's")
    command.add_argument("--out", type=Path, help="folder of the sweep (default: by its name)")
    command.set_defaults(func=_sweep)

    command = commands.add_parser("export", help="merge an adapter into its base, or make a GGUF")
    command.add_argument("run", type=Path, help="folder of a run")
    command.add_argument("kind", choices=("merged", "gguf"))
    command.add_argument(
        "--type", choices=("f16", "q8_0", "q4_0"), default="q8_0", help="of a GGUF"
    )
    command.add_argument("--base", help="where the base is, if not where the run found it")
    command.add_argument("--out", type=Path, help="folder or file to write")
    command.set_defaults(func=_export)

    command = commands.add_parser("push", help="upload an adapter with its model card to a hub")
    command.add_argument("run", type=Path, help="folder of a run")
    command.add_argument("repository", help="hub id, owner/name")
    command.add_argument("--private", action="store_true")
    command.set_defaults(func=_push)

    for name, about in _OWN_COMMAND_LINE.items():
        commands.add_parser(name, help=about)

    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("faiss").setLevel(logging.WARNING)
    return cli.run(parsed.func, parsed)


def _recipes(arguments: argparse.Namespace) -> int:
    del arguments
    for name, path in recipes().items():
        about = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        print(f"{name:<24} {about}")
    return cli.EXIT_OK


def _run(arguments: argparse.Namespace) -> int:
    config = _with_options(load_config(arguments.recipe), arguments)
    _require("trl")
    if arguments.estimate:
        from training import estimate

        print(estimate.report(config))
        return cli.EXIT_OK
    from training.run import train

    where = train(config, arguments.out, arguments.resume)
    if os.environ.get("RANK", "0") == "0":  # the first of the processes, where there are several
        print(where)
    return cli.EXIT_OK


def _sweep(arguments: argparse.Namespace) -> int:
    _require("trl")
    from training import sweep

    plan = sweep.load_plan(arguments.file)
    given = {"base": arguments.base, "index": arguments.index}
    print(sweep.run(plan, {k: v for k, v in given.items() if v is not None}, arguments.out))
    return cli.EXIT_OK


def _export(arguments: argparse.Namespace) -> int:
    _require("peft")
    from training import export

    if arguments.kind == "merged":
        print(export.merge(arguments.run, arguments.out, arguments.base))
    else:
        print(export.to_gguf(arguments.run, arguments.type, arguments.out, arguments.base))
    return cli.EXIT_OK


def _push(arguments: argparse.Namespace) -> int:
    from training import push

    print(push.push(arguments.run, arguments.repository, arguments.private))
    return cli.EXIT_OK


def _with_options(config: RunConfig, arguments: argparse.Namespace) -> RunConfig:
    given = {"base": arguments.base, "index": arguments.index}
    return config.model_copy(update={k: v for k, v in given.items() if v is not None})


def _require(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ExpectedError(
            f"training needs the package {package!r}: pip install 'medcards[train]'"
        )


if __name__ == "__main__":
    sys.exit(main())
