"""Generate at an OpenAI-compatible endpoint, such as vLLM with a LoRA adapter."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

from assistant.generator import (
    EngineMissingError,
    GenerationError,
    GeneratorUnavailableError,
    Sampling,
)
from assistant.prompts import Prompt, fitting
from index.errors import ExpectedError

_CONNECT_SECONDS = 5
_SILENCE_SECONDS = 30  # between two pieces of text
_RETRIES = 2  # of a request that was refused or not answered; never of one half answered
# The endpoint renders the chat itself and its tokenizer is not at hand. Ordinary English has about
# four bytes to a token, which the first size counts on; no Llama's tokenizer makes more than one
# token of a byte, so that the second one fits a context of 2,048 whatever was written.
_BYTES = (4096, 1400)


class OpenAIGenerator:
    """A model behind a URL."""

    grounded = False

    def __init__(self, url: str, model: str | None = None, api_key: str = "none") -> None:
        """Args:
        model: the name of the model, or of its LoRA adapter; by default the first one served.
        """
        self._url = url.rstrip("/")
        self._model = model
        self._api_key = api_key
        self._lock = Lock()
        self._client: Any = None

    @property
    def name(self) -> str:
        """Model and host; never the whole URL, which may hold a password."""
        return f"{self._model or 'model'} at {urlsplit(self._url).hostname} (OpenAI-compatible)"

    def load(self) -> None:
        """Ask the endpoint what it serves.

        Raises:
            GeneratorUnavailableError: it does not answer, or does not serve the model.
        """
        self._opened()

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces of text."""
        from openai import BadRequestError, OpenAIError

        said = False
        try:
            try:
                pieces = self._asked(fitting(prompt, _BYTES[0]), sampling)
                first = next(pieces, "")
            except BadRequestError:  # longer than the model's context, most likely
                pieces = self._asked(fitting(prompt, _BYTES[1]), sampling)
                first = next(pieces, "")
            for piece in chain([first], pieces):
                if stop.is_set():
                    return
                said = said or bool(piece)
                yield piece
        except OpenAIError as error:
            raise GenerationError(self._message(error)) from error
        except ExpectedError:
            raise
        except Exception as error:  # the client parses whatever an endpoint sends
            raise GenerationError(
                f"{self.name} sent what is no answer ({type(error).__name__})"
            ) from error
        if not said:
            raise GenerationError(f"{self.name} sent an empty answer")

    def _asked(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        from llama_index.core.llms import ChatMessage

        for response in self._opened().stream_chat(
            [ChatMessage(**message) for message in prompt.messages()],
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens,
            seed=sampling.seed,
        ):
            yield response.delta or ""

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._model = self._model or self._first_model()
                self._client = self._make(self._model)
            return self._client

    def _make(self, model: str) -> Any:
        try:
            import httpx
            from llama_index.llms.openai_like import OpenAILike
        except ImportError as error:
            raise EngineMissingError(
                "an openai: generator needs llama-index-llms-openai-like: "
                "pip install 'medcards[remote]'"
            ) from error
        return OpenAILike(
            model=model,
            api_base=self._url,
            api_key=self._api_key,
            is_chat_model=True,
            max_retries=_RETRIES,
            timeout=_SILENCE_SECONDS,
            http_client=httpx.Client(
                timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS, pool=None)
            ),
        )

    def _first_model(self) -> str:
        client = self._make("any")
        from openai import OpenAIError

        try:
            found = [str(model.id) for model in client._get_client().models.list()]
        except OpenAIError as error:
            raise GeneratorUnavailableError(self._message(error)) from error
        except Exception as error:  # the client parses whatever an endpoint sends
            raise GeneratorUnavailableError(
                f"{self.name} is no OpenAI-compatible endpoint ({type(error).__name__}): "
                "expected a URL that ends in /v1, such as http://127.0.0.1:8000/v1"
            ) from error
        if not found:
            raise GeneratorUnavailableError(
                f"{self.name} serves no model: name one in MEDCARDS_MODEL"
            )
        return found[0]

    def _message(self, error: Exception) -> str:
        status = getattr(error, "status_code", None)
        what = f"status {status}" if status else type(error).__name__
        return (
            f"{self.name} does not answer ({what}): expected an endpoint at MEDCARDS_GENERATOR "
            "that serves MEDCARDS_MODEL; check that it runs"
        )
