"""A conversation as the browser keeps it, and as a file to take away."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from assistant.answer import Answer, Source
from assistant.pipeline import Turn
from assistant.settings import LONGEST_QUESTION
from ui import strings
from ui.strings import Lang

SCHEMA = 1
MAX_TURNS = 60
MAX_CHARS = 1_500_000  # of JSON; browsers give a site 5 MB, and encryption adds a third
_ID = re.compile(r"[0-9a-f]{8}")
_ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the conversation with what came of it.

    `answer` is None while nothing was said yet, and stays so when the answer was interrupted.
    """

    id: str
    question: str
    answer: Answer | None = None
    stopped: bool = False
    error: str = ""  # what went wrong, as the user is told it


def asked(question: str) -> Asked:
    """A question that was just asked."""
    return Asked(secrets.token_hex(4), question)


def history(turns: Sequence[Asked]) -> list[Turn]:
    """The turns that a follow-up can lean on."""
    return [Turn(turn.question, turn.answer.text) for turn in turns if turn.answer is not None]


def before(turns: Sequence[Asked], turn_id: str) -> list[Asked]:
    """The turns before one; all of them when there is no such turn."""
    ids = [turn.id for turn in turns]
    return list(turns[: ids.index(turn_id)] if turn_id in ids else turns)


def dump(turns: Sequence[Asked]) -> dict[str, Any]:
    """The conversation for the browser's storage; the oldest turns go when it is too long."""
    rows = [asdict(turn) for turn in turns][-MAX_TURNS:]
    sizes = [len(json.dumps(row)) for row in rows]
    while sum(sizes) > MAX_CHARS and len(rows) > 1:
        rows.pop(0)
        sizes.pop(0)
    return {"schema": SCHEMA, "turns": rows}


def load(stored: object) -> list[Asked]:
    """The conversation that a browser sent; what cannot be read is left out.

    The storage belongs to the user and may hold anything, or come from another version.
    """
    if not isinstance(stored, Mapping) or stored.get("schema") != SCHEMA:
        return []
    rows = stored.get("turns")
    read = [_turn(row) for row in rows[-MAX_TURNS:]] if isinstance(rows, list) else []
    return [turn for turn in read if turn is not None]


def _turn(row: object) -> Asked | None:
    if not isinstance(row, Mapping):
        return None
    identifier, question = row.get("id"), row.get("question")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        return None
    if not isinstance(question, str):
        return None
    question = question[:LONGEST_QUESTION]
    turn = Asked(identifier, question, None, bool(row.get("stopped")), str(row.get("error") or ""))
    if row.get("answer") is None:
        return turn
    try:
        answer = _ANSWER.validate_python(row["answer"])
    except ValidationError:
        return turn
    return replace(turn, answer=_safe(answer))


def _safe(answer: Answer) -> Answer:
    """Links become `href`s: what comes back from a browser is held to the rule of `index.cards`."""

    def checked(source: Source) -> Source:
        web = (source.url or "").lower().startswith(("http://", "https://"))
        return source if web else replace(source, url=None)

    return replace(
        answer,
        sources=tuple(map(checked, answer.sources)),
        nearby=tuple(map(checked, answer.nearby)),
    )


def cited(turns: Sequence[Asked]) -> list[Source]:
    """Every card that an answer cited, once, in order of first use."""
    found: dict[str, Source] = {}
    for turn in turns:
        for source in turn.answer.sources if turn.answer else ():
            found.setdefault(source.card_id, source)
    return list(found.values())


def as_json(turns: Sequence[Asked]) -> str:
    """The conversation as JSON; `load` reads it back."""
    record = {"saved": _now(), "disclaimer": strings.DISCLAIMER.en, **dump(turns)}
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def as_markdown(turns: Sequence[Asked], lang: Lang) -> str:
    """The conversation as Markdown that shows every text as it is."""
    parts = [f"# {strings.TITLE}", f"_{_now()}_", f"> {strings.DISCLAIMER(lang)}"]
    for turn in turns:
        parts.append(f"## {_plain(turn.question)}")
        answer = turn.answer
        if answer is None:
            parts.append(f"_{strings.INTERRUPTED(lang)}_")
            continue
        if answer.notice:
            parts.append(f"**{_plain(answer.notice)}**")
        parts.append(_plain(answer.text))
        if turn.stopped:
            parts.append(f"_{strings.STOPPED(lang)}_")
        cards = answer.sources or answer.nearby
        if cards:
            title = strings.CITED if answer.sources else strings.NEAREST
            parts.append(f"### {title(lang)}")
            parts.append("\n\n".join(map(_card_markdown, cards)))
    return "\n\n".join(parts) + "\n"


def _card_markdown(source: Source) -> str:
    lines = [f"**\\[{source.n}\\] {_plain(source.question)}**  ", _plain(source.answer)]
    if source.url:
        link = re.sub(r"[()<>\s]", lambda m: f"%{ord(m[0]):02X}", source.url)
        lines[-1] += "  "
        lines.append(f"[{_plain(source.source or source.url)}]({link})")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    flat = " ".join(text.split())
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|$~<>&-])", r"\\\1", flat)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
