"""A model reads in half where the hardware can, and learns in fp32.

Two models: the optimizer changes the one in fp32; its copy reads and is read from. Autocast, which
converts at every layer, is half as fast.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def reading_dtype() -> Any:
    """bf16 where the hardware multiplies in it; elsewhere it is emulated, sixty times as slow."""
    import torch

    fast = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


@contextmanager
def without_denormals() -> Iterator[None]:
    """Take what is too small for normal floats as zero: a CPU is ten times as slow on it.

    Saturated units leave such gradients and moments. The setting is the thread's, and whoever asks
    for IEEE arithmetic afterwards must get it.
    """
    import torch

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def reader_of(model: Any) -> Any:
    """A copy of a model in `reading_dtype`."""
    return copy.deepcopy(model).to(reading_dtype())


def copy_weights(model: Any, reader: Any) -> None:
    """Give the reader what the optimizer has changed."""
    import torch

    with torch.no_grad():
        for one, other in _trained(model, reader):
            other.copy_(one)


def move_gradients(reader: Any, model: Any) -> None:
    """Take the reader's gradients to the weights that they change."""
    for one, other in _trained(model, reader):
        one.grad, other.grad = None if other.grad is None else other.grad.float(), None


def _trained(model: Any, reader: Any) -> list[tuple[Any, Any]]:
    both = zip(model.parameters(), reader.parameters(), strict=True)
    return [(one, other) for one, other in both if one.requires_grad]
