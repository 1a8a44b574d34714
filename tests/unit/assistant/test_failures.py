"""Whatever a generator does, the question gets its cards; and what is kept is kept for the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.answer import Answer
from assistant.cache import AnswerCache
from assistant.extractive import ExtractiveGenerator
from assistant.generator import GenerationError, GeneratorUnavailableError, Sampling
from assistant.pipeline import CUT_OFF, FAILED, Assistant, Turn
from assistant.prompts import Prompt
from assistant.settings import Settings
from index.cards import Flashcard, make_card
from index.relevance import Judgement
from index.search import Hit

GOUT = make_card("What is gout?", "Gout is a kind of arthritis. Gout attacks start at night.")
ASTHMA = make_card("What is asthma?", "Asthma narrows the airways. Asthma causes wheezing.")


class Retriever:
    """The same cards for every query; an index of the generation that it is given."""

    def __init__(
        self, generation: str = "one", cards: Sequence[Flashcard] = (GOUT, ASTHMA)
    ) -> None:
        self.manifest = SimpleNamespace(decks={"test": 2}, cards=2, generation=generation)
        self.embed_model = SimpleNamespace(
            get_text_embedding_batch=lambda texts: [[1.0] for _ in texts]
        )
        self.cards = cards
        self.shared = self

    def judged(self, query: str) -> tuple[list[Hit], Judgement]:
        hits = [Hit(card, 0.9, 0.9, 1, None) for card in self.cards]
        return hits, Judgement(0.8, in_scope=True, covered=True)


class Counting:
    """Says a text and counts how often; may fail after it."""

    grounded = False

    def __init__(self, text: str, error: BaseException | None = None, name: str = "one") -> None:
        self.name = name
        self.calls = 0
        self._text = text
        self._error = error

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        self.calls += 1
        yield self._text
        if self._error is not None:
            raise self._error


def build(generator: Any, falls_back: bool = True, **settings: Any) -> Assistant:
    chosen = Settings(profile="embedded", **settings)
    return Assistant(Retriever(), generator, chosen, falls_back)  # type: ignore[arg-type]


ERRORS = [
    GeneratorUnavailableError("no weights"),
    GenerationError("the engine broke off"),
    RuntimeError("CUDA error"),
    MemoryError(),
    OSError("pipe"),
    KeyError("bug"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_failure_at_once_leaves_the_cards_and_says_so(error: Exception) -> None:
    helper = build(Counting("", error))
    answer = helper.answer("What is gout?")
    assert answer.status == "answered"
    assert answer.notice == FAILED
    assert [source.card_id for source in answer.sources] == [GOUT.id]
    assert helper.status()["last_failure"]


def test_a_failure_on_the_way_keeps_what_was_said() -> None:
    helper = build(Counting("Gout is a kind of arthritis. Gout att", GenerationError("broke off")))
    answer = helper.answer("What is gout?")
    assert [sentence.text for sentence in answer.sentences] == ["Gout is a kind of arthritis."]
    assert answer.notice == CUT_OFF


def test_a_failure_adds_to_the_notice_of_a_dosing_question() -> None:
    answer = build(Counting("", OSError())).answer("how much colchicine should I take for gout?")
    assert "pharmacist" in answer.notice
    assert answer.notice.endswith(FAILED)


def test_a_generator_that_hangs_is_given_up() -> None:
    class Hanging(Counting):
        def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
            stop.wait(60)
            yield ""

    began = time.monotonic()
    answer = build(Hanging(""), answer_seconds=0.3).answer("What is gout?")
    assert time.monotonic() - began < 3
    assert answer.notice == FAILED
    assert answer.sources


def test_an_evaluation_sees_the_failure_itself() -> None:
    with pytest.raises(GenerationError):
        build(Counting("", GenerationError("broke")), falls_back=False).answer("What is gout?")


def test_the_same_question_is_answered_from_the_cache() -> None:
    generator = Counting("Gout is a kind of arthritis.")
    helper = build(generator)
    first, second = helper.answer("What is gout?"), helper.answer("What is gout?")
    assert generator.calls == 1
    assert second.text == first.text
    assert {"retrieve", "first_token", "total"} <= set(second.timings_ms)


def test_what_an_answer_depends_on_makes_it_another() -> None:
    generator = Counting("Gout is a kind of arthritis.")
    helper = build(generator)

    def ask(question: str = "What is gout?", **sampling: Any) -> Answer:
        return [*helper.stream(question, sampling=Sampling(**sampling))][-1]

    ask()
    ask(seed=1)
    ask(temperature=0.5)
    ask("What is it that gout is?")
    assert generator.calls == 4
    helper.serve(Retriever("two"), generator)  # type: ignore[arg-type]
    ask()
    assert generator.calls == 5
    other = Counting("Gout is a kind of arthritis.", name="two")
    helper.serve(Retriever("two"), other)  # type: ignore[arg-type]
    ask()
    assert other.calls == 1


def test_a_failed_or_stopped_answer_is_not_kept() -> None:
    failing = Counting("Gout is a kind of arthritis. ", GenerationError("broke"))
    helper = build(failing)
    helper.answer("What is gout?")
    helper.answer("What is gout?")
    assert failing.calls == 2
    generator = Counting("Gout is a kind of arthritis. Gout attacks start at night. ")
    helper = build(generator)
    stop = Event()
    for answer in helper.stream("What is gout?", stop=stop):
        if answer.sentences:
            stop.set()
    helper.answer("What is gout?")
    assert generator.calls == 2


def test_nothing_of_a_users_own_deck_is_kept() -> None:
    import copy

    generator = Counting("Gout is a kind of arthritis.")
    helper = build(generator)
    own = copy.copy(helper)
    own.retriever = Retriever("own")  # type: ignore[assignment]
    own.answer("What is gout?")
    own.answer("What is gout?")
    assert generator.calls == 2


def test_the_cache_keeps_its_bound_and_forgets_the_oldest() -> None:
    cache = AnswerCache(2)
    answers = [Answer(status="answered", text=str(i)) for i in range(3)]
    cache.put("a", answers[0])
    cache.put("b", answers[1])
    assert cache.get("a") is answers[0]
    cache.put("c", answers[2])
    assert cache.get("b") is None
    assert cache.get("a") is answers[0]
    assert len(cache) == 2
    assert AnswerCache(0).get("a") is None


def test_an_answer_under_way_ends_with_what_it_began_with() -> None:
    first = Counting("Gout is a kind of arthritis.")
    helper = build(first)
    pieces = helper.stream("What is gout?")
    next(pieces)
    helper.serve(Retriever("two"), ExtractiveGenerator())  # type: ignore[arg-type]
    *_, answer = pieces
    assert answer.generator == "one"
    assert "one)" in answer.index
    assert first.calls == 1
    assert helper.answer("What is gout?").generator != "one"


def test_cards_of_the_turn_before_come_first_and_as_they_were() -> None:
    class Noting(Counting):
        prompts: list[Prompt]

        def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
            self.prompts = [*getattr(self, "prompts", []), prompt]
            yield "Gout is a kind of arthritis."

    generator = Noting("")
    helper = build(generator)
    helper.answer("What is gout?")
    helper.answer("how is it treated?", [Turn("What is gout?", "Gout is ...")])
    first, second = generator.prompts
    assert second.cards == first.cards
