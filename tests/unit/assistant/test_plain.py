"""The same answer in simpler words."""

from __future__ import annotations

import pytest

from assistant import support
from assistant.answer import Answer, Sentence, cited_text, source
from assistant.plain import everyday_words, in_plain_words, simplified
from index.cards import Flashcard, make_card
from index.text import sentences

PSORIASIS = make_card(
    "What is psoriasis?",
    "Psoriasis is a chronic disease that makes the skin scaly. Psoriasis has no lasting cure, but "
    "treatment can keep the skin clear for long periods. Psoriasis plaques commonly appear on the "
    "elbows, knees, scalp and lower back of people who have had the disease for many years. "
    "Stress can trigger psoriasis.",
)
ITCH = make_card("What is pruritus?", "Pruritus is an itchy feeling of the skin.")


def _answer(*cards: Flashcard) -> Answer:
    said = tuple(
        Sentence(text, (n,), 1.0)
        for n, card in enumerate(cards, start=1)
        for text in sentences(card.answer)
    )
    sources = tuple(source(n, card, 0.9) for n, card in enumerate(cards, start=1))
    return Answer("answered", cited_text(said), said, sources)


def test_it_is_shorter_explained_and_still_held_and_cited() -> None:
    plain = simplified(_answer(PSORIASIS), "What is psoriasis?")
    texts = [sentence.text for sentence in plain.sentences]
    assert "Psoriasis has no lasting cure." in texts
    assert "But treatment can keep the skin clear for long periods." in texts
    assert any("chronic (long-lasting)" in text for text in texts)
    assert not any("elbows" in text for text in texts)  # the longest, and not asked about
    for sentence in plain.sentences:
        assert sentence.citations == (1,)
        assert support.check(sentence.text, [PSORIASIS]).citations
    assert plain.text == cited_text(plain.sentences)


def test_a_source_that_is_no_longer_cited_goes_to_the_nearby_ones() -> None:
    plain = simplified(_answer(ITCH, PSORIASIS), "What is psoriasis?")
    cited = {n for sentence in plain.sentences for n in sentence.citations}
    assert cited == {each.n for each in plain.sources}
    numbers = [each.n for each in (*plain.sources, *plain.nearby)]
    assert numbers == [*range(1, len(numbers) + 1)]


def test_a_warning_is_never_left_out() -> None:
    card = make_card(
        "What is angina?",
        "Angina is chest pain. Angina is common. Angina hurts. Angina comes and goes. Angina that "
        "comes at rest, that is new, or that grows worse over some days is an emergency.",
    )
    assert "emergency" in simplified(_answer(card), "What is angina?").text


@pytest.mark.parametrize("status", ["abstained", "emergency", "declined"])
def test_fixed_text_stays_as_it_is(status: str) -> None:
    fixed = Answer(status, "Call for help.")  # type: ignore[arg-type]  # one of the literals
    assert simplified(fixed, "?") is fixed


def test_a_stream_shows_the_best_card_and_then_the_whole_answer() -> None:
    first, whole = Answer("answered", ""), _answer(PSORIASIS)
    shown = list(in_plain_words([first, whole, whole], "What is psoriasis?"))
    assert len(shown) == 2
    assert shown[0] is first
    assert len(shown[1].sentences) >= 2


def test_the_everyday_words_are_short() -> None:
    words = everyday_words()
    assert len(words) >= 100
    assert all(key == key.lower() and len(value.split()) <= 10 for key, value in words.items())


AORTA = make_card(
    "What is an aortic aneurysm?",
    "An aneurysm is a bulge of an artery (a large artery in most). Artery aneurysms can burst. "
    "Antiviral medicine does not help. An artery can harden.",
)


def test_a_word_is_explained_neither_in_brackets_nor_before_what_it_qualifies() -> None:
    said = [
        sentence.text
        for sentence in simplified(_answer(AORTA), "What is an aortic aneurysm?").sentences
    ]
    text = " ".join(said)
    assert "(a large artery (" not in text
    assert "Artery (" not in text
    assert "Antiviral (" not in text
