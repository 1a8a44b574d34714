"""What the cross-encoder is taught of the hand-written passages."""

from __future__ import annotations

from training import crossencoder_data, support_pairs


def test_a_passage_answers_what_was_asked_and_not_what_is_near() -> None:
    rows = crossencoder_data.read_jsonl(support_pairs.PASSAGES)
    assert len(rows) > 800
    examples = list(crossencoder_data.passage_examples(rows))
    asked = {e.question for e in examples if e.answers}
    assert set(rows[0]["asked"]) <= asked
    assert not asked & set(rows[0]["near"])
    sides: dict[str, set[str]] = {}
    for example in examples:
        sides.setdefault(example.heading, set()).add(example.side)
    assert all(len(found) == 1 for found in sides.values())  # a card is on one side
    held = sum(e.side == "validation" for e in examples) / len(examples)
    assert 0.1 < held < 0.15
