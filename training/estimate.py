"""Memory and time of a run before it starts, and what to change where they are too much.

Memory is arithmetic over the shapes. Time is measured: one decoder layer, forward and backward at
the run's shapes, times the layers and tokens; loading and the 4-bit unpacking are not in it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from index.errors import ExpectedError
from training import base, source
from training.base import Hardware
from training.config import RunConfig

logger = logging.getLogger(__name__)

GIGABYTE = 1e9
_NF4_BYTES = 0.516  # 4 bits, and 0.127 bits of doubly quantised scale, of a weight
_LIBRARIES = {"cpu": 1.1e9, "cuda": 0.6e9}  # resident before the first weight
_LOGIT_CHUNK = 256  # positions whose logits exist at once
_TIMED_TOKENS = 256  # at most, of the layer that is timed on a CPU
_HEADROOM = 0.95  # of the free memory
_AMPLE = 0.7  # of it, below which nothing is computed twice to save some


class TooLittleMemoryError(ExpectedError):
    """The run would not fit; the message says what to change."""


@dataclass(frozen=True)
class Memory:
    """Bytes by what holds them."""

    weights: float
    adapter: float
    activations: float
    libraries: float

    @property
    def total(self) -> float:
        """Everything."""
        return self.weights + self.adapter + self.activations + self.libraries


def memory(
    config: RunConfig, model_config: Any, skeleton: Any, modules: list[str], machine: Hardware
) -> Memory:
    """What a run will hold at its peak."""
    half = 2 if machine.device == "cuda" and machine.precision != "fp32" else 4
    linear = [m for layers in base.linear_modules(skeleton).values() for m in layers]
    in_linear = sum(m.weight.numel() for m in linear)
    others = sum(p.numel() for p in skeleton.parameters()) - in_linear
    weights = others * half + in_linear * (_NF4_BYTES if machine.nf4 else half)

    targets = [m for n, ms in base.linear_modules(skeleton).items() if n in modules for m in ms]
    lora = sum(config.lora.rank * (m.in_features + m.out_features) for m in targets)
    if config.lora.dora:
        lora += sum(m.out_features for m in targets)
    state = 2 if machine.optimizer.endswith("8bit") else 8
    adapter = lora * (4 + 4 + state)  # weight, gradient, the two moments

    tokens = config.batch * config.rows.max_tokens
    hidden, inner = model_config.hidden_size, model_config.intermediate_size
    width = 4 if machine.precision == "fp32" else 2
    # A layer keeps about eight tensors of the hidden size (norms in fp32) and four of the inner
    # one, and the input of each adapter; with checkpointing only its input, and one layer at once.
    layer = tokens * (8 * hidden + 4 * inner) * width + tokens * 2 * hidden * 4
    kept = tokens * hidden * width
    depth = model_config.num_hidden_layers
    checkpointed = depth * kept + 2 * layer
    activations = checkpointed if machine.checkpointing else depth * layer
    activations += 3 * min(tokens, _LOGIT_CHUNK) * model_config.vocab_size * 4
    largest = max((m.weight.numel() for m in linear), default=0)
    if machine.nf4:
        activations += largest * width  # one weight, unpacked
    return Memory(weights, adapter, activations, _LIBRARIES[machine.device])


def settled(
    config: RunConfig, model_config: Any, skeleton: Any, modules: list[str], machine: Hardware
) -> Hardware:
    """The machine with `gradient_checkpointing` settled where the run leaves it to the memory."""
    if config.gradient_checkpointing != "auto":
        return machine
    without = replace(machine, checkpointing=False)
    needed = memory(config, model_config, skeleton, modules, without).total
    return without if needed < free_memory(machine) * _AMPLE else machine


def require_memory(
    config: RunConfig,
    model_config: Any,
    skeleton: Any,
    modules: list[str],
    machine: Hardware,
) -> None:
    """Stop before training where the run would not fit.

    Raises:
        TooLittleMemoryError: says how much is free, and what to change.
    """
    needed = memory(config, model_config, skeleton, modules, machine)
    free = free_memory(machine)
    logger.info(
        "about %.1f GB of memory will be needed (weights %.1f, adapter %.1f, activations %.1f); "
        "%.1f GB are free",
        needed.total / GIGABYTE,
        needed.weights / GIGABYTE,
        needed.adapter / GIGABYTE,
        needed.activations / GIGABYTE,
        free / GIGABYTE,
    )
    if needed.total > free * _HEADROOM:
        raise TooLittleMemoryError(
            f"the run needs about {needed.total / GIGABYTE:.1f} GB and {free / GIGABYTE:.1f} GB "
            f"are free: {advice(config)}; or set check_memory to false to try it"
        )


def free_memory(machine: Hardware) -> float:
    """Bytes that this process may still take, its own libraries counted as free."""
    if machine.device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0])
    import psutil

    return float(psutil.virtual_memory().available) + _LIBRARIES["cpu"]


def advice(config: RunConfig) -> str:
    """What to change for less memory, what helps most first."""
    steps = []
    if config.batch > 1:
        steps.append(f"batch 1 with accumulation {config.batch * config.accumulation}")
    if config.gradient_checkpointing is False:
        steps.append("gradient_checkpointing auto")
    if config.quantization == "none":
        steps.append("quantization nf4")
    if config.rows.max_tokens > 512:
        steps.append("rows.max_tokens 512")
    if config.lora.rank > 8:
        steps.append("lora.rank 8")
    return f"set {', '.join(steps)}" if steps else "use a smaller base"


def report(config: RunConfig) -> str:
    """Memory and time of a run, as lines."""
    stamp = source.check_stamp(config)
    model_config = base.base_config(config.base)
    tokenizer = base.load_tokenizer(config.base)
    skeleton = base.skeleton(model_config)
    modules = base.target_modules(config, skeleton)
    machine = settled(config, model_config, skeleton, modules, base.hardware(config))
    training, validation = source.build_rows(config, source.open_source(config), tokenizer)
    needed = memory(config, model_config, skeleton, modules, machine)
    tokens = training.tokens * config.epochs
    if config.max_steps:
        row = training.tokens / max(1, len(training.rows))
        each = config.rows.max_tokens if config.packing else row
        tokens = min(tokens, config.max_steps * config.batch * config.accumulation * each)
    speed = tokens_per_second(config, model_config, machine)
    # Validation reads its rows forward only, at each of its times: about a third of the work.
    extra = validation.tokens * (config.validations + 1) / 3
    lines = [
        f"base         {config.base}: {sum(p.numel() for p in skeleton.parameters()):,} parameters",
        f"split        {stamp[:12]}",
        f"rows         {len(training.rows):,} for training, {training.tokens:,} tokens; "
        f"{len(validation.rows):,} for validation, {validation.tokens:,} tokens",
        f"hardware     {machine.device}, {machine.precision}, "
        f"{'NF4' if machine.nf4 else 'not quantised'}, {machine.optimizer}, gradient checkpointing "
        f"{'on' if machine.checkpointing else 'off'}",
        f"memory       about {needed.total / GIGABYTE:.1f} GB: weights "
        f"{needed.weights / GIGABYTE:.2f}, adapter {needed.adapter / GIGABYTE:.2f}, activations "
        f"{needed.activations / GIGABYTE:.2f}, libraries {needed.libraries / GIGABYTE:.2f}; "
        f"{free_memory(machine) / GIGABYTE:.1f} GB free",
        f"time         about {duration((tokens + extra) / speed)} at {speed:,.0f} tokens/s",
    ]
    return "\n".join(lines)


def tokens_per_second(config: RunConfig, model_config: Any, machine: Hardware) -> float:
    """Training speed, from timing one decoder layer and the output layer on this machine."""
    import torch
    from transformers import LlamaForCausalLM

    dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    dtype = dtypes[machine.precision] if machine.device == "cuda" else torch.float32
    tokens = config.rows.max_tokens
    tokens = tokens * config.batch if machine.device == "cuda" else min(tokens, _TIMED_TOKENS)
    small = type(model_config).from_dict({**model_config.to_dict(), "num_hidden_layers": 1})
    model: Any = LlamaForCausalLM(small)
    model.to(machine.device, dtype)
    model.requires_grad_(False)
    embedded = torch.randn(1, tokens, small.hidden_size, device=machine.device, dtype=dtype)
    embedded.requires_grad_(True)

    def timed(run: Any) -> float:
        run()  # the first call sets things up
        if machine.device == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(3):
            run()
        if machine.device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) / 3

    def layer() -> Any:
        return model.model(inputs_embeds=embedded, use_cache=False).last_hidden_state

    forward = timed(lambda: layer())
    both = timed(lambda: layer().sum().backward())
    head = timed(lambda: model.lm_head(layer()).float().logsumexp(-1).sum().backward()) - both
    one_layer = both + (forward if machine.checkpointing else 0)
    return tokens / float(one_layer * model_config.num_hidden_layers + max(head, 0.0))


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
