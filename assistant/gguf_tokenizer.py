"""What a GGUF file says of itself, and the tokenizer that it carries.

`prompts.prompt_ids` takes this tokenizer as it takes transformers': the same template, the same
ids, without transformers or torch in the serving process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assistant.generator import GeneratorUnavailableError

ARCHITECTURE = "llama"
MAGIC = b"GGUF"
_TOKENIZER = "tokenizer.huggingface.json"


class GgufTokenizer:
    """The tokenizer.json and the chat template that a GGUF file holds."""

    def __init__(self, document: str, template: str, bos: int | None, eos: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(document)
        self._tokenizer.no_truncation()
        self._template = _environment().from_string(template)
        self.bos_token_id = bos
        self.eos_token_id = eos

    def apply_chat_template(
        self, messages: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """The chat as text; `tokenize` is there for transformers' sake and must be False."""
        assert not tokenize
        text: str = self._template.render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            bos_token=self._piece(self.bos_token_id),
            eos_token=self._piece(self.eos_token_id),
        )
        return text

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        """Token ids, under the key that transformers uses."""
        encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return {"input_ids": list(encoded.ids)}

    def _piece(self, token: int | None) -> str:
        return "" if token is None else self._tokenizer.id_to_token(token) or ""


class GgufHeader:
    """The metadata of a GGUF file, checked: a whole file of a Llama.

    Raises:
        GeneratorUnavailableError: the file is missing, cut off, no GGUF, or of another kind.
    """

    def __init__(self, file: Path) -> None:
        try:
            from gguf import GGUFReader
        except ImportError as error:
            raise GeneratorUnavailableError(
                "reading a GGUF file needs the package gguf: pip install 'medcards[models]'"
            ) from error
        try:
            with file.open("rb") as opened:
                magic = opened.read(len(MAGIC))
        except OSError as error:
            raise GeneratorUnavailableError(
                f"cannot read {str(file)!r} ({error.strerror or error}): expected a GGUF file"
            ) from error
        if magic != MAGIC:
            raise GeneratorUnavailableError(
                f"{str(file)!r} is no GGUF file (it starts with {magic!r}): make one with "
                "'python -m training export RUN gguf'"
            )
        try:
            self._reader = GGUFReader(file)
        except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
            # The reader maps every tensor: one that ends beyond the file cannot be mapped.
            raise GeneratorUnavailableError(
                f"{str(file)!r} is not a whole GGUF file ({type(error).__name__}): fetch or "
                "export it again"
            ) from error
        architecture = self._text("general.architecture")
        if architecture != ARCHITECTURE:
            raise GeneratorUnavailableError(
                f"{str(file)!r} holds a model of the architecture {architecture!r}: expected "
                f"{ARCHITECTURE!r}"
            )
        self.context = int(self._value(f"{ARCHITECTURE}.context_length") or 2048)
        self.sliced = self._value("split.count") not in (None, 0, 1)

    def tokenizer(self) -> GgufTokenizer | None:
        """The tokenizer; None where the file has only llama.cpp's own form of it."""
        document = self._text(_TOKENIZER)
        template = self._text("tokenizer.chat_template")
        if document is None or template is None:
            return None
        bos = self._value("tokenizer.ggml.bos_token_id")
        eos = self._value("tokenizer.ggml.eos_token_id")
        return GgufTokenizer(
            document, template, None if bos is None else int(bos), 2 if eos is None else int(eos)
        )

    def _value(self, key: str) -> Any:
        field = self._reader.get_field(key)
        return None if field is None else field.contents()

    def _text(self, key: str) -> str | None:
        value = self._value(key)
        return None if value is None else str(value)


def _environment() -> Any:
    """Jinja as transformers renders chat templates with it."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks the answer for training; it changes nothing of the text."""

        tags = {"generation"}  # noqa: RUF012 - jinja's own declaration

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.globals["raise_exception"] = raise_exception
    return environment
