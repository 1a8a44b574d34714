"""What the reader is shown of a card, and that it tells a card's sentences from others."""

from __future__ import annotations

from assistant.support_features import Reading, read_beside
from assistant.support_reader import card_side, shipped
from index import token_vectors
from index.cards import make_card

SENTENCE = "Penicillin treats syphilis."


def _reading(sentence: str, answer: str) -> Reading:
    card = make_card("What treats syphilis?", answer)
    (reading,) = read_beside(sentence, [card], token_vectors.shipped())
    return reading


def test_a_short_card_is_read_whole() -> None:
    answer = "Syphilis is treated with penicillin. It is given once."
    assert card_side(_reading(SENTENCE, answer)) == f"What treats syphilis? {answer}"


def test_of_a_long_card_the_nearest_sentences_are_read_in_their_order() -> None:
    far = " ".join(f"The river number {n} has many bends and old stone bridges." for n in range(30))
    said = "Syphilis is treated with penicillin. The dose for syphilis is given once."
    read = card_side(_reading(SENTENCE, f"{far} {said} {far}"))
    assert said in read
    assert len(read.split()) <= 128


def test_it_tells_what_the_card_says_from_another_number_and_another_subject() -> None:
    answer = "Syphilis is treated with penicillin, and scabies with permethrin for 8 to 14 hours."
    reader = shipped()
    held, number, subject = (
        reader.logit(_reading(sentence, answer))
        for sentence in (
            "Syphilis is treated with penicillin.",
            "Scabies is treated with permethrin for 3 to 4 weeks.",
            "Rivers are crossed by bridges.",
        )
    )
    assert held > number
    assert held > subject
