"""Build an index of flashcards, look into it, search it, check it, measure it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from index import build, cli, filters, manifest, retrieve
from index.config import DEFAULT_EMBEDDER, load_config
from index.errors import ExpectedError
from index.paths import default_index, home
from index.store import Store
from index.text import clean


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m index", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="decks -> cards -> index")
    command.add_argument(
        "--deck",
        action="append",
        help="starter (default), flashcards, a file, a folder or a hub id; may be given repeatedly",
    )
    command.add_argument("--out", type=Path, help="index folder (default: by the deck's name)")
    command.add_argument("--embedder", help=f"embedding model (default: {DEFAULT_EMBEDDER})")
    command.add_argument("--max-megabytes", type=int, help="largest deck file that is read")
    command.add_argument("--config", type=Path, help="YAML file; the options above override it")
    command.add_argument(
        "--engine", choices=["local", "ray"], help="what embeds: this machine, a Ray cluster"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would change")
    command.set_defaults(func=_build)

    command = commands.add_parser("info", help="what an index holds")
    _add_index(command)
    command.set_defaults(func=_info)

    command = commands.add_parser("search", help="the cards nearest to a question")
    command.add_argument("query")
    command.add_argument("--top", type=int, default=5, help="how many cards (default 5)")
    command.add_argument("--topic", action="append", help="only cards on it; may be repeated")
    command.add_argument("--deck", action="append", help="only cards from it; may be repeated")
    command.add_argument("--reranker", help="cross-encoder, a folder or hub id (default: none)")
    command.add_argument("--json", action="store_true", help="one JSON object a card")
    _add_index(command)
    command.set_defaults(func=_search)

    command = commands.add_parser("verify", help="check every file against the manifest")
    _add_index(command)
    command.set_defaults(func=_verify)

    command = commands.add_parser("publish", help="copy the vectors into Milvus")
    command.add_argument("--vectors", required=True, help="its URI, as in MEDCARDS_VECTORS")
    _add_index(command)
    command.set_defaults(func=_publish)

    command = commands.add_parser("bench", help="measure what is found, how fast and how costly")
    command.add_argument("--deck", default="starter", help="the deck to index (default: starter)")
    command.add_argument(
        "--queries", type=Path, action="append", default=[],
        help="JSONL file of questions, each with the card_id, or its row's standin_id, to be found",
    )  # fmt: skip
    command.add_argument(
        "--pairs", action="append",
        help="deck whose questions are asked of its answers alone (default: starter)",
    )  # fmt: skip
    command.add_argument("--embedder", default=DEFAULT_EMBEDDER, help="the tuned one")
    command.add_argument("--out", type=Path, default=home() / "bench", help="folder of the results")
    command.add_argument("--cards", type=int, default=400, help="embedded for the speed (400)")
    command.add_argument("--rounds", type=int, default=3, help="of the speed; 0 leaves it out")
    command.add_argument(
        "--reference", type=int, default=1000,
        help="documents on which int8 is compared with the stock call (1000; 0 leaves it out)",
    )  # fmt: skip
    command.add_argument("--vectors", type=int, default=0, help="of a large synthetic index")
    command.set_defaults(func=_bench)

    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for chatty in ("httpx", "httpx2", "huggingface_hub", "sentence_transformers"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    return cli.run(arguments.func, arguments)


def _add_index(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--index", type=Path, default=default_index("starter"), help="index folder"
    )


def _build(arguments: argparse.Namespace) -> int:
    given = {
        "decks": tuple(arguments.deck) if arguments.deck else None,
        "out": arguments.out,
        "embedder": arguments.embedder,
        "max_megabytes": arguments.max_megabytes,
        "engine": arguments.engine,
    }
    config = load_config(arguments.config, {k: v for k, v in given.items() if v is not None})
    if arguments.dry_run:
        print(json.dumps(asdict(build.plan(config)), indent=2))
        return cli.EXIT_OK
    build.build(config)
    print(build.output_folder(config))
    return cli.EXIT_OK


def _info(arguments: argparse.Namespace) -> int:
    record = manifest.read(arguments.index)
    print(record.model_dump_json(indent=2, exclude={"files", "config"}))
    return cli.EXIT_OK


def _search(arguments: argparse.Namespace) -> int:
    if not clean(arguments.query):
        raise ExpectedError("expected a question to search for, got an empty one")
    if arguments.top < 1:
        raise ExpectedError(f"expected --top of at least 1, got {arguments.top}")
    retriever = retrieve.open_index(arguments.index, reranker=arguments.reranker)
    hits = retriever.hits(
        arguments.query,
        arguments.top,
        topics=filters.resolve("topic", arguments.topic, retriever.topics()),
        decks=filters.resolve("deck", arguments.deck, retriever.decks()),
    )
    for place, hit in enumerate(hits, start=1):
        if arguments.json:
            print(json.dumps(asdict(hit), ensure_ascii=False))
        else:
            print(f"{place}. {hit.score:.3f}  {hit.card.question}\n   {hit.card.answer}")
    return cli.EXIT_OK


def _verify(arguments: argparse.Namespace) -> int:
    record = manifest.read(arguments.index)
    manifest.verify(record, arguments.index)
    print(f"{len(record.files)} files are as built: {record.cards:,} cards")
    return cli.EXIT_OK


def _publish(arguments: argparse.Namespace) -> int:
    from index import milvus

    record = manifest.read(arguments.index)
    manifest.verify(record, arguments.index)
    store = Store(arguments.index / record.generation / manifest.VECTORS)
    print(milvus.publish(store.all_vectors(), record, arguments.vectors))
    return cli.EXIT_OK


def _bench(arguments: argparse.Namespace) -> int:
    from index.bench import run

    options = run.BenchOptions(
        deck=arguments.deck,
        out=arguments.out,
        queries=tuple(arguments.queries),
        pairs=tuple(arguments.pairs or ["starter"]),
        embedder=arguments.embedder,
        texts=arguments.cards,
        rounds=arguments.rounds,
        reference=arguments.reference,
        vectors=arguments.vectors,
    )
    print(run.run(options).read_text(encoding="utf-8"), end="")
    return cli.EXIT_OK
