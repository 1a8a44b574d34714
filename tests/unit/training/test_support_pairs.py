from __future__ import annotations

import numpy as np

from training import support_pairs


def test_cards_are_held_out_whole() -> None:
    rows = support_pairs.with_strangers()
    sides: dict[str, set[bool]] = {}
    for row in rows:
        sides.setdefault(row["question"], set()).add(support_pairs.held_out(row))
    assert all(len(found) == 1 for found in sides.values())
    assert 0.15 < np.mean([support_pairs.held_out(row) for row in rows]) < 0.25


def test_good_sentences_stand_beside_a_strange_card_too() -> None:
    rows = support_pairs.hand_written()
    assert len({row["question"] for row in rows}) > 400
    strangers = support_pairs.strangers(rows)
    assert len(strangers) == sum(row["supported"] for row in rows)
    assert not any(row["supported"] for row in strangers)
    own = {(row["sentence"], row["answer"]) for row in rows if row["supported"]}
    assert not own & {(row["sentence"], row["answer"]) for row in strangers}
