"""Answers that are asked for at the same time, generated together.

A GPU makes a step for sixteen answers in the time of one. Requests that arrive while a batch runs
wait for it and form the next one. What is drawn at random runs alone: a row of a batch would
depend on its neighbours, and a seed would repeat nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from assistant.generator import Sampling

_POLL_SECONDS = 0.02


@dataclass(eq=False)
class _Request:
    """One answer: its prompt, and where its pieces go."""

    ids: Sequence[int]
    sampling: Sampling
    ended: list[Event]  # any of these set: nobody reads on
    pieces: SimpleQueue[str | BaseException | None] = field(default_factory=SimpleQueue)

    @property
    def over(self) -> bool:
        return any(event.is_set() for event in self.ended)


class Batcher:
    """Generates with one model; its cache lives for one batch and is never shared by another."""

    def __init__(self, tokenizer: Any, model: Any, at_a_time: int) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._at_a_time = at_a_time
        self._waiting: list[_Request] = []
        self._lock = Lock()
        self._working = False

    def stream(self, ids: Sequence[int], sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the text that follows a prompt; ends early once `stop` is set."""
        gone = Event()  # the reader has left; the caller's own event stays the caller's
        request = _Request(ids, sampling, [stop, gone])
        with self._lock:
            self._waiting.append(request)
            if not self._working:
                self._working = True
                Thread(target=self._work, name="generate", daemon=True).start()
        try:
            while True:
                try:
                    piece = request.pieces.get(timeout=_POLL_SECONDS)
                except Empty:
                    if stop.is_set():
                        return
                    continue
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            gone.set()  # a reader that leaves must not leave the model running for nobody

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._generate(batch)
                outcome: BaseException | None = None
            except BaseException as error:
                outcome = error
            for request in batch:
                request.pieces.put(outcome)

    def _next(self) -> list[_Request]:
        """The requests that go together, in the order in which they came; none: the end."""
        with self._lock:
            self._waiting = [request for request in self._waiting if not request.over]
            if not self._waiting:
                self._working = False
                return []
            first = self._waiting[0]
            batch = [first]
            if first.sampling.temperature == 0:
                same = [r for r in self._waiting[1:] if r.sampling.temperature == 0]
                batch += same[: self._at_a_time - 1]
            self._waiting = [request for request in self._waiting if request not in batch]
            return batch

    def _generate(self, batch: list[_Request]) -> None:
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, set_seed

        rows = [_Row(self._tokenizer, request) for request in batch]
        streamer = _Streamer(rows)

        class Ended(StoppingCriteria):
            """Ends a row between two tokens: enough of it, or nobody reads on."""

            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                return torch.tensor([row.full for row in rows], device=input_ids.device)

        sampling = batch[0].sampling
        draw: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            draw = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_k": 50,
                "top_p": 0.9,
            }
            set_seed(sampling.seed)
        width = max(len(request.ids) for request in batch)
        end = self._tokenizer.eos_token_id
        device = self._model.device
        padded = [[end] * (width - len(r.ids)) + list(r.ids) for r in batch]
        mask = [[0] * (width - len(r.ids)) + [1] * len(r.ids) for r in batch]
        with torch.inference_mode():
            self._model.generate(
                inputs=torch.tensor(padded, device=device),  # (batch, width)
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=max(request.sampling.max_new_tokens for request in batch),
                pad_token_id=end,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([Ended()]),
                **draw,
            )
        for row in rows:
            row.finish()


class _Row:
    """The text of one answer as its tokens arrive."""

    def __init__(self, tokenizer: Any, request: _Request) -> None:
        self._tokenizer = tokenizer
        self._request = request
        self._tokens: list[int] = []
        self._said = 0  # characters that were handed on
        self._done = False

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""
        enough = len(self._tokens) >= self._request.sampling.max_new_tokens
        return self._done or enough or self._request.over

    def add(self, token: int) -> None:
        """Hand on what a token completes; what may be half a character waits."""
        if self.full:
            return
        if token == self._tokenizer.eos_token_id:
            self.finish()
            return
        self._tokens.append(token)
        text = self._text()
        if not text.endswith("\ufffd"):
            self._say(text)

    def finish(self) -> None:
        """The end of the answer."""
        if not self._done:
            self._done = True
            self._say(self._text())
            self._request.pieces.put(None)

    def _text(self) -> str:
        return str(self._tokenizer.decode(self._tokens, skip_special_tokens=True))

    def _say(self, text: str) -> None:
        if len(text) > self._said:
            self._request.pieces.put(text[self._said :])
            self._said = len(text)


class _Streamer:
    """What `generate` hands its tokens to: first the prompts, then one token for each row."""

    def __init__(self, rows: list[_Row]) -> None:
        self._rows = rows
        self._prompts_seen = False

    def put(self, value: Any) -> None:
        """Take the prompts, (batch, width), or the next tokens, (batch,)."""
        if not self._prompts_seen:
            self._prompts_seen = True
            return
        for row, token in zip(self._rows, value.tolist(), strict=True):
            row.add(int(token))

    def end(self) -> None:
        """Nothing: a row ends by itself."""
