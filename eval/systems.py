"""The systems under test: the assistant as it is served, and a model alone, without cards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Event
from typing import Any

from assistant.answer import Answer
from assistant.extractive import ExtractiveGenerator
from assistant.generator import Generator, Sampling
from assistant.pipeline import Assistant
from assistant.prompts import NOT_COVERED, Prompt, grounded
from assistant.settings import Settings
from assistant.transformers_generator import TransformersGenerator
from eval import batches, checks
from eval.config import CLOSED_BOOK, EvalConfig, System, uses_adapter, uses_cards
from eval.losses import answer_losses, example
from eval.meters import Meter
from eval.records import Found, Row, Said
from eval.worlds import Item, Worlds
from index.errors import ExpectedError
from index.relevance import Judgement
from index.search import Hit
from index.text import fold

logger = logging.getLogger(__name__)


def missing(system: System, config: EvalConfig) -> str | None:
    """What a system needs and was not given, or None."""
    if system == "extractive":
        return None
    if config.base is None:
        return "--base, a checkpoint (folder or hub id)"
    if uses_adapter(system) and config.adapter is None:
        return "--adapter, a LoRA adapter (folder or hub id)"
    return None


def open_generator(system: System, config: EvalConfig) -> Generator:
    """A fresh generator: the base is loaded anew and alone, so no adapter has ever touched it."""
    if system == "extractive" or config.base is None:
        return ExtractiveGenerator()
    adapter = config.adapter if uses_adapter(system) else None
    return TransformersGenerator(config.base, adapter, config.device)


class _ReachedError(Exception):
    """Ends an answer where its generator is reached; `prompt` is what it would be asked."""

    def __init__(self, prompt: Prompt) -> None:
        super().__init__(prompt)
        self.prompt = prompt


class _Stopper:
    """Stands for a generator until it is asked."""

    def __init__(self, inner: Generator) -> None:
        self.name = inner.name
        self.grounded = inner.grounded

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        raise _ReachedError(prompt)


class Recorder:
    """A generator that notes its prompt and its words; it may repeat words made before."""

    def __init__(self, inner: Generator, replies: Mapping[str, str] | None = None) -> None:
        self._inner = inner
        self._replies = replies
        self.prompt: Prompt | None = None
        self.raw: str | None = None

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def grounded(self) -> bool:
        return self._inner.grounded

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        self.prompt, self.raw = prompt, ""
        if self._replies is None:
            pieces = self._inner.stream(prompt, sampling, stop)
        else:
            pieces = iter([self._replies.get(prompt_text(prompt), "")])
        for piece in pieces:
            self.raw += piece
            yield piece


def prompt_text(prompt: Prompt) -> str:
    """What the generator reads, without the marks of a chat template."""
    return "\n\n".join(message["content"] for message in prompt.messages())


@dataclass(frozen=True)
class Asker:
    """One system in one world."""

    system: System
    world: str
    generator: Generator
    worlds: Worlds
    config: EvalConfig

    def rows(self, items: Sequence[Item], together: bool) -> Iterator[Row]:
        """A row for each item; a failure is a row that says so.

        Args:
            together: generate for all of them in one batch, which no time can be read from.
        """
        replies = self._replies(items) if together else None
        for item in items:
            try:
                with self._entered(item):
                    yield self._row(item, replies)
            except ExpectedError as error:
                if not isinstance(self.generator, ExtractiveGenerator):
                    raise  # weights that cannot be loaded fail every item alike
                yield self._failed(item, error)
            except RuntimeError as error:  # of torch, such as no memory left for one long prompt
                yield self._failed(item, error)

    def check_loss(self, items: Sequence[Item]) -> None:
        """Stop before hours of work if padding changes the loss of these weights."""
        if not isinstance(self.generator, TransformersGenerator):
            return
        tokenizer, model = self.generator.load()
        examples = [
            example(tokenizer, Prompt(item.card.question), item.card.answer) for item in items[:3]
        ]
        problem = checks.padding_counts(
            lambda some: answer_losses(model, some, tokenizer.eos_token_id), examples
        )
        if problem:
            raise ExpectedError(f"the loss of {self.generator.name} cannot be trusted: {problem}")

    def _entered(self, item: Item) -> Any:
        if self.world == CLOSED_BOOK:
            return nullcontext()
        return self.worlds.entered(self.world, item)  # type: ignore[arg-type]  # checked by config

    def _failed(self, item: Item, error: Exception) -> Row:
        logger.warning("item %s failed: %s", item.card.id, error)
        return self._blank(item).model_copy(
            update={"status": "failed", "error": f"{type(error).__name__}: {error}"[:300]}
        )

    def _blank(self, item: Item) -> Row:
        return Row(
            item=item.card.id,
            system=self.system,
            world=self.world,
            question=item.card.question,
            reference=item.card.answer,
            topic=item.card.topic,
            status="answered",
            relevant=item.relevant,
        )

    def _sampling(self) -> Sampling:
        return Sampling(self.config.max_new_tokens, self.config.temperature, self.config.seed)

    def _row(self, item: Item, replies: Mapping[str, str] | None) -> Row:
        recorder = Recorder(self.generator, replies)
        timed = replies is None
        if uses_cards(self.system):
            served = self._assistant(recorder)
            with Meter() as meter:  # the answer alone, not what is looked up to judge it
                answer = served.answer_with(item.card.question, self._sampling())
            fields = self._served(item, recorder, served, answer)
        else:
            with Meter() as meter:
                fields = self._closed(item, recorder)
        if not timed:
            fields["first_token_ms"] = None
        prompt = recorder.prompt or self._prompt(item)
        fields |= {
            "raw": recorder.raw,
            "prompt": prompt_text(prompt),
            "total_ms": meter.total_ms if timed else None,
            "peak_mb": meter.peak_mb,
            "energy_j": meter.energy_j if timed else None,
        }
        if recorder.prompt is not None:
            fields |= self._loss(prompt, item)
        if recorder.raw is not None and isinstance(self.generator, TransformersGenerator):
            tokenizer, _ = self.generator.load()
            fields["tokens"] = len(tokenizer(recorder.raw, add_special_tokens=False)["input_ids"])
        return self._blank(item).model_copy(update=fields)

    def _closed(self, item: Item, recorder: Recorder) -> dict[str, Any]:
        import time

        started = time.perf_counter()
        first = None
        for _ in recorder.stream(Prompt(item.card.question), self._sampling(), Event()):
            first = first or round((time.perf_counter() - started) * 1000, 1)
        text = (recorder.raw or "").strip()
        refused = fold(text).strip(". ") == fold(NOT_COVERED).strip(". ")
        return {
            "status": "abstained" if refused else "answered",
            "text": "" if refused else text,
            "first_token_ms": first,
        }

    def _served(
        self, item: Item, recorder: Recorder, served: _Served, answer: Answer
    ) -> dict[str, Any]:
        judged = served.judged or self.worlds.retriever.judged(item.card.question)[1]
        ranked = self.worlds.retriever.hits(item.card.question, 10)
        said = tuple(
            Said(text=s.text, citations=tuple(n - 1 for n in s.citations), support=s.support)
            for s in answer.sentences
        )
        raw = recorder.raw or ""
        return {
            "status": answer.status,
            "text": " ".join(s.text for s in said) if answer.status == "answered" else "",
            "fell_back": bool(
                said and not recorder.grounded and not any(s.text in raw for s in said)
            ),
            "sentences": said,
            "removed": answer.removed,
            "cards": tuple(
                Found(id=s.card_id, question=s.question, answer=s.answer, score=s.score)
                for s in sorted((*answer.sources, *answer.nearby), key=lambda s: s.n)
            ),
            "ranked": tuple(hit.card.id for hit in ranked),
            "confidence": round(judged.confidence, 6),
            "covered": judged.covered,
            "first_token_ms": answer.timings_ms.get("first_token"),
        }

    def _assistant(self, generator: Generator) -> _Served:
        settings = Settings(
            profile="embedded",
            index=None,
            top_k=self.config.top_k,
            prompt_cards=self.config.prompt_cards,
        )
        return _Served(self.worlds.retriever, generator, settings, falls_back=False)

    def _prompt(self, item: Item) -> Prompt:
        """What the generator would have read, for a question that it was not asked."""
        if not uses_cards(self.system):
            return Prompt(item.card.question)
        hits = self.worlds.retriever.hits(item.card.question)
        cards = [hit.card for hit in hits]
        return grounded(item.card.question, cards, self.config.prompt_cards)

    def _loss(self, prompt: Prompt, item: Item) -> dict[str, Any]:
        if not isinstance(self.generator, TransformersGenerator):
            return {}
        tokenizer, model = self.generator.load()
        one = example(tokenizer, prompt, item.card.answer)
        (loss,) = answer_losses(model, [one], tokenizer.eos_token_id)
        plain = tokenizer(item.card.answer, add_special_tokens=False)["input_ids"]
        return {"nll": loss.nll, "nll_tokens": loss.tokens, "answer_tokens": len(plain) + 1}

    def _replies(self, items: Sequence[Item]) -> dict[str, str] | None:
        """What the generator says to the prompts of these items, made in one batch."""
        if not isinstance(self.generator, TransformersGenerator):
            return None
        found = [self._asked(item) for item in items]
        prompts = {prompt_text(prompt): prompt for prompt in found if prompt}
        if not prompts:
            return {}
        tokenizer, model = self.generator.load()
        texts = batches.generate(tokenizer, model, list(prompts.values()), self._sampling())
        return dict(zip(prompts, texts, strict=True))

    def _asked(self, item: Item) -> Prompt | None:
        """What the generator is asked for an item; None where the assistant refuses before."""
        if not uses_cards(self.system):
            return self._prompt(item)
        served = self._assistant(_Stopper(self.generator))
        try:
            with self._entered(item):
                served.answer_with(item.card.question, self._sampling())
        except _ReachedError as asked:
            return asked.prompt
        return None


class _Served(Assistant):
    """The served assistant, asked with a stated sampling; it notes what it judged."""

    def __init__(self, *of: Any, **settings: Any) -> None:
        super().__init__(*of, **settings)
        self._judgements: list[Judgement] = []  # one list, which the copy that answers shares

    @property
    def judged(self) -> Judgement | None:
        """The judgement of the last question; None if it was answered without the cards."""
        return self._judgements[-1] if self._judgements else None

    def _retrieve(self, question: str, earlier: Sequence[str]) -> tuple[str, list[Hit], Judgement]:
        found = super()._retrieve(question, earlier)
        self._judgements.append(found[2])
        return found

    def answer_with(self, question: str, sampling: Sampling) -> Answer:
        return [*self.stream(question, sampling=sampling)][-1]
