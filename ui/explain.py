"""How an answer came about, as HTML: cards, sentences, what was left out, times, what answered."""

from __future__ import annotations

from assistant.answer import Answer, Source
from ui import strings
from ui.marks import closeness_html, in_words, inert, percent
from ui.strings import Lang


def how_html(turn_id: str, answer: Answer, lang: Lang) -> str:
    """The fold under an answer."""
    parts = [
        _confidence(answer, lang),
        _cards(answer, lang),
        _sentences(answer, lang),
        _removed(answer, lang),
        _times(answer, lang),
        _service(answer, lang),
    ]
    return (
        f'<details class="mc-how" id="how-{turn_id}"><summary>{inert(strings.HOW(lang))}</summary>'
        f'<div class="mc-how-body">{"".join(parts)}</div></details>'
    )


def _confidence(answer: Answer, lang: Lang) -> str:
    if answer.status == "declined" or not (answer.sources or answer.nearby):
        return ""
    word = in_words(answer.confidence, strings.CONFIDENCE_WORDS, lang)
    return (
        f"<h4>{inert(strings.CONFIDENCE(lang))}{strings.COLON(lang)}{inert(word)} "
        f"({percent(answer.confidence)} / 100)</h4><p>{inert(strings.CONFIDENCE_MEANS(lang))}</p>"
    )


def _cards(answer: Answer, lang: Lang) -> str:
    found = sorted((*answer.sources, *answer.nearby), key=lambda source: -source.score)
    if not found:
        return ""
    cited = {source.card_id for source in answer.sources}
    rows = "".join(_card(source, source.card_id in cited, lang) for source in found)
    return (
        f"<h4>{inert(strings.HOW_CARDS(lang))}</h4><p>{inert(strings.CLOSENESS_MEANS(lang))}</p>"
        f'<ul class="mc-found">{rows}</ul>'
    )


def _card(source: Source, cited: bool, lang: Lang) -> str:
    what = strings.HOW_CITED if cited else strings.HOW_UNCITED
    return (
        f"<li><span>{source.n}. {inert(source.question)} <em>({inert(what(lang))})</em></span>"
        f"{closeness_html(source.score, lang)}{_ranks(source, lang)}</li>"
    )


def _ranks(source: Source, lang: Lang) -> str:
    """Why a card was found: its places in the two searches."""
    ranks = (source.meaning_rank, source.word_rank)
    if ranks == (None, None):  # of a conversation that an older version stored
        return ""
    told = [
        name(lang).format(place=strings.place(rank, lang)) if rank else none(lang)
        for rank, name, none in zip(
            ranks,
            (strings.BY_MEANING, strings.BY_WORDS),
            (strings.NOT_BY_MEANING, strings.NOT_BY_WORDS),
            strict=True,
        )
    ]
    return f'<p class="mc-ranks">{inert(", ".join(told))}</p>'


def _sentences(answer: Answer, lang: Lang) -> str:
    if not answer.sentences:
        return ""
    rows = "".join(
        f"<li>{inert(sentence.text)} <em>{inert(strings.SUPPORT(lang))} "
        f"{', '.join(map(str, sentence.citations))}{strings.COLON(lang)}"
        f"{inert(in_words(sentence.support, strings.SUPPORT_WORDS, lang))}</em></li>"
        for sentence in answer.sentences
    )
    return f"<h4>{inert(strings.HOW_SENTENCES(lang))}</h4><ol>{rows}</ol>"


def _removed(answer: Answer, lang: Lang) -> str:
    if answer.status != "answered":
        return ""
    if not answer.removed:
        return f"<p>{inert(strings.HOW_NONE_REMOVED(lang))}</p>"
    rows = "".join(f"<li><s>{inert(text)}</s></li>" for text in answer.removed)
    return f"<h4>{inert(strings.HOW_REMOVED(lang))}</h4><ul>{rows}</ul>"


def _times(answer: Answer, lang: Lang) -> str:
    times = [
        f"{name(lang)} {answer.timings_ms[key] / 1000:.2f} s"
        for key, name in strings.TIMES.items()
        if key in answer.timings_ms
    ]
    if not times:
        return ""
    return f"<h4>{inert(strings.HOW_TIMES(lang))}</h4><p>{inert('; '.join(times))}</p>"


def _service(answer: Answer, lang: Lang) -> str:
    facts = "; ".join(filter(None, (answer.generator, answer.index)))
    return f"<h4>{inert(strings.HOW_SERVICE(lang))}</h4><p>{inert(facts)}</p>" if facts else ""
