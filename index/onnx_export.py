"""Write torch modules as ONNX, and a mean-pooled BERT embedder in int8. Serving needs no torch."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_OPSET = 20


def convert(source: Path, folder: Path, model_name: str) -> None:
    """Export the checkpoint in `source` and put model and tokenizer into `folder`.

    The folder appears only when it is complete, so a killed conversion leaves nothing behind that
    would be taken for a model.
    """
    logger.info("converting %s to ONNX int8 (once, about 10 s)", source.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as name:
        work = Path(name) / "out"
        work.mkdir()
        with warnings.catch_warnings(), _quiet():
            # Notices about the exporter's own internals; a user can do nothing about them.
            warnings.simplefilter("ignore")
            _export(source, Path(name) / "fp32.onnx")
            quantize(Path(name) / "fp32.onnx", work / model_name)
        shutil.copy(source / "tokenizer.json", work / "tokenizer.json")
        with contextlib.suppress(OSError):  # another process was faster, with the same result
            work.rename(folder)


def _export(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModel

    class UnitMean(torch.nn.Module):
        """Mean of the token vectors under the mask, scaled to length 1."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(source, attn_implementation="eager").eval()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state  # (batch, tokens, dimension)
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            unit: torch.Tensor = mean / mean.norm(dim=-1, keepdim=True)
            return unit

    ids = torch.randint(1000, 2000, (2, 9))
    batch = torch.export.Dim("batch", min=1, max=4096)
    tokens = torch.export.Dim("tokens", min=2, max=512)
    shape = {0: batch, 1: tokens}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    write(UnitMean(), inputs, dict.fromkeys(inputs, shape), "unit_vector", target)


def write(
    model: Any, inputs: Mapping[str, Any], shapes: Mapping[str, Any], output: str, target: Path
) -> None:
    """Write a torch module as one ONNX file.

    Args:
        inputs: the arguments of `forward` by their names, with an example of each.
        shapes: for each of them its dynamic dimensions.
        output: the name of the result.
    """
    import torch

    torch.onnx.export(
        model.eval(),
        tuple(inputs.values()),
        str(target),
        input_names=list(inputs),
        output_names=[output],
        dynamic_shapes=dict(shapes),
        opset_version=_OPSET,
        dynamo=True,
        external_data=False,
    )


def quantize(source: Path, target: Path) -> None:
    """Write an ONNX model with its weights in 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, per_channel=True)


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]  # a context manager of no value
    """Silence what the exporter prints and logs: stdout is for results."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with open(os.devnull, "w", encoding="utf-8") as sink, contextlib.redirect_stdout(sink):
        try:
            yield
        finally:
            logging.disable(level)
            sys.stdout.flush()
