"""Ask one question, or chat, in the terminal."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import textwrap
from dataclasses import asdict

from assistant.answer import Answer
from assistant.build import build_assistant
from assistant.pipeline import Assistant, QuestionError, Turn
from assistant.settings import load_settings
from index import cli

_WIDTH = 88
_HELP = "empty line or Ctrl-D to leave"


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m assistant", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("ask", help="one question, one answer")
    command.add_argument("question", nargs="*", help="none, with --json: one a line from stdin")
    command.add_argument("--json", action="store_true", help="one JSON object an answer")
    command.add_argument("--simple", action="store_true", help="in simpler words")
    command.set_defaults(func=_ask)

    command = commands.add_parser("chat", help=f"a conversation; {_HELP}")
    command.set_defaults(func=_chat)

    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return cli.run(arguments.func, arguments)


def _ask(arguments: argparse.Namespace) -> int:
    if not arguments.question and arguments.json:
        return _ask_lines(arguments.simple)
    question = " ".join(arguments.question)
    if not question.strip():
        raise QuestionError("expected a question, got none: type it after 'ask'")
    answer = build_assistant(load_settings()).answer(question, simple=arguments.simple)
    print(answer.to_json() if arguments.json else _page(answer))
    return cli.EXIT_OK


def _ask_lines(simple: bool) -> int:
    """Answer every line of stdin; a line that cannot be asked gets an error object."""
    assistant = build_assistant(load_settings())
    for line in sys.stdin:
        question = line.rstrip("\n")
        try:
            result = asdict(assistant.answer(question, simple=simple))
        except QuestionError as error:
            result = {"error": str(error)}
        print(json.dumps({"asked": question, **result}, ensure_ascii=False), flush=True)
    return cli.EXIT_OK


def _chat(arguments: argparse.Namespace) -> int:
    assistant = build_assistant(load_settings())
    history: list[Turn] = []
    print(f"medcards, {_HELP}. For learning, not medical advice.", file=sys.stderr)
    while True:
        try:
            question = input("\n> ")
        except EOFError:
            return cli.EXIT_OK
        if not question.strip():
            return cli.EXIT_OK
        try:
            answer = _said(assistant, question, history)
        except QuestionError as error:
            print(error, file=sys.stderr)
            continue
        history.append(Turn(question, answer.text))


def _said(assistant: Assistant, question: str, history: list[Turn]) -> Answer:
    answer = assistant.answer(question, history)
    print(_page(answer))
    return answer


def _page(answer: Answer) -> str:
    """An answer with its cards, wrapped for a terminal."""
    parts = [_wrap(paragraph) for paragraph in (answer.notice, answer.text) if paragraph]
    for title, cards in (("Cards cited", answer.sources), ("Nearest cards", answer.nearby)):
        if not cards or (title == "Nearest cards" and answer.sources):
            continue
        lines = [f"{title}:"]
        for card in cards:
            lines.append(_wrap(f"[{card.n}] {card.question} ({card.score:.2f})"))
            if card.url:
                lines.append(f"    {card.source or card.url}: {card.url}")
        parts.append("\n".join(lines))
    parts.extend(_wrap(f"{term.term}: {term.definition}") for term in answer.terms)
    parts.append(f"({answer.status}; confidence {answer.confidence:.2f}; {answer.generator})")
    return "\n\n".join(parts)


def _wrap(text: str) -> str:
    return "\n".join(textwrap.fill(line, _WIDTH) for line in text.splitlines())
