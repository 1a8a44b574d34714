"""The smallest parts of the page: inert text, words for numbers, bars, icons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ui import strings
from ui.strings import Lang, Text


def inert(text: str) -> str:
    """Text that is displayed as it is, whatever it contains, also inside a quoted attribute."""
    return "".join(map(_shown, text))


def _shown(c: str) -> str:
    if c.isalnum() or c in " ,.'":
        return c
    if (c < " " and c not in "\t\n\r") or c == "\x7f":
        return ""  # a control code shows nothing
    if "\ud800" <= c <= "\udfff":
        return "\ufffd"  # half a character: no encoding can carry it
    return c if ord(c) > 127 else f"&#{ord(c)};"


def attribute(url: str) -> str:
    """A URL inside double quotes; `index.cards` lets only http(s) links through."""
    return "".join(c if c.isalnum() or c in ":/.-_~?=%+,;" else f"&#{ord(c)};" for c in url)


def in_words(value: float, scale: Sequence[tuple[float, Text]], lang: Lang) -> str:
    """The word of the first step that a value reaches; the last step takes what is below."""
    word = next((word for least, word in scale if value >= least), scale[-1][1])
    return word(lang)


def percent(value: float) -> int:
    """0 to 100, also for a cosine below zero."""
    return round(max(0.0, min(1.0, value)) * 100)


def closeness_html(score: float, lang: Lang) -> str:
    """A cosine as a bar and a word."""
    share = percent(score)
    word = inert(in_words(score, strings.CLOSENESS_WORDS, lang))
    name = inert(strings.CLOSENESS(lang))
    return (
        f'<p class="mc-score" title="{inert(strings.CLOSENESS_MEANS(lang))}">'
        f'<span class="mc-bar" role="img" aria-label="{name}: {share} / 100">'
        f'<i style="width:{share}%"></i></span><span>{word}</span></p>'
    )


def icon(name: str) -> str:
    """A decorative picture."""
    return f'<svg class="mc-icon" viewBox="0 0 24 24" aria-hidden="true">{_paths()[name]}</svg>'


@cache
def _paths() -> dict[str, str]:
    """Icons drawn for this page: 24 units square, stroked in the colour of the text."""
    shapes = {
        "alert": "M12 3 2.5 20h19L12 3Zm0 6.5v5M12 17.3v.2",
        "info": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-10v5.5M12 7.6v.2",
        "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5",
        "copy": "M9 9h11v11H9ZM5 15H4V4h11v1",
        "retry": "M20 12a8 8 0 1 1-2.5-5.8M20 3v4.5h-4.5",
        "pen": "M4 20l1-4L16 5l3 3L8 19l-4 1ZM14 7l3 3",
        "up": "M7 11v9H4v-9Zm0 0 4-8c2 0 2.5 1.5 2.2 3L12.6 9.5H19c1.4 0 2 1 1.7 2.2"
        "l-1.6 6.6c-.3 1-1 1.7-2 1.7H7",
        "down": "M17 13V4h3v9Zm0 0-4 8c-2 0-2.5-1.5-2.2-3l.6-3.5H5c-1.4 0-2-1-1.7-2.2"
        "l1.6-6.6C5.2 4.7 5.9 4 6.9 4H17",
        "back": "M10 6l-6 6 6 6M4 12h16",
        "arrow": "M5 12h14M13 6l6 6-6 6",
    }
    return {name: f'<path d="{shape}"></path>' for name, shape in shapes.items()}
