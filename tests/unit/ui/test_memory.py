from __future__ import annotations

import subprocess
import sys

import pytest

from ui import memory

# Eight threads, each of which fills an arena of its own if it may.
_ARENAS = """
import ctypes, sys, tempfile, threading
from ui import memory
if sys.argv[1] == "set":
    memory.give_back()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)
def fill():
    together.wait()
    for _ in range(100):
        libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=fill) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().decode().count("<heap nr="))
"""


def _arenas(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _ARENAS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc is Linux's")
def test_threads_share_two_arenas() -> None:
    assert _arenas("set") <= 2 < _arenas("default")


def test_another_malloc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Musl:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            raise AttributeError(name)

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Musl())
    memory.give_back()
    assert asked == ["mallopt"]
