"""The serving install, from a clean environment to the first answer, with the network cut.

    python benchmarks/serving.py              # installs as the Dockerfile does, then measures
    python benchmarks/serving.py --python P   # measures an environment that is there

Takes the files that the Dockerfile copies (less what .dockerignore hides), runs its install steps
into a new virtual environment, and starts the chat in a network namespace of its own that has
nothing but loopback (behind a dead proxy where namespaces are not allowed). Ends with 1 when the
install is too large or no answer comes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pathspec

REPOSITORY = Path(__file__).resolve().parents[1]
GIGABYTES = 1.5  # at most, without weights
SECONDS = 10  # at most, from `python app.py` to the first answer, on a warm disk
STARTS = 3
_QUESTION = {"data": ["What is asthma?", None]}


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, with continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    parts = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), rest) for name, rest in parts]


def copied(dockerfile: str) -> list[tuple[list[str], str]]:
    """Sources and destination of each COPY."""
    found = [shlex.split(rest) for name, rest in instructions(dockerfile) if name == "COPY"]
    return [([*words[:-1]], words[-1]) for words in found]


def steps(dockerfile: str) -> list[str]:
    """The install steps that the Dockerfile runs."""
    ran = [rest for name, rest in instructions(dockerfile) if name == "RUN"]
    return [match[1] for rest in ran if (match := re.match(r"deploy/install\.sh (\w+)", rest))]


def hidden(dockerignore: str) -> pathspec.PathSpec:
    """What .dockerignore hides: its patterns start at the root, unlike git's."""
    lines = [line.strip() for line in dockerignore.splitlines()]
    anchored = [f"/{line}" for line in lines if line and not line.startswith("#")]
    return pathspec.PathSpec.from_lines("gitignore", anchored)


def context(target: Path) -> None:
    """Copy to `target` what the image gets, and nothing else."""
    ignored = hidden((REPOSITORY / ".dockerignore").read_text(encoding="utf-8"))
    for sources, destination in copied((REPOSITORY / "Dockerfile").read_text(encoding="utf-8")):
        for source in sources:
            for path in _files(REPOSITORY / source):
                name = path.relative_to(REPOSITORY)
                if ignored.match_file(name.as_posix()):
                    continue
                into = target / (name if len(sources) > 1 else _placed(name, source, destination))
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]


def _placed(name: Path, source: str, destination: str) -> Path:
    return (
        Path(destination) / name.relative_to(source) if name != Path(source) else Path(destination)
    )


def megabytes(folder: Path) -> float:
    """What a folder takes on disk; a file that is linked twice counts once."""
    seen = {(s.st_dev, s.st_ino): s.st_blocks for p in folder.rglob("*") for s in [p.lstat()]}
    return sum(seen.values()) * 512 / 1024**2


def first_answer(python: Path, folder: Path, home: Path, port: int) -> float:
    """Seconds of wall clock from `python app.py`, without a network, to an answer over HTTP."""
    settings = {
        "PATH": os.environ["PATH"],
        "MEDCARDS_HOME": str(home),
        "MEDCARDS_PROFILE": "embedded",
        "MEDCARDS_FEEDBACK": "off",
        "PORT": str(port),
    }
    # Inside the namespace: its loopback is not ours, so the question is asked from within, too.
    cut, blind = _without_network()
    done = subprocess.run(
        [*cut, sys.executable, __file__, "--inside", str(python)],
        cwd=folder,
        env={**settings, **blind},
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return float(done.stdout)


def _without_network() -> tuple[list[str], dict[str, str]]:
    """How to start a process without a network: in a namespace, else behind a dead proxy."""
    command = ["unshare", "--net", "--map-root-user"]
    if not subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        return command, {}
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    dead = dict.fromkeys(names, "http://127.0.0.1:9")
    return [], {**dead, "no_proxy": "127.0.0.1", "HF_ENDPOINT": "http://127.0.0.1:9"}


def inside(python: Path) -> float:
    """Start the app in this namespace, ask, stop; seconds to the answer."""
    with contextlib.suppress(PermissionError):  # behind a dead proxy, loopback is up already
        _raise_loopback()
    base = f"http://127.0.0.1:{os.environ['PORT']}/gradio_api/call/ask"
    started = time.monotonic()
    with subprocess.Popen([python, "app.py"]) as app:
        try:
            while True:
                if app.poll() is not None:
                    raise SystemExit(f"the app ended with status {app.returncode}")
                try:
                    return _asked(base) - started
                except OSError:
                    time.sleep(0.02)
        finally:
            app.terminate()


def _asked(base: str) -> float:
    body = json.dumps(_QUESTION).encode()
    request = urllib.request.Request(base, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{base}/{event}", timeout=60) as reply:
        told = reply.read().decode()
    if '"answered"' not in told:
        raise SystemExit(f"no answer: {told[:300]}")
    return time.monotonic()


def _raise_loopback() -> None:
    """A new network namespace has its loopback down."""
    import fcntl
    import socket
    import struct

    up = struct.pack("16sH14s", b"lo", 0x1, b"")  # IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, up)  # SIOCSIFFLAGS


def main() -> int:
    """Print the size of the install and the seconds to the first answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", type=Path, help="measure this environment, install nothing")
    parser.add_argument("--port", type=int, default=7871)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(inside(arguments.inside))
        return 0
    with tempfile.TemporaryDirectory(prefix="medcards-serving-") as made:
        root = Path(made)
        folder, venv, home = root / "srv", root / "venv", root / "data"
        context(folder)
        # Not resolved: an environment is known by the path of its link to the interpreter.
        python, size = arguments.python and arguments.python.absolute(), 0.0
        if python is None:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("MEDCARDS_")}
            environment |= {"VENV": str(venv), "MEDCARDS_HOME": str(home)}
            for step in steps((REPOSITORY / "Dockerfile").read_text(encoding="utf-8")):
                if step == "system":
                    continue  # that is the image's own; a machine has it or gets it from its owner
                began = time.monotonic()
                command = ["bash", "deploy/install.sh", step]
                subprocess.run(command, cwd=folder, env=environment, check=True)
                print(f"{step:14} {time.monotonic() - began:6.1f} s")
            python = venv / "bin" / "python"
            size = (megabytes(venv) + megabytes(folder)) / 1024
            print(f"install        {size:6.2f} GB without weights (at most {GIGABYTES})")
            print(f"starter index  {megabytes(home):6.1f} MB")
        starts = [first_answer(python, folder, home, arguments.port) for _ in range(STARTS)]
        told = ", ".join(f"{seconds:.1f}" for seconds in starts)
        print(f"first answer   {told} s after 'python app.py', network cut (at most {SECONDS})")
        return int(size > GIGABYTES)  # a machine may be slow: the seconds are told, not judged


if __name__ == "__main__":
    sys.exit(main())
