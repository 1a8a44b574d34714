"""What the reader is shown of a card, and that it tells a card's sentences from others."""

from __future__ import annotations

import numpy as np

from assistant.support_features import Reading, read_beside
from assistant.support_reader import shipped, token_pair
from index import token_vectors
from index.cards import make_card

SENTENCE = "Penicillin treats syphilis."


def _reading(sentence: str, answer: str) -> Reading:
    card = make_card("What treats syphilis?", answer)
    (reading,) = read_beside(sentence, [card], token_vectors.shipped())
    return reading


def test_a_short_card_is_read_whole() -> None:
    reading = _reading(SENTENCE, "Syphilis is treated with penicillin. It is given once.")
    pair = token_pair(reading)
    assert pair.sentence.shape == (len(reading.mine.tokens), 384)
    assert pair.card.shape == (len(pair.part), 384)
    assert sorted(set(pair.part.tolist())) == [0, 1, 2]
    assert (np.diff(pair.part) >= 0).all()


def test_of_a_long_card_the_nearest_sentences_are_read_in_their_order() -> None:
    far = " ".join(f"The river number {n} has many bends and old stone bridges." for n in range(30))
    reading = _reading(SENTENCE, f"{far} Syphilis is treated with penicillin. {far}")
    pair = token_pair(reading)
    assert len(pair.part) <= 160
    (place,) = (i for i, part in enumerate(reading.parts) if "penicillin" in part)
    wanted = reading.vectors[place].tokens
    shown = [pair.card[pair.part == n] for n in range(1, pair.part.max() + 1)]
    assert any(part.shape == wanted.shape and np.allclose(part, wanted) for part in shown)


def test_it_tells_what_the_card_says_from_another_number_and_another_subject() -> None:
    answer = "Syphilis is treated with penicillin, and scabies with permethrin for 8 to 14 hours."
    reader = shipped()
    held, number, subject = (
        reader.logit(token_pair(_reading(sentence, answer)))
        for sentence in (
            "Syphilis is treated with penicillin.",
            "Scabies is treated with permethrin for 3 to 4 weeks.",
            "Rivers are crossed by bridges.",
        )
    )
    assert held > number
    assert held > subject
