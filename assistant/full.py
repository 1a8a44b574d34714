"""The full profile: cards and model of a hub, made ready for this machine.

Everything is kept, so that what was once in service needs no network again.
"""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from assistant import conversion
from assistant.generator import (
    EngineMissingError,
    Generator,
    GeneratorUnavailableError,
    Sampling,
)
from assistant.hub_files import DATA, Repository
from assistant.llamacpp_generator import EngineOptions, LlamaCppGenerator
from assistant.openai_generator import OpenAIGenerator
from assistant.progress import Progress
from assistant.prompts import Prompt
from assistant.settings import REMOTE, Settings
from assistant.transformers_generator import TransformersGenerator
from index.errors import ExpectedError
from index.hub import FLASHCARDS, FLASHCARDS_ID
from index.paths import REPOSITORY, default_index
from index.retrieve import CardRetriever

if TYPE_CHECKING:
    from assistant.pipeline import Assistant

logger = logging.getLogger(__name__)

CARDS = Repository(FLASHCARDS_ID, "dataset", DATA)
_AGAIN_SECONDS = (60.0, 3600.0)  # between two attempts: at first, at most
_LOG_STEP = 0.1  # of a download
_DRIVER = Path("/proc/driver/nvidia")
_TORCH = ("torch", "transformers")


def engine(settings: Settings) -> str:
    """What writes the answers: a name of `MEDCARDS_GENERATOR` other than auto."""
    if settings.generator != "auto":
        return settings.generator
    on_cuda = settings.device == "cuda" or (settings.device == "auto" and _has_cuda())
    if on_cuda or not _installed("xllamacpp"):
        return "transformers"
    return "llamacpp"


def _has_cuda() -> bool:
    """Whether there is a CUDA device; torch is asked only where a driver is."""
    if not _DRIVER.exists() or not _installed("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def require_engine(settings: Settings) -> None:
    """Find out whether what would write the answers is installed; asks no network.

    Raises:
        EngineMissingError: says which packages are missing.
    """
    name, extra = engine(settings), "models"
    packages: tuple[str, ...] = ()
    if name.startswith(REMOTE):
        packages, extra = ("openai",), "remote"
    elif name == "transformers":
        packages = _TORCH
    elif name == "llamacpp":
        packages = ("xllamacpp", *((*_TORCH, "gguf") if _converts(settings) else ()))
    if "torch" in packages and settings.adapter:
        packages += ("peft",)
    missing = [package for package in packages if not _installed(package)]
    if missing:
        raise EngineMissingError(
            f"the generator {name.partition(':')[0]!r} needs {', '.join(missing)}: "
            f"install medcards[{extra}]"
        )


def _converts(settings: Settings) -> bool:
    """Whether llama.cpp needs a GGUF file that has to be made from safetensors."""
    if settings.base.endswith(".gguf"):
        return False
    return not (is_local(settings) and is_converted(settings))


def local(name: str) -> Path | None:
    """A checkpoint, adapter or GGUF file on this disk; asks no network.

    Raises:
        GeneratorUnavailableError: the name can be none of them.
    """
    path = Path(name).expanduser()
    if path.is_dir() or path.is_file():
        return path
    repository, file = _repository(name)
    folder = repository.local()
    return folder / file if folder and file else folder


def _repository(name: str) -> tuple[Repository, str]:
    """A hub id, `owner/name`, or a file of one, `owner/name/file.gguf`."""
    parts = name.split("/")
    if len(parts) == 3 and name.endswith(".gguf"):
        return Repository("/".join(parts[:2]), files=[parts[2]]), parts[2]
    if len(parts) == 2 and all(parts):
        return Repository(name), ""
    raise GeneratorUnavailableError(
        f"no model at {name!r}: expected a folder, a .gguf file, a hub id such as owner/name, or "
        "owner/name/file.gguf"
    )


def is_local(settings: Settings) -> bool:
    """Whether base and adapter are on this disk."""
    names = filter(None, (settings.base, settings.adapter))
    return all(local(name) is not None for name in names)


def is_converted(settings: Settings) -> bool:
    """Whether a model that is on this disk can be loaded as it is."""
    base = local(settings.base) if engine(settings) == "llamacpp" else None
    if base is None or base.suffix == ".gguf":
        return True
    adapter = local(settings.adapter) if settings.adapter else None
    return conversion.gguf_path(base, adapter, settings.quantization).exists()


def make_generator(settings: Settings, progress: Progress) -> Generator:
    """The generator of the full profile; what it needs is fetched and made on the way.

    Raises:
        ExpectedError: something cannot be had; says what and what to do.
    """
    require_engine(settings)
    name = engine(settings)
    if name.startswith(REMOTE):
        key = settings.api_key.get_secret_value()
        return OpenAIGenerator(name.removeprefix(REMOTE), settings.model, key)
    base = _fetched(settings.base, progress)
    adapter = _fetched(settings.adapter, progress) if settings.adapter else None
    if name == "transformers":
        return TransformersGenerator(str(base), str(adapter) if adapter else None, settings.device)
    progress.at("converting", f"{settings.base} to {settings.quantization}")
    return _llamacpp(settings, base, adapter)


def _llamacpp(settings: Settings, base: Path, adapter: Path | None) -> LlamaCppGenerator:
    options = EngineOptions(settings.slots, settings.threads)
    names = f"{_name(settings.base)}" + (
        f" + {_name(settings.adapter)}" if settings.adapter else ""
    )
    if base.suffix == ".gguf":
        if adapter is not None and adapter.suffix != ".gguf":
            raise GeneratorUnavailableError(
                f"the adapter {str(adapter)!r} cannot be put on a GGUF file: expected an adapter "
                "as GGUF, or MEDCARDS_BASE as a folder of safetensors"
            )
        return LlamaCppGenerator(base, names, adapter, options)
    file = conversion.gguf_of(base, adapter, settings.quantization)
    return LlamaCppGenerator(file, f"{names} {settings.quantization}", options=options)


def _name(name: str | None) -> str:
    return Path(name or "").name.removesuffix(".gguf")


def _fetched(name: str, progress: Progress) -> Path:
    found = local(name)
    if found is not None:
        return found
    repository, file = _repository(name)
    return repository.fetch(_reporter(name, progress)) / file


def _reporter(name: str, progress: Progress) -> Callable[[float], None]:
    logged = 0.0

    def report(done: float) -> None:
        nonlocal logged
        progress.at("downloading", name, round(done, 3))
        if done >= logged + _LOG_STEP:
            logged = done
            logger.info("fetching %s: %.0f %%", name, 100 * done)

    report(0.0)
    return report


def make_index(progress: Progress) -> Path:
    """The folder of the full deck's index, built where it is not there.

    In a process of its own that gives way to others: embedding takes minutes of every core.

    Raises:
        ExpectedError: cards or index cannot be had.
    """
    out = default_index(FLASHCARDS)
    if not (out / "manifest.json").exists():
        folder = CARDS.local() or CARDS.fetch(_reporter(FLASHCARDS_ID, progress))
        progress.at("indexing", FLASHCARDS_ID)
        command = [sys.executable, "-m", "index", "build", "--out", str(out), "--deck"]
        done = subprocess.run(
            [*_GIVING_WAY, *command, str(folder)], cwd=REPOSITORY, capture_output=True, text=True
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise ExpectedError(f"cannot index {FLASHCARDS_ID!r}: {lines[-1][:300]}")
    return out


_GIVING_WAY = ("nice", "-n", "10") if sys.platform != "win32" else ()


def prove(generator: Generator) -> None:
    """Have a generator write a few words: it is in service only after it has done so once.

    Raises:
        ExpectedError: it cannot.
    """
    load = getattr(generator, "load", None)
    if load is not None:
        load()
    if isinstance(generator, OpenAIGenerator):
        return  # an endpoint that answers is all that is asked: it may come and go
    for _ in generator.stream(Prompt("Is this a question?"), Sampling(4), Event()):
        pass


class Promotion(Thread):
    """Brings the full profile into service behind a running assistant, and tries until it can."""

    def __init__(
        self,
        assistant: Assistant,
        retriever: Callable[[], CardRetriever],
        generator: Callable[[], Generator],
        again_seconds: tuple[float, float] = _AGAIN_SECONDS,
    ) -> None:
        super().__init__(name="promotion", daemon=True)
        self._assistant = assistant
        self._retriever = retriever
        self._generator = generator
        self._again_seconds = again_seconds

    def run(self) -> None:
        """Until it is in service, or cannot be on this installation."""
        wait, longest = self._again_seconds
        while not self._try():
            time.sleep(wait)
            wait = min(2 * wait, longest)

    def _try(self) -> bool:
        progress = self._assistant.progress
        try:
            generator = self._generator()
            retriever = self._retriever()
            progress.at("loading", generator.name)
            prove(generator)
        except EngineMissingError as error:
            progress.given_up(str(error), "ready")
            logger.warning("stays in service: %s; %s", self._assistant.generator.name, error)
            return True
        except ExpectedError as error:
            progress.given_up(" ".join(str(error).split()))
            logger.warning("still in service: %s; %s", self._assistant.generator.name, error)
            return False
        except Exception as error:  # a bug, or a library's surprise: what serves goes on serving
            progress.given_up(type(error).__name__)
            logger.exception("still in service: %s", self._assistant.generator.name)
            return False
        self._assistant.serve(retriever, generator)
        progress.reached()
        logger.info("now in service: %s; %s", generator.name, self._assistant.index_name)
        return True
