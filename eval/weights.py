"""Which weights were measured: a hash of their files, and the split that they were trained for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eval.records import Weights
from index.errors import ExpectedError
from index.manifest import file_record


def describe(name: str) -> Weights:
    """Name, hash and split stamp of a base or adapter, a folder or a hub id.

    Raises:
        ExpectedError: a folder without safetensors, or a path that does not exist.
    """
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
            raise ExpectedError(f"no weights at {name!r}: expected a folder or a hub id owner/name")
        return Weights(name=name, sha256=_hub_commit(name))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ExpectedError(f"the folder {name!r} has no *.safetensors: expected saved weights")
    digest = hashlib.sha256()
    for path in files:
        digest.update(file_record(path).sha256.encode())
    stamp = provenance(folder).get("split_stamp")
    return Weights(
        name=folder.name,
        sha256=digest.hexdigest(),
        split_stamp=stamp if isinstance(stamp, str) else None,
    )


def provenance(folder: Path) -> dict[str, Any]:
    """What a folder of weights records of its training: the JSON file with a "split_stamp".

    Empty for weights that record none, such as a base from a hub.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(fields, dict) and "split_stamp" in fields:
            return fields
    return {}


def _hub_commit(name: str) -> str:
    """The commit of a hub model that is on this disk, else "unknown"."""
    try:
        from huggingface_hub import try_to_load_from_cache

        for file in ("adapter_config.json", "config.json"):
            found = try_to_load_from_cache(name, file)
            if isinstance(found, str):
                return Path(found).parent.name
    except (ImportError, ValueError):
        return "unknown"
    return "unknown"
