"""Take a rebuilt index into service while the assistant answers, without a restart."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Event, Thread

from assistant.pipeline import Assistant
from index import manifest
from index.embedder import Embedder
from index.errors import ExpectedError
from index.retrieve import open_index

logger = logging.getLogger(__name__)

SECONDS = 2.0  # between two looks at the manifest, each one `stat`
AGAIN_SECONDS = 60.0  # after which what could not be opened is tried again

_Stamp = tuple[int, int, int]


class IndexWatch(Thread):
    """Looks whether a build has put another generation in place, and opens it beside the old one.

    What is in service stays there until the new one is open, however long that is missing or
    damaged: its files were opened when it was loaded, so a build that sweeps them does no harm.
    """

    def __init__(
        self, assistant: Assistant, seconds: float = SECONDS, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        super().__init__(name="index-watch", daemon=True)
        self._assistant = assistant
        self._seconds = seconds
        self._again_seconds = again_seconds
        self._seen: tuple[Path, _Stamp | None] | None = None
        self._again: float | None = None  # when to look anew although nothing has changed
        self._ended = Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._ended.wait(self._seconds):
            self.look()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> bool:
        """Look once; whether another generation was taken into service."""
        serving = self._assistant.retriever
        if serving.folder is None:
            return False
        seen = (serving.folder, _stamp(serving.folder))
        if seen == self._seen and (self._again is None or time.monotonic() < self._again):
            return False
        self._seen, self._again = seen, None
        if seen[1] is None:
            logger.warning(
                "the index in %s is gone: %s stays in service; build it again with "
                "'python -m index build --out %s'",
                serving.folder,
                self._assistant.index_name,
                serving.folder,
            )
            return False
        self._again = time.monotonic() + self._again_seconds  # unless it is opened below
        try:
            if manifest.read(serving.folder).generation == serving.manifest.generation:
                self._again = None
                return False
            logger.info("the index in %s was rebuilt: opening it", serving.folder)
            found = open_index(
                serving.folder,
                _embedder_of(self._assistant, serving.folder),
                serving.top_k,
                self._assistant.settings.reranker,
                self._assistant.settings.vectors,
            )
        except ExpectedError as error:
            logger.warning("%s stays in service: %s", self._assistant.index_name, error)
            return False
        except Exception:  # a bug: what serves goes on serving
            logger.exception("%s stays in service", self._assistant.index_name)
            return False
        if self._assistant.retriever is not serving:
            return False  # something else was put in service meanwhile
        self._again = None
        self._assistant.serve(found, self._assistant.generator)
        logger.info("now in service: %s", self._assistant.index_name)
        return True


def _embedder_of(assistant: Assistant, folder: Path) -> Embedder | None:
    """The embedder in service, if the new index was built with the same one."""
    record = assistant.retriever.manifest.embedder
    same = manifest.read(folder).embedder == record
    return Embedder(assistant.retriever.embed_model, record) if same else None


def _stamp(folder: Path) -> _Stamp | None:
    try:
        found = (folder / manifest.MANIFEST).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
