"""Terms of an answer that the deck defines."""

from __future__ import annotations

import copy
import gc
from types import SimpleNamespace

import pytest

from assistant import terms
from assistant.terms import glossary, glossary_of, short_definition
from index.cards import make_card

ANGINA = make_card("What is angina?", "Angina is chest pain from too little blood to the heart.")
CBT = make_card(
    "What is cognitive behavioral therapy (CBT)?",
    "Cognitive behavioral therapy (CBT) is a talking therapy. It takes weeks.",
)
THERAPY = make_card("What is therapy?", "Therapy is any treatment.")
PAIN = make_card("What is pain?", "Pain is an unpleasant feeling.")
DECK = glossary([ANGINA, CBT, THERAPY, PAIN])


def _found(text: str, asked: str = "") -> list[str]:
    return [term.term for term in DECK.within(text, asked)]


def test_a_term_brings_its_definition_and_its_card() -> None:
    (term,) = DECK.within("He has angina.", "What hurts?")
    assert (term.term, term.card_id) == ("angina", ANGINA.id)
    assert term.definition == "Angina is chest pain from too little blood to the heart."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ANGINA and Anginas", ["angina"]),  # case and plural, once
        ("Cognitive behavioral therapy helps.", ["cognitive behavioral therapy"]),  # the longest
        ("CBT helps, and cognitive behavioral therapy too.", ["cbt"]),  # one card, one definition
        ("Cognitive, behavioral therapy", ["therapy"]),  # no term over a comma
        ("It causes pain.", []),  # everyone knows it
    ],
)
def test_matching(text: str, found: list[str]) -> None:
    assert _found(text) == found


def test_what_was_asked_about_or_is_cited_is_not_explained() -> None:
    assert _found("Angina hurts.", "What helps against angina?") == []
    assert DECK.within("Angina hurts.", "", [ANGINA.id]) == ()


def test_at_most_four_terms() -> None:
    names = ["abcitis", "bcditis", "cdeitis", "defitis", "efgitis"]
    cards = [make_card(f"What is {n}?", f"{n.title()} is a swelling of {n[0]}.") for n in names]
    assert len(glossary(cards).within(" ".join(names), "")) == terms.MOST


@pytest.mark.parametrize(
    "answer",
    [
        "It is a disease.",  # does not name the term
        "Gout hurts.",  # defines nothing
        "Gout is " + "very " * 30 + "bad.",  # too long, and nowhere to cut
    ],
)
def test_no_definition_rather_than_a_poor_one(answer: str) -> None:
    assert short_definition(answer, "gout") == ""


def test_a_long_definition_ends_at_a_clause() -> None:
    long = "Gout is a kind of arthritis, which " + "often " * 30 + "hurts."
    assert short_definition(long, "gout") == "Gout is a kind of arthritis."


def test_a_glossary_lives_as_long_as_its_index() -> None:
    class Searcher:
        pass

    class Index(SimpleNamespace):
        pass

    one = Index(cards=[ANGINA], shared=Searcher())
    other = Index(cards=[CBT], shared=Searcher())
    # The page answers each question over a copy of the retriever.
    assert glossary_of(copy.copy(one)) is glossary_of(one)  # type: ignore[arg-type]  # a double
    assert glossary_of(other) is not glossary_of(one)  # type: ignore[arg-type]
    gc.collect()  # what other tests have left behind
    before = len(terms._glossaries)
    del one
    gc.collect()
    assert len(terms._glossaries) == before - 1
