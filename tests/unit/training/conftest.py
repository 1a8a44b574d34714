"""A tokenizer double: one id a word, with a chat template like TinyLlama's."""

from __future__ import annotations

from typing import Any

import pytest


class WordTokenizer:
    """Words and marks as ids, in the order in which they are first seen."""

    bos_token_id = 1
    eos_token_id = 2
    pad_token_id = 2
    chat_template = "double"

    def __init__(self) -> None:
        self._ids: dict[str, int] = {"<s>": 1, "</s>": 2}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        spaced = text.replace("</s>", " </s> ").replace("\n", " \n ")
        words = [word for word in spaced.split(" ") if word]
        return {"input_ids": [self._ids.setdefault(w, len(self._ids) + 1) for w in words]}

    def apply_chat_template(
        self, messages: Any, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        turns = "".join(f"<|{m['role']}|>\n{m['content']}</s>\n" for m in messages)
        return f"{turns}<|assistant|>\n" if add_generation_prompt else turns

    def decode(self, ids: Any) -> str:
        words = {i: word for word, i in self._ids.items()}
        return " ".join(words[i] for i in ids)


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer()
