"""Generate with transformers: any Llama-architecture checkpoint with an optional LoRA adapter.

4-bit NF4 with double quantisation on CUDA, full precision on a CPU. Nothing is special about
TinyLlama: base and adapter are each a folder or a hub id.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock
from typing import Any

from assistant.batching import Batcher
from assistant.generator import GenerationError, GeneratorUnavailableError, Sampling
from assistant.prompts import Prompt, fitting_ids

logger = logging.getLogger(__name__)

ARCHITECTURE = "LlamaForCausalLM"
_CONTEXT = 2048  # tokens, where the model does not say
MAX_BATCH = 16  # answers at a time on a GPU; a CPU serves them one after the other


class TransformersGenerator:
    """A checkpoint loaded on first use. On CUDA, answers asked for at the same time share steps."""

    grounded = False

    def __init__(
        self,
        base: str,
        adapter: str | None = None,
        device: str = "auto",
        max_batch: int | None = None,
    ) -> None:
        """Args:
        max_batch: answers at a time; by default `MAX_BATCH` on CUDA and 1 elsewhere.
        """
        self._base = base
        self._adapter = adapter
        self._device = device
        self._max_batch = max_batch
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None
        self._batcher: Batcher | None = None

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
                tokenizer, model = _load(self._base, self._adapter, self._device)
                at_a_time = self._max_batch or (MAX_BATCH if model.device.type == "cuda" else 1)
                self._batcher = Batcher(tokenizer, model, at_a_time)
                self._loaded = tokenizer, model
            return self._loaded

    def stream(self, prompt: Prompt, sampling: Sampling, stop: Event) -> Iterator[str]:
        """Yield the answer in pieces of text."""
        tokenizer, model = self.load()
        assert self._batcher is not None
        limit = int(getattr(model.config, "max_position_embeddings", _CONTEXT))
        ids = fitting_ids(tokenizer, prompt, min(limit, _CONTEXT) - sampling.max_new_tokens)
        try:
            yield from self._batcher.stream(ids, sampling, stop)
        except (RuntimeError, MemoryError) as error:  # torch's failures, such as no memory left
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise GenerationError(f"the model failed ({reason[:200]})") from error


def load_checkpoint(base: str, adapter: str | None, options: dict[str, Any]) -> tuple[Any, Any]:
    """Tokenizer and model of a checkpoint with its adapter.

    Args:
        options: for `from_pretrained`, such as the number format or the quantisation.

    Raises:
        GeneratorUnavailableError: says what is missing or wrong, and what to do.
    """
    try:
        from safetensors import SafetensorError
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise GeneratorUnavailableError(
            "a transformers generator needs torch and transformers: pip install 'medcards[models]'"
        ) from error
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        architectures = config.architectures or []
        if architectures and ARCHITECTURE not in architectures:
            raise GeneratorUnavailableError(
                f"the base {base!r} is a {architectures[0]}: expected a {ARCHITECTURE} checkpoint"
            )
        tokenizer = AutoTokenizer.from_pretrained(adapter_tokenizer(adapter) or base)
        model = AutoModelForCausalLM.from_pretrained(
            base, use_safetensors=True, trust_remote_code=False, **options
        )
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


def _load(base: str, adapter: str | None, device: str) -> tuple[Any, Any]:
    try:
        import torch
    except ImportError as error:
        raise GeneratorUnavailableError(
            "a transformers generator needs torch and transformers: pip install 'medcards[models]'"
        ) from error
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        options = {"quantization_config": nf4(torch), "device_map": {"": 0}}
    else:
        options = {"dtype": torch.float32}
    return load_checkpoint(base, adapter, options)


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
