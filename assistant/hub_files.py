"""Files of a hub repository: fetched with progress, resumed where cut, checked before use.

The hub's client throws a part of a file away when a download fails, and compares sizes only. Here
large files go into the client's cache piece by piece and stay there, and every file is compared
with the checksum that the hub names it by.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from index.errors import ExpectedError
from index.hub import failures, no_retries
from index.paths import home

logger = logging.getLogger(__name__)

WEIGHTS = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "chat_template*",
    "adapter_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
)
DATA = ("*.json", "*.jsonl", "*.csv", "*.parquet")
_CHUNK = 1 << 20
_SPARE = 1 << 28  # bytes that stay free on the disk
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_POLL_SECONDS = 0.5
_LARGE = 10 << 20  # bytes from which on a file is worth going on with

Report = Callable[[float], None]  # the share that is there, 0 to 1


class FetchError(ExpectedError):
    """A hub does not give what was asked for, or gives something else."""


@dataclass(frozen=True)
class Repository:
    """What is wanted of a repository."""

    name: str
    kind: Literal["model", "dataset"] = "model"
    files: Sequence[str] = WEIGHTS

    def local(self) -> Path | None:
        """The folder of its files if they are all here and whole; asks no network."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(
                snapshot_download(
                    self.name,
                    repo_type=self.kind,
                    allow_patterns=list(self.files),
                    local_files_only=True,
                )
            )
        except (LocalEntryNotFoundError, ValueError):
            return None
        if not _complete(folder, self.kind):
            return None
        stamp = self._stamp(folder)
        if stamp.exists():
            return folder
        if _damaged(folder):
            return None
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
        return folder

    def fetch(self, report: Report = lambda done: None) -> Path:
        """The folder of its files, fetched as far as they are not here.

        Raises:
            FetchError: the hub does not answer, breaks off, or sends other bytes than it should.
        """
        from huggingface_hub import snapshot_download

        options: dict[str, Any] = {"repo_type": self.kind, "allow_patterns": list(self.files)}
        try:
            with no_retries():
                planned: Any = snapshot_download(self.name, dry_run=True, **options)
                total = sum(file.file_size or 0 for file in planned)
                missing = sum(file.file_size or 0 for file in planned if file.will_download)
                _require_space(missing)
                logger.info("fetching %s: %.1f of %.1f MB", self.name, missing / 1e6, total / 1e6)
                with _watched(self._cache(), total, report):
                    for file in planned:
                        if file.will_download and (file.file_size or 0) >= _LARGE:
                            self._fetch_large(file.filename, file.commit_hash)
                    folder = Path(snapshot_download(self.name, **options))
        except (TypeError, KeyError) as error:
            raise FetchError(
                f"what answers for {self.name!r} is no hub: check HF_ENDPOINT"
            ) from error
        except failures() as error:
            raise FetchError(
                f"cannot fetch {self.name!r} ({type(error).__name__}: {_line(error)}): expected a "
                "reachable hub that has it; it will go on where it stopped"
            ) from error
        if not _complete(folder, self.kind):
            raise FetchError(f"{self.name!r} is not complete: expected weights with config.json")
        if names := _damaged(folder):
            for name in names:
                _remove(folder / name)
            raise FetchError(
                f"{', '.join(names)} of {self.name!r} is not what the hub's checksum says: it was "
                "removed and will be fetched again"
            )
        stamp = self._stamp(folder)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
        return folder

    def _fetch_large(self, name: str, commit: str) -> None:
        """Put a file's content into the cache, from where an earlier attempt stopped."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.file_download import http_get

        found = get_hf_file_metadata(
            hf_hub_url(self.name, name, repo_type=self.kind, revision=commit)
        )
        if found.etag is None or not _SHA256.fullmatch(found.etag):
            return  # without a checksum there is no telling whether both parts are of one file
        blob = self._cache() / found.etag
        part = blob.with_suffix(".part")
        if blob.exists():
            return
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            http_get(found.location, file, resume_size=file.tell(), expected_size=found.size)
        part.replace(blob)

    def _stamp(self, folder: Path) -> Path:
        """A file that is there once the checksums of these very files were compared."""
        files = sorted(str(f.resolve()) for f in folder.rglob("*") if f.is_file())
        key = hashlib.sha256("\n".join(files).encode()).hexdigest()[:24]
        return home() / "checked" / key

    def _cache(self) -> Path:
        from huggingface_hub import constants

        folder = f"{self.kind}s--{self.name.replace('/', '--')}"
        return Path(constants.HF_HUB_CACHE) / folder / "blobs"


def _complete(folder: Path, kind: str) -> bool:
    """Whether every file that the others name is there; a link appears when its file is whole."""
    files = {file.name for file in folder.rglob("*") if file.exists()}
    if kind == "dataset" or any(name.endswith(".gguf") for name in files):
        return bool(files)
    if "adapter_config.json" in files:
        return "adapter_model.safetensors" in files
    shards = folder / "model.safetensors.index.json"
    weights = {"model.safetensors"}
    if shards.exists():
        weights = set(json.loads(shards.read_text(encoding="utf-8"))["weight_map"].values())
    tokenizer = {"tokenizer.json", "tokenizer.model"} & files
    return "config.json" in files and bool(tokenizer) and weights <= files


def _damaged(folder: Path) -> list[str]:
    """Files whose content is not what the hub's checksum, the name of the blob, says."""
    found = []
    for link in sorted(folder.rglob("*")):
        if not link.is_file():
            continue
        blob = link.resolve()
        if _SHA256.fullmatch(blob.name):
            digest = hashlib.sha256()
        elif _SHA1.fullmatch(blob.name):  # as git names a file
            digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
        else:
            continue
        with blob.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != blob.name:
            found.append(str(link.relative_to(folder)))
    return found


def _remove(link: Path) -> None:
    link.resolve().unlink(missing_ok=True)
    link.unlink(missing_ok=True)


def _require_space(needed: int) -> None:
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FetchError(
            f"{needed / 1e9:.1f} GB are to be fetched and the disk of {str(folder)!r} has "
            f"{free / 1e9:.1f} GB left: free some, or set HF_HOME"
        )


@contextmanager
def _watched(blobs: Path, total: int, report: Report) -> Iterator[None]:
    """Report within it how much of `total` bytes is on the disk."""
    over = Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            report(min(_bytes(blobs) / total, 1.0) if total else 1.0)

    watcher = Thread(target=watch, name="download-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _bytes(folder: Path) -> int:
    size = 0
    for file in folder.glob("*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:  # a part that has become whole, under another name
            continue
    return size


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else ""
