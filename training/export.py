"""What a run becomes for serving: a merged checkpoint, or one GGUF file.

Merging happens on whole weights, never on 4-bit ones, whose rounding it would bake in: in fp32 on
the CPU, saved in 16 bit.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assistant import gguf_file
from index.errors import ExpectedError
from training import base as bases
from training import parity
from training.folder import read_run
from training.run import quiet_libraries

logger = logging.getLogger(__name__)

MERGED = "merged"


def merged_model(run: Path, base: str | None = None) -> tuple[Any, Any]:
    """Tokenizer and model of a run with the adapter folded into the base, in fp32.

    Raises:
        ExpectedError: the run is not finished, or its base cannot be loaded.
    """
    quiet_libraries()
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config, _ = read_run(run)
    where = base or config.base
    bases.base_config(where)
    try:
        whole = AutoModelForCausalLM.from_pretrained(
            where, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
        tuned = PeftModel.from_pretrained(whole, str(run))
    except (OSError, ValueError, RuntimeError) as error:
        raise ExpectedError(
            f"cannot put the adapter {str(run)!r} on {where!r} "
            f"({str(error).splitlines()[0][:160]}): expected the base that it was trained on; name "
            "it with --base"
        ) from error
    model = tuned.merge_and_unload(safe_merge=True)
    model.config.use_cache = True
    model.eval()
    return AutoTokenizer.from_pretrained(run), model


def merge(run: Path, out: Path | None = None, base: str | None = None) -> Path:
    """Write a run as one ordinary 16-bit checkpoint; returns its folder."""
    import torch

    tokenizer, model = merged_model(run, base)
    where = out or run / MERGED
    _require_new(where)
    # fp16 rounds eight times finer than bf16, and no weight of a sound model is near its limit.
    largest = max(float(weight.abs().max()) for weight in model.parameters())
    if not largest < torch.finfo(torch.float16).max:
        raise ExpectedError(
            f"the merged weights reach {largest:g}, more than 16 bits hold: the run has diverged; "
            "train again with a lower learning_rate"
        )
    model.to(torch.float16).save_pretrained(where)
    tokenizer.save_pretrained(where)
    for name in ("training.yaml", "run.json"):
        shutil.copy2(run / name, where / name)
    return where


def to_gguf(run: Path, kind: str, out: Path | None = None, base: str | None = None) -> Path:
    """Write a run as a GGUF file and compare its logits with transformers'; returns the file.

    Raises:
        ExpectedError: the two disagree. The file is removed then.
    """
    tokenizer, model = merged_model(run, base)
    where = out or run / f"{run.name}-{kind}.gguf"
    _require_new(where)
    where.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        partial = where.with_suffix(".partial")
        gguf_file.write(model, tokenizer, Path(folder), kind, partial)
    try:
        report = parity.compare(model, tokenizer, partial, kind)
    except parity.EngineMissingError as error:
        logger.warning("the file was not compared with transformers: %s", error)
    except parity.DisagreementError:
        partial.unlink()
        raise
    else:
        logger.info("%s", report)
    partial.rename(where)
    return where


def _require_new(where: Path) -> None:
    if where.exists():
        raise ExpectedError(f"{str(where)!r} exists: remove it, or give another --out")
