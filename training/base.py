"""The base checkpoint: what it is, whether a run fits it, and how it is loaded to be trained."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.prompts import Prompt, prompt_ids
from assistant.transformers_generator import ARCHITECTURE
from index.errors import ExpectedError, IndexMismatchError
from training.config import RunConfig, read_yaml

logger = logging.getLogger(__name__)

Precision = Literal["bf16", "fp16", "fp32"]
_NF4_BLOCK = 64  # weights that share a scale
_AMPERE = (8, 0)  # the first CUDA capability with bf16 units; older ones emulate it, slowly


class BaseUnusableError(ExpectedError):
    """The base or the adapter to start from is missing or of the wrong kind."""


@dataclass(frozen=True)
class Hardware:
    """What a run uses of this machine."""

    device: Literal["cuda", "cpu"]
    precision: Precision
    nf4: bool
    optimizer: str  # as transformers names it
    checkpointing: bool  # of gradients; where `auto` is to decide, until it has, they are


def hardware(config: RunConfig) -> Hardware:
    """Settle what `auto` means here; say so where the machine cannot do what a run asks for."""
    import torch

    on_cuda = torch.cuda.is_available()
    has_bf16 = on_cuda and torch.cuda.get_device_capability() >= _AMPERE
    best: Precision = ("bf16" if has_bf16 else "fp16") if on_cuda else "fp32"
    precision: Precision = best if config.precision == "auto" else config.precision
    if (precision == "fp16" and not on_cuda) or (precision == "bf16" and on_cuda and not has_bf16):
        logger.warning("%s is not for this device: training in %s", precision, best)
        precision = best
    optimizer = config.optimizer
    if optimizer == "auto":
        optimizer = "paged_adamw_8bit" if on_cuda else "adamw"
    if optimizer.startswith("paged") and not on_cuda:
        logger.info("%s needs CUDA: plain AdamW takes its place", optimizer)
        optimizer = "adamw"
    names = {"adamw": "adamw_torch_fused" if on_cuda else "adamw_torch"}
    return Hardware(
        device="cuda" if on_cuda else "cpu",
        precision=precision,
        nf4=config.quantization == "nf4" or (config.quantization == "auto" and on_cuda),
        optimizer=names.get(optimizer, optimizer),
        checkpointing=config.gradient_checkpointing is not False,
    )


def base_config(base: str) -> Any:
    """The configuration of a Llama checkpoint.

    Raises:
        BaseUnusableError: it cannot be had, or is of another architecture.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BaseUnusableError(
            f"cannot load the base {base!r} ({_first_line(error)}): expected a folder or a hub id; "
            "check the name and the network, or name a folder with --base"
        ) from error
    architectures = config.architectures or ["unknown"]
    if architectures != [ARCHITECTURE]:
        raise BaseUnusableError(
            f"the base {base!r} is a {architectures[0]}: expected a {ARCHITECTURE} checkpoint; "
            "choose another with --base"
        )
    return config


def load_tokenizer(base: str) -> Any:
    """The base's tokenizer, with a chat template and an end-of-turn token.

    Raises:
        BaseUnusableError: it cannot be loaded, or has neither.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise BaseUnusableError(
            f"cannot load the tokenizer of {base!r} ({_first_line(error)}): expected one beside "
            "the weights"
        ) from error
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        missing = "chat template" if tokenizer.chat_template is None else "end-of-text token"
        raise BaseUnusableError(
            f"the tokenizer of {base!r} has no {missing}: expected a chat model's; choose another "
            "with --base"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    prompt_ids(tokenizer, Prompt("Is this a question?"))
    return tokenizer


def skeleton(config: Any) -> Any:
    """The model without memory for its weights."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.device("meta"):
        return LlamaForCausalLM(config)


def linear_modules(model: Any) -> dict[str, list[Any]]:
    """The linear layers of a model by the last part of their names, without the output layer."""
    import torch

    found: dict[str, list[Any]] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            found.setdefault(name.rpartition(".")[2], []).append(module)
    return found


def target_modules(config: RunConfig, model: Any) -> list[str]:
    """The names of the layers that get an adapter.

    Raises:
        BaseUnusableError: the base has no layer of a name that the run gives.
    """
    known = linear_modules(model)
    if config.lora.modules == "all-linear":
        return sorted(known)
    for name in config.lora.modules:
        if name not in known:
            raise BaseUnusableError(
                f"lora.modules names {name!r}, which {config.base!r} has not: expected some of "
                f"{', '.join(sorted(known))}, or all-linear"
            )
    return list(config.lora.modules)


def check_quantisable(config: RunConfig, model: Any, machine: Hardware) -> None:
    """Stop early if a CPU cannot compute with this base in NF4.

    Raises:
        BaseUnusableError: a layer does not divide into NF4's blocks, as a CPU needs it to.
    """
    if not machine.nf4 or machine.device != "cpu":
        return
    layers = [layer for found in linear_modules(model).values() for layer in found]
    if any(layer.in_features % _NF4_BLOCK for layer in layers):
        raise BaseUnusableError(
            f"{config.base!r} has layers whose width is no multiple of {_NF4_BLOCK}, which NF4 on "
            "a CPU needs: set quantization none"
        )


def check_adapter(adapter: str, split_stamp: str) -> None:
    """Stop early if the adapter to start from is not there, or was made for another split.

    Raises:
        BaseUnusableError: it is not a folder with a safetensors adapter.
        IndexMismatchError: it may have been trained on cards that are held out here.
    """
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (Path(adapter) / name).is_file():
            raise BaseUnusableError(
                f"no adapter to start from at {adapter!r} (no {name}): expected a folder that "
                "'python -m training run' has written"
            )
    run = Path(adapter) / "training.yaml"
    stamp = read_yaml(run).get("split_stamp") if run.exists() else None
    if stamp != split_stamp:
        raise IndexMismatchError(
            f"the adapter {adapter!r} was trained for split {str(stamp)[:12]}, the index has "
            f"{split_stamp[:12]}: held-out cards may have been trained on; start a new adapter"
        )


def load_model(config: RunConfig, machine: Hardware) -> Any:
    """The base's weights, in NF4 with double quantisation where the machine calls for it.

    Raises:
        BaseUnusableError: the weights are missing or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from training import attention

    compute = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    dtype = compute[machine.precision] if machine.device == "cuda" else torch.float32
    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "trust_remote_code": False}
    options["attn_implementation"] = attention.register()
    if machine.nf4:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            # FSDP shards floating parameters only: the packed bytes are stored as if they were.
            bnb_4bit_quant_storage=dtype if sharded() else None,
        )
    if machine.device == "cuda":
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    try:
        model = AutoModelForCausalLM.from_pretrained(config.base, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise BaseUnusableError(
            f"cannot load the weights of {config.base!r} ({_first_line(error)}): expected "
            "safetensors; fetch the base again"
        ) from error
    model.config.use_cache = False
    return model


def sharded() -> bool:
    """Whether `accelerate launch` was given a configuration that shards the model."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:160] if text else type(error).__name__
