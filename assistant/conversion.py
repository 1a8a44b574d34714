"""A checkpoint with its adapter as a GGUF file, made once and kept.

The work is done in a process of its own (`python -m assistant.conversion`): it needs torch and
the whole weights, which the service must neither load nor keep.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from assistant.generator import GeneratorUnavailableError
from index import cli
from index.paths import REPOSITORY, home

logger = logging.getLogger(__name__)

_WRITER = 2  # changes when files of an older writer must be made again
_SPARE = 1 << 28  # bytes that stay free on the disk


def gguf_of(base: Path, adapter: Path | None, kind: str) -> Path:
    """The GGUF file of a checkpoint folder with its adapter folder, made if it is not there.

    Args:
        kind: `f16`, `q8_0` or `q4_0`.

    Raises:
        GeneratorUnavailableError: it cannot be made; says why.
    """
    out = gguf_path(base, adapter, kind)
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_suffix(".lock")):
        if out.exists():
            return out
        _require_space(base, out.parent)
        partial = out.with_suffix(".partial")
        logger.info("making %s from %s (once)", out.name, base)
        command = [sys.executable, "-m", "assistant.conversion", str(base.resolve()), kind]
        command += [str(partial.resolve()), *([str(adapter.resolve())] if adapter else [])]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        if done.returncode != 0:
            partial.unlink(missing_ok=True)
            lines = done.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"exit status {done.returncode}"
            raise GeneratorUnavailableError(
                f"cannot make a GGUF file of {str(base)!r}: {reason.removeprefix('error: ')[:300]}"
            )
        partial.replace(out)
    return out


def gguf_path(base: Path, adapter: Path | None, kind: str) -> Path:
    """Where the file of these very weights is kept."""
    stamp = hashlib.sha256(f"{_WRITER}".encode())
    for folder in filter(None, (base, adapter)):
        for file in sorted(folder.glob("*.*")):
            if file.suffix in (".json", ".safetensors", ".jinja", ".model"):
                state = file.stat()  # of what a link of the hub's cache points to
                stamp.update(f"{file.name}:{state.st_size}:{state.st_mtime_ns};".encode())
    name = base.name if adapter is None else f"{base.name}+{adapter.name}"
    return home() / "gguf" / f"{name}-{stamp.hexdigest()[:12]}-{kind}.gguf"


def _require_space(base: Path, folder: Path) -> None:
    needed = sum(file.stat().st_size for file in base.glob("*.safetensors")) + _SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise GeneratorUnavailableError(
            f"a GGUF file of {base.name!r} needs up to {needed / 1e9:.1f} GB, the disk of "
            f"{str(folder)!r} has {free / 1e9:.1f} GB left: free some, or set MEDCARDS_HOME"
        )


def convert(base: Path, kind: str, out: Path, adapter: Path | None = None) -> None:
    """Write the file.

    Raises:
        GeneratorUnavailableError: the weights cannot be loaded, or are of another kind.
    """
    import torch

    from assistant import gguf_file
    from assistant.transformers_generator import load_checkpoint

    # An adapter is folded into whole weights: rounding them to 16 bit comes after.
    dtype = torch.float32 if adapter else "auto"
    tokenizer, model = load_checkpoint(
        str(base), str(adapter) if adapter else None, {"dtype": dtype}
    )
    if adapter:
        model = model.merge_and_unload(safe_merge=True)
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        gguf_file.write(model, tokenizer, Path(folder), kind, out)


def main(argv: list[str] | None = None) -> int:
    """The command line of the process that converts."""
    parser = argparse.ArgumentParser(prog="python -m assistant.conversion", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("kind", choices=["f16", "q8_0", "q4_0"])
    parser.add_argument("out", type=Path)
    parser.add_argument("adapter", type=Path, nargs="?")
    return cli.run(_convert, parser.parse_args(argv))


def _convert(arguments: argparse.Namespace) -> int:
    convert(arguments.base, arguments.kind, arguments.out, arguments.adapter)
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
