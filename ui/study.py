"""Cited cards as an Anki deck to study."""

from __future__ import annotations

import hashlib
import html
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from assistant.answer import Source

DECK_NAME = "medcards"
_MODEL_ID = 1_682_330_117  # fixed, so that a second import updates notes instead of adding a type
_DECK_ID = 1_682_330_118
_TEMPLATE = {
    "name": "Card",
    "qfmt": "{{Question}}",
    "afmt": '{{FrontSide}}<hr id="answer">{{Answer}}<div class="source">{{Source}}</div>',
}
_CSS = """.card { font-family: sans-serif; font-size: 20px; line-height: 1.5; text-align: left; }
.source { margin-top: 1em; font-size: 14px; opacity: 0.7; }"""


def anki_package(sources: Sequence[Source]) -> bytes:
    """An `.apkg` with one note a card; the same card gets the same note in every export."""
    import genanki  # type: ignore[import-untyped]  # it ships no types

    model = genanki.Model(
        _MODEL_ID,
        "medcards",
        fields=[{"name": "Question"}, {"name": "Answer"}, {"name": "Source"}],
        templates=[_TEMPLATE],
        css=_CSS,
    )
    deck = genanki.Deck(_DECK_ID, DECK_NAME)
    for source in sources:
        deck.add_note(
            genanki.Note(
                model=model,
                fields=[_field(source.question), _field(source.answer), _link(source)],
                guid=hashlib.sha256(f"medcards:{source.card_id}".encode()).hexdigest()[:16],
                tags=[re.sub(r"\s+", "_", source.topic)] if source.topic else [],
            )
        )
    with tempfile.TemporaryDirectory(prefix="medcards-study-") as folder:
        path = Path(folder) / "cards.apkg"
        genanki.Package(deck).write_to_file(path)
        return path.read_bytes()


def _field(text: str) -> str:
    """Fields of Anki are HTML, and `{{` starts a gap there."""
    return html.escape(text).replace("{{", "&#123;&#123;").replace("[", "&#91;")


def _link(source: Source) -> str:
    if not source.url:
        return _field(source.source or "")
    return f'<a href="{html.escape(source.url)}">{_field(source.source or source.url)}</a>'
