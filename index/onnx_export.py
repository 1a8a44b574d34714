"""Convert a mean-pooled BERT embedder to an int8 ONNX graph. Needs torch; serving does not."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

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
    torch.onnx.export(
        UnitMean(),
        (ids, torch.ones_like(ids)),
        str(target),
        input_names=["input_ids", "attention_mask"],
        output_names=["unit_vector"],
        dynamic_shapes={"input_ids": shape, "attention_mask": shape},
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
