"""A turn of the conversation as HTML: pure functions, safe for any card and any question.

Card text, questions and generated text are untrusted. `inert` turns every character that could
mean something to HTML, Markdown or LaTeX into a numeric entity, so that it can only be shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.answer import Answer, Sentence, Source
from index.text import sentences as split_sentences
from ui import strings
from ui.conversation import Asked
from ui.explain import how_html
from ui.marks import attribute, closeness_html, icon, in_words, inert
from ui.strings import Lang
from ui.terms import terms_html

LONG = 900  # characters of a question or a side of a card that are shown at once
HELPLINES = "findahelpline.com"
CONTENT_LANG = "en"  # of decks and fixed texts, whatever the language of the page


def welcome_html(cards: int, lang: Lang) -> str:
    """What stands where the conversation will be: what this is, and questions to try."""
    examples = "".join(
        f'<li><button type="button" class="mc-example" data-ask="{inert(question)}" '
        f'lang="{CONTENT_LANG}">{inert(question)}{icon("arrow")}</button></li>'
        for question in strings.EXAMPLES
    )
    how = strings.WELCOME_HOW(lang).format(cards=f"{cards:,}")
    note = strings.ANSWER_LANGUAGE(lang)
    return (
        f'<section class="mc-welcome"><h2>{inert(strings.WELCOME(lang))}</h2>'
        f"<p>{inert(how)} {inert(note)}</p>"
        f'<ul aria-label="{inert(strings.EXAMPLES_LABEL(lang))}">{examples}</ul></section>'
    )


def earlier_html(turns: Sequence[Asked], lang: Lang, *, cards: int, feedback: bool = False) -> str:
    """The conversation when nothing is being asked, or the welcome that stands in its place."""
    if not turns:
        return welcome_html(cards, lang)
    last = turn_html(turns[-1], lang, last=True, feedback=feedback)
    return turns_html(turns[:-1], lang, feedback) + last


def turns_html(turns: Sequence[Asked], lang: Lang, feedback: bool = False) -> str:
    """Turns that others follow."""
    return "".join(turn_html(turn, lang, feedback=feedback) for turn in turns)


def turn_html(
    turn: Asked, lang: Lang, *, pending: str = "", last: bool = False, feedback: bool = False
) -> str:
    """A question, its answer and its cards.

    Args:
        pending: what is going on, while the answer is being written.
        last: whether it can be retried and undone.
        feedback: whether ratings are stored.
    """
    state = "pending" if pending else "stopped" if turn.stopped else "done"
    answer = turn.answer
    kind = answer.status if answer else "none"
    parts = [said_html(turn, answer, pending, lang)]
    if not pending:
        parts.append(_actions(turn, lang, last, feedback))
        if answer:
            parts.append(terms_html(answer, lang))
            parts.append(how_html(turn.id, answer, lang))
    cards = cards_html(turn.id, answer, lang, streaming=bool(pending)) if answer else ""
    return (
        f'<article class="mc-turn mc-is-{kind}" id="t-{turn.id}" data-turn="{turn.id}" '
        f'data-state="{state}" aria-labelledby="q-{turn.id}">'
        f'<h2 class="mc-question" id="q-{turn.id}" tabindex="-1"><span class="mc-sr">'
        f"{inert(strings.YOU_ASKED(lang))}{strings.COLON(lang)}</span>"
        f'<span class="mc-asked{_long(turn.question)} dir="auto">{inert(turn.question)}</span></h2>'
        f'<div class="mc-grid"><div class="mc-answer">{"".join(parts)}</div>{cards}</div></article>'
    )


def said_html(turn: Asked, answer: Answer | None, pending: str, lang: Lang) -> str:
    """What was said: notice, sentences or fixed text, and how it stands."""
    parts: list[str] = []
    if answer is not None:
        if answer.notice:
            parts.append(
                f'<div class="mc-notice" role="note"><strong>{icon("info")}'
                f"{inert(strings.NOTICE(lang))}</strong>{_paragraphs(answer.notice)}</div>"
            )
        parts.append(
            _sentences(turn.id, answer) if answer.status == "answered" else _fixed(answer, lang)
        )
    if pending:
        parts.append(
            f'<p class="mc-pending"><i class="mc-dots" aria-hidden="true"></i>{inert(pending)}</p>'
        )
    elif turn.error:
        parts.append(f'<p class="mc-error" role="alert">{icon("alert")}{inert(turn.error)}</p>')
    elif answer is None:
        parts.append(f'<p class="mc-error">{icon("alert")}{inert(strings.INTERRUPTED(lang))}</p>')
    elif turn.stopped:
        parts.append(f'<p class="mc-quiet">{inert(strings.STOPPED(lang))}</p>')
    return "".join(parts)


def _sentences(turn_id: str, answer: Answer) -> str:
    if not answer.sentences:
        return ""
    titles = {source.n: source.question for source in answer.sources}
    said = " ".join(
        _sentence(turn_id, i, sentence, titles) for i, sentence in enumerate(answer.sentences)
    )
    return f'<p class="mc-text" lang="{CONTENT_LANG}" dir="auto">{said}</p>'


def _sentence(turn_id: str, position: int, sentence: Sentence, titles: dict[int, str]) -> str:
    numbers = "".join(
        f'<button type="button" class="mc-cite" id="s-{turn_id}-{position}-{n}" data-n="{n}" '
        f'aria-label="{inert(strings.SHOW_CARD.en.format(n=n, question=titles.get(n, "")))}">'
        f"{n}</button>"
        for n in sentence.citations
    )
    cites = " ".join(map(str, sentence.citations))
    return f'<span class="mc-sentence" data-cites="{cites}">{inert(sentence.text)} {numbers}</span>'


def _fixed(answer: Answer, lang: Lang) -> str:
    """The text of a refusal or an emergency, with its title."""
    if answer.status != "emergency":
        mark = icon("search" if answer.status == "abstained" else "info")
        title = inert(strings.STATUS[answer.status](lang))
        return (
            f'<div class="mc-fixed mc-{answer.status}"><h3>{mark}{title}</h3>'
            f"{_helplines(_paragraphs(answer.text))}</div>"
        )
    danger = answer.danger or "emergency"
    # What to do now stands out; the rest follows one step a line. Nothing is left out.
    steps = split_sentences(" ".join(answer.text.split()))
    said = f'<p class="mc-call">{inert(" ".join(steps[:2]))}</p>'
    said += "".join(f"<p>{inert(step)}</p>" for step in steps[2:])
    return (
        f'<div class="mc-emergency mc-danger-{danger}" role="alert">'
        f"<h3>{icon('alert')}{inert(strings.DANGERS[danger](lang))}</h3>"
        f'<div lang="{CONTENT_LANG}">{_helplines(said)}</div></div>'
    )


def _helplines(page: str) -> str:
    """The directory of crisis lines that the fixed texts name, as a link."""
    link = f'<a href="https://{HELPLINES}" target="_blank" rel="noopener noreferrer">'
    return page.replace(HELPLINES, f"{link}{HELPLINES}</a>")


def _actions(turn: Asked, lang: Lang, last: bool, feedback: bool) -> str:
    """What can be done with a turn that is over."""
    answer = turn.answer
    facts: list[str] = []
    if answer and answer.status == "answered" and answer.sentences:
        word = in_words(answer.confidence, strings.CONFIDENCE_WORDS, lang)
        facts.append(
            f'<span class="mc-confidence" title="{inert(strings.CONFIDENCE_MEANS(lang))}">'
            f"{inert(strings.CONFIDENCE(lang))}{strings.COLON(lang)}<b>{inert(word)}</b></span>"
        )
        if answer.removed:
            facts.append(inert(strings.REMOVED(lang).format(n=len(answer.removed))))
    buttons = [_button("copy", strings.COPY(lang), "copy")] if answer else []
    if last:
        buttons.append(_button("retry", strings.RETRY(lang), "retry"))
    buttons.append(_button("edit", strings.EDIT(lang), "pen"))
    if feedback and answer:
        buttons.append(_button("up", strings.GOOD(lang), "up", pressed=True))
        buttons.append(_button("down", strings.BAD(lang), "down", pressed=True))
    shown = "".join(f'<span class="mc-fact">{fact}</span>' for fact in facts)
    return f'<div class="mc-actions">{shown}<span class="mc-tools">{"".join(buttons)}</span></div>'


def _button(action: str, label: str, mark: str, pressed: bool = False) -> str:
    state = ' aria-pressed="false"' if pressed else ""
    return (
        f'<button type="button" class="mc-tool" data-do="{action}" title="{inert(label)}" '
        f'aria-label="{inert(label)}"{state}>{icon(mark)}</button>'
    )


def cards_html(turn_id: str, answer: Answer, lang: Lang, streaming: bool) -> str:
    """The cards cited, then those that were found but not cited."""
    parts: list[str] = []
    if answer.sources:
        parts.append(f"<h3>{inert(strings.CITED(lang))}</h3>")
        parts.extend(card_html(turn_id, source, lang, cited=True) for source in answer.sources)
    if answer.nearby:
        rest = "".join(card_html(turn_id, source, lang) for source in answer.nearby)
        if answer.sources:
            title = f"{strings.FOUND(lang)} ({len(answer.nearby)})"
            parts.append(
                f'<details class="mc-more"><summary>{inert(title)}</summary>{rest}</details>'
            )
        else:
            title = (strings.BEST if streaming else strings.NEAREST)(lang)
            parts.append(f"<h3>{inert(title)}</h3>{rest}")
    if not parts:
        return ""
    label = inert(strings.CARDS_OF(lang))
    return f'<section class="mc-cards" aria-label="{label}">{"".join(parts)}</section>'


def card_html(turn_id: str, source: Source, lang: Lang, cited: bool = False) -> str:
    """A card: its number, question, answer, closeness and where to check it."""
    label = f"{strings.CARD(lang)} {source.n}"
    topic = f'<span class="mc-topic">{inert(source.topic)}</span>' if source.topic else ""
    back = (
        f'<button type="button" class="mc-back">{icon("back")}{inert(strings.BACK(lang))}</button>'
        if cited
        else ""
    )
    return (
        f'<article class="mc-card" id="c-{turn_id}-{source.n}" data-n="{source.n}" tabindex="-1" '
        f'aria-label="{inert(label)}"><header><b class="mc-n" aria-hidden="true">{source.n}</b>'
        f"{topic}</header>{card_text_html(source.question, source.answer)}"
        f"{closeness_html(source.score, lang)}"
        f"<footer>{link_html(source.source, source.url, lang)}{back}</footer></article>"
    )


def card_text_html(question: str, answer: str) -> str:
    """The two sides of a card."""
    return (
        f'<p class="mc-q{_long(question)} lang="{CONTENT_LANG}" dir="auto">{inert(question)}</p>'
        f'<p class="mc-a{_long(answer)} lang="{CONTENT_LANG}" dir="auto">{inert(answer)}</p>'
    )


def _long(text: str) -> str:
    """Closes a class attribute; a long text scrolls in place, so the keyboard must reach it."""
    return ' mc-long" tabindex="0"' if len(text) > LONG else '"'


def link_html(source: str | None, url: str | None, lang: Lang) -> str:
    """Where a card can be checked."""
    if not url:
        return f'<span class="mc-link">{inert(source)}</span>' if source else ""
    return (
        f'<span class="mc-link">{inert(strings.CHECK(lang))} <a href="{attribute(url)}" '
        f'target="_blank" rel="noopener noreferrer nofollow">{inert(source or url)}</a></span>'
    )


def service_html(deck: str, generator: str, lang: Lang) -> str:
    """Where answers come from right now."""
    return (
        f'<p class="mc-service">{inert(strings.ANSWERS_FROM(lang))}{strings.COLON(lang)}'
        f'<b>{inert(deck)}</b> <span aria-hidden="true">&#183;</span> {inert(generator)}</p>'
    )


def message_html(text: str, bad: bool = False) -> str:
    """A line that tells what happened; empty text clears it."""
    if not text:
        return ""
    role, mark = ("alert", "alert") if bad else ("status", "info")
    kind = "mc-error" if bad else "mc-told"
    return f'<p class="{kind}" role="{role}">{icon(mark)}{inert(text)}</p>'


def _paragraphs(text: str) -> str:
    lines = "".join(f"<p>{inert(line)}</p>" for line in text.splitlines() if line.strip())
    return f'<div lang="{CONTENT_LANG}">{lines}</div>'
