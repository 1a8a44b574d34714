"""Answers that were given before, for questions that come again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from assistant.answer import Answer


class AnswerCache:
    """The answers that were asked for last, at most `size`; shared by all conversations.

    Whoever asks gives the whole of what the answer depends on as key: an answer can come from
    another conversation only where both led to the same prompt over the same cards.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> Answer | None:
        """The answer, if it is held."""
        with self._lock:
            if key not in self._answers:
                return None
            self._answers.move_to_end(key)
            return self._answers[key]

    def put(self, key: Hashable, answer: Answer) -> None:
        """Hold an answer; the one that was not asked for the longest goes."""
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._answers.clear()

    def __len__(self) -> int:
        return len(self._answers)
