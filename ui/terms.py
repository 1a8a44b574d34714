"""Medical words of an answer, explained by cards below it, where the assistant found any."""

from __future__ import annotations

from assistant.answer import Answer, Term
from ui import strings
from ui.marks import inert
from ui.strings import Lang


def terms_html(answer: Answer, lang: Lang) -> str:
    """The words with their meanings; nothing where there are none."""
    if not answer.terms or answer.status != "answered":
        return ""
    rows = "".join(map(_row, answer.terms))
    return (
        f'<details class="mc-terms" open><summary>{inert(strings.TERMS(lang))}</summary>'
        f'<dl lang="en">{rows}</dl></details>'
    )


def _row(term: Term) -> str:
    """A word, what a card says that it means, and where that can be checked."""
    source = f" <em>({inert(term.source)})</em>" if term.source else ""
    return f"<dt>{inert(term.term)}</dt><dd>{inert(term.definition)}{source}</dd>"
