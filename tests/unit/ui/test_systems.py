"""Which systems there are, what each is made of, and how they are asked together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from assistant import embedded, full
from assistant.answer import Answer, Sentence
from assistant.extractive import ExtractiveGenerator
from assistant.generator import Sampling
from assistant.pipeline import Assistant
from assistant.prompts import Prompt
from assistant.settings import Settings
from ui import plain, strings, systems
from ui.answering import Following, Options, first_sentences
from ui.compare_panel import about_html
from ui.comparing import together
from ui.conversation import Asked, asked
from ui.systems import SYSTEMS, FromMemory, OnDisk


class Model:
    """A generator that says what it was asked, from memory."""

    grounded = False

    def __init__(self, name: str = "tiny + adapter") -> None:
        self.name = name
        self.prompts: list[Prompt] = []

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        self.prompts.append(prompt)
        for word in ("It ", "is ", "so. ", "And ", "more."):
            if stop.is_set():
                return
            yield word


def make_assistant(writer: Any, **settings: Any) -> Assistant:
    manifest = SimpleNamespace(generation="0", decks={"d": 1}, cards=1)
    retriever: Any = SimpleNamespace(manifest=manifest, top_k=5)
    profile = "embedded" if writer.grounded else "full"
    return Assistant(retriever, writer, Settings(**{"profile": profile, **settings}))


@pytest.mark.parametrize(
    ("generator", "fields", "names"),
    [
        (ExtractiveGenerator(), {}, ["extractive", "base", "tuned", "base+rag", "tuned+rag"]),
        (Model(), {}, ["extractive", "base", "base+rag"]),
        (Model(), {"adapter": "a/b"}, ["extractive", "base", "tuned", "tuned+rag"]),
        (Model(), {"profile": "embedded"}, ["extractive", "base", "tuned", "tuned+rag"]),
        (
            Model(),
            {"adapter": "a/b", "generator": "openai:http://x/v1"},
            ["extractive", "tuned", "tuned+rag"],
        ),
    ],
)
def test_only_what_is_there_is_named(generator: Any, fields: Any, names: list[str]) -> None:
    found = OnDisk(make_assistant(generator, **fields), lambda _: Model())
    assert found.names() == names
    assert ("only one system" in about_html(found.names(), "en")) == (len(names) == 1)


def test_where_the_cards_answer_the_shipped_model_can_be_asked_beside_them() -> None:
    made: list[Settings] = []

    def make(wanted: Settings) -> Any:
        made.append(wanted)
        return Model()

    assistant = make_assistant(ExtractiveGenerator())
    on_disk = OnDisk(assistant, make)
    for name in ("tuned", "tuned+rag", "base", "base+rag"):
        on_disk.answerer(name, assistant)
    assert [(one.base, one.adapter) for one in made] == [
        (str(embedded.BASE), str(embedded.ADAPTER)),
        (str(embedded.BASE), None),
    ]


def test_without_its_weights_or_a_builder_the_cards_answer_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assistant = make_assistant(ExtractiveGenerator())
    assert OnDisk(assistant).names() == ["extractive"]
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "is_there", lambda: False)
        assert OnDisk(assistant, lambda _: Model()).names() == ["extractive"]
    assert len(OnDisk(assistant, lambda _: Model()).names()) == len(SYSTEMS)
    monkeypatch.setattr(full, "_installed", lambda package: False)  # as in the smallest image
    assert OnDisk(assistant, lambda _: Model()).names() == ["extractive"]


def test_without_a_builder_there_is_no_untuned_base() -> None:
    assert OnDisk(make_assistant(Model(), adapter="a/b")).names() == [
        "extractive",
        "tuned",
        "tuned+rag",
    ]


def test_each_name_is_the_generator_that_it_says() -> None:
    tuned = Model()
    built: list[Settings] = []

    def build(settings: Settings) -> Model:
        built.append(settings)
        return Model("tiny")

    assistant = make_assistant(tuned, adapter="a/b")
    on_disk = OnDisk(assistant, build)
    with_cards: Any = on_disk.answerer("tuned+rag", assistant)
    assert with_cards.generator is tuned
    extractive: Any = on_disk.answerer("extractive", assistant)
    assert extractive.generator.grounded
    assert assistant.generator is tuned, "the shared assistant stays as it is"
    for _ in range(2):
        base = on_disk.answerer("base", assistant)
        assert [*base.stream("What is asthma?")][-1].generator == "tiny"
    assert [settings.adapter for settings in built] == [None], "loaded once, without the adapter"
    assert [*on_disk.answerer("tuned", assistant).stream("What is asthma?")][-1].generator == (
        "tiny + adapter"
    )


def test_memory_sees_no_card_and_cites_nothing() -> None:
    model = Model()
    assistant = make_assistant(model)
    last = [*FromMemory(assistant, model).stream("What is asthma?")][-1]
    assert model.prompts[0].cards == ()
    assert [s.text for s in last.sentences] == ["It is so.", "And more."]
    assert {s.citations for s in last.sentences} == {()}
    assert last.sources == ()
    assert set(last.timings_ms) == {"first_token", "total"}


def test_memory_stands_behind_the_safety_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    assistant = make_assistant(model)
    fixed = Answer("emergency", "Call now.")
    monkeypatch.setattr(assistant, "stream", lambda *_: iter([fixed]))
    question = "My father has crushing chest pain and cannot breathe"
    assert [*FromMemory(assistant, model).stream(question)] == [fixed]
    assert model.prompts == []


def test_the_slow_do_not_hold_up_the_quick() -> None:
    gate = Event()

    def quick() -> Iterator[Asked]:
        yield asked("quick")

    def slow() -> Iterator[Asked]:
        gate.wait(10)
        yield asked("slow")

    first = {"extractive": asked("q"), "tuned": asked("q")}
    steps = together({"extractive": quick, "tuned": slow}, first)  # type: ignore[dict-item]
    step = next(steps)
    while not step["extractive"][1]:
        step = next(steps)
    assert step["extractive"][0].question == "quick"
    assert not step["tuned"][1]
    gate.set()
    *_, last = steps
    assert all(done for _, done in last.values())
    assert last["tuned"][0].question == "slow"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_stream_that_breaks_ends_its_column() -> None:
    def broken() -> Iterator[Asked]:
        yield asked("half")
        time.sleep(0.01)
        raise RuntimeError("scripted")

    *_, last = together({"base": broken}, {"base": asked("q")})
    assert last["base"][1]
    assert last["base"][0].question == "half"


def test_who_follows_stops_with_the_leader_and_alone() -> None:
    leader = Event()
    one, two = Following(leader), Following(leader)
    one.set()
    assert one.is_set()
    assert not two.is_set()
    assert not leader.is_set()
    leader.set()
    assert two.is_set()


def test_a_cut_answer_cites_only_what_it_says(answer: Any, source: Any) -> None:
    said = tuple(Sentence(f"Sentence {n}.", (n,), 1.0) for n in (1, 2, 3))
    whole = answer(sentences=said, sources=tuple(map(source, (1, 2, 3))), nearby=(source(4),))
    cut = first_sentences(whole, 2)
    assert cut.text == "Sentence 1. [1] Sentence 2. [2]"
    assert [s.n for s in cut.sources] == [1, 2]
    assert [s.n for s in cut.nearby] == [3, 4]


def test_short_sentences_come_first_and_none_is_lost(answer: Any) -> None:
    texts = [
        "Asthma is a disease of the airways.",
        "In many people the airways narrow when they meet dust, smoke, pollen or cold air.",
        "This is called a trigger.",
        "Inhalers open them.",
    ]
    said = tuple(Sentence(text, (1,), 1.0) for text in texts)
    plainer = plain.short_first(answer(sentences=said))
    order = [sentence.text for sentence in plainer.sentences]
    assert order[0] == texts[0], "what it is about stays in front"
    assert sorted(order) == sorted(texts)
    assert order.index(texts[2]) == order.index(texts[1]) + 1, "'This' stays behind its sentence"
    assert plainer.text.startswith(texts[0])


def test_an_emergency_is_never_reordered(answer: Any) -> None:
    fixed = answer(status="emergency", sentences=answer().sentences * 4)
    assert plain.short_first(fixed) is fixed


@pytest.mark.parametrize(
    ("rank", "lang", "told"),
    [(1, "en", "1st"), (2, "en", "2nd"), (3, "en", "3rd"), (11, "en", "11th"), (21, "en", "21st"),
     (112, "en", "112th"), (1, "fr", "1er"), (2, "fr", "2e")],
)  # fmt: skip
def test_places_in_words(rank: int, lang: Any, told: str) -> None:
    assert strings.place(rank, lang) == told


def test_every_system_has_a_name_in_both_languages() -> None:
    assert set(strings.SYSTEMS) == set(systems.SYSTEMS)
    assert Options().simple is False
