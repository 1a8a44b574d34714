"""Generate with transformers: any Llama-architecture checkpoint with an optional LoRA adapter.

4-bit NF4 with double quantisation on CUDA, full precision on a CPU. Nothing is special about
TinyLlama: base and adapter are each a folder or a hub id.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from assistant.generator import GeneratorUnavailableError, Sampling
from assistant.prompts import Prompt, prompt_ids

logger = logging.getLogger(__name__)

ARCHITECTURE = "LlamaForCausalLM"
_WAIT_SECONDS = 120  # for one token: far more than any machine needs that can serve at all


class TransformersGenerator:
    """A checkpoint loaded on first use. One answer at a time: the cache belongs to one user."""

    grounded = False

    def __init__(self, base: str, adapter: str | None = None, device: str = "auto") -> None:
        self._base = base
        self._adapter = adapter
        self._device = device
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """Base and adapter, without their folders."""
        adapter = f" + {Path(self._adapter).name}" if self._adapter else ""
        return f"{Path(self._base).name}{adapter} (transformers)"

    def load(self) -> tuple[Any, Any]:
        """Tokenizer and model; loaded on the first call, with progress on stderr.

        Raises:
            GeneratorUnavailableError: says what is missing or wrong, and what to do.
        """
        with self._lock:
            if self._loaded is None:
                logger.info("loading %s", self.name)
                self._loaded = _load(self._base, self._adapter, self._device)
            return self._loaded

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces of text."""
        tokenizer, model = self.load()
        with self._lock:
            yield from _generate(tokenizer, model, prompt, sampling, stop)


def _load(base: str, adapter: str | None, device: str) -> tuple[Any, Any]:
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise GeneratorUnavailableError(
            "a transformers generator needs torch and transformers: pip install 'medcards[models]'"
        ) from error
    on_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        architectures = config.architectures or []
        if architectures and ARCHITECTURE not in architectures:
            raise GeneratorUnavailableError(
                f"the base {base!r} is a {architectures[0]}: expected a {ARCHITECTURE} checkpoint"
            )
        tokenizer = AutoTokenizer.from_pretrained(adapter_tokenizer(adapter) or base)
        options: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False}
        if on_cuda:
            options |= {"quantization_config": nf4(torch), "device_map": {"": 0}}
        else:
            options |= {"dtype": torch.float32}
        model = AutoModelForCausalLM.from_pretrained(base, **options)
        if adapter:
            model = _with_adapter(model, adapter)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = f"{base!r} with adapter {adapter!r}" if adapter else repr(base)
        raise GeneratorUnavailableError(
            f"cannot load {what}: {reason[:200]}; "
            "expected folders or hub ids with safetensors weights; check the names and the network"
        ) from error
    model.eval()
    return tokenizer, model


def nf4(torch: Any) -> Any:
    """The quantisation of QLoRA (Dettmers et al., 2023): NF4, double quantisation."""
    from transformers import BitsAndBytesConfig

    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def adapter_tokenizer(adapter: str | None) -> str | None:
    """The adapter's folder if it carries a tokenizer: what it was trained with wins."""
    if adapter and (Path(adapter) / "tokenizer_config.json").exists():
        return adapter
    return None


def _with_adapter(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    folder = Path(adapter)
    if folder.is_dir() and not (folder / "adapter_model.safetensors").exists():
        raise GeneratorUnavailableError(
            f"the adapter folder {adapter!r} has no adapter_model.safetensors: expected a LoRA "
            "adapter saved as safetensors"
        )
    return PeftModel.from_pretrained(model, adapter)


def _generate(
    tokenizer: Any, model: Any, prompt: Prompt, sampling: Sampling, stop: Event
) -> Iterator[str]:
    import torch
    from transformers import (
        StoppingCriteria,
        StoppingCriteriaList,
        TextIteratorStreamer,
        set_seed,
    )

    gone = Event()  # the reader has left; the caller's own event stays the caller's

    class Stopped(StoppingCriteria):
        """Ends generation between two tokens."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            ended = stop.is_set() or gone.is_set()
            return torch.full((input_ids.shape[0],), ended, device=input_ids.device)

    ids = prompt_ids(tokenizer, prompt)
    limit = int(getattr(model.config, "max_position_embeddings", 2048))
    if len(ids) + sampling.max_new_tokens > limit:
        # Unreachable with the prompt's own budget; an overlong prompt must not fail silently.
        raise GeneratorUnavailableError(
            f"the prompt has {len(ids)} tokens and the model room for {limit}: use fewer cards"
        )
    inputs = torch.tensor([ids], device=model.device)  # (1, tokens)
    streamer = TextIteratorStreamer(
        tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=_WAIT_SECONDS
    )
    draw: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        draw = {"do_sample": True, "temperature": sampling.temperature, "top_p": 0.9}
    failures: list[BaseException] = []

    def work() -> None:
        try:
            set_seed(sampling.seed)
            with torch.inference_mode():
                model.generate(
                    inputs=inputs,
                    attention_mask=torch.ones_like(inputs),
                    max_new_tokens=sampling.max_new_tokens,
                    pad_token_id=tokenizer.eos_token_id,
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList([Stopped()]),
                    **draw,
                )
        except BaseException as error:
            failures.append(error)
            streamer.end()

    worker = Thread(target=work, name="generate", daemon=True)
    worker.start()
    try:
        yield from streamer
    finally:
        gone.set()  # a reader that leaves must not leave the model running for nobody
        worker.join()
    if failures:
        raise failures[0]
