"""Feed hostile bytes to everything that reads bytes: deck readers, the index folder, the API.

    python benchmarks/fuzz.py [--inputs 200000] [--out DIR] [--only json ...]

Coverage-guided (atheris, libFuzzer): each target runs in a process of its own, which ends at the
first exception that is no `ExpectedError`, at an input that takes more than 5 s, and at 1 GB of
memory; the input is then kept in --out. Needs 'pip install atheris' (Python up to 3.13).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 5  # that one input may take
MEGABYTES = 1024  # that the process may hold, its libraries included
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

Target = Callable[[bytes], None]
# What libFuzzer mixes in.
WORDS = """question answer Patient Doctor front back input output instruction topic tags url source
#separator: #html: {{c1:: }} &#x <script> [sound: notes flds NaN null 1e999 \\ud800"""


def reader(name: str, wrap: Callable[[bytes], bytes] = lambda data: data) -> Callable[[], Target]:
    """A target that reads a file of that name as a deck and cleans its rows."""

    def prepare() -> Target:
        from index import decks
        from index.cleaning import clean_deck
        from index.config import CleaningConfig
        from index.errors import ExpectedError

        config = CleaningConfig(near_duplicates=False)
        folder = Path(tempfile.mkdtemp(prefix="medcards-fuzz-", dir=_memory()))

        def read(data: bytes) -> None:
            path = folder / name
            path.write_bytes(wrap(data))
            with contextlib.suppress(ExpectedError):
                clean_deck(decks.read(str(path), max_unpacked=64), config)

        return read

    return prepare


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def zipped(member: str) -> Callable[[bytes], bytes]:
    """Bytes as the collection of an Anki package: past the zip's own checks."""

    def wrap(data: bytes) -> bytes:
        import zstandard

        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            packed = zstandard.ZstdCompressor().compress(data) if member.endswith("b") else data
            archive.writestr(member, packed)
        return out.getvalue()

    return wrap


def manifest_target() -> Target:
    """The first byte says whether the checksum is put right, as a hostile author would."""
    from index import manifest
    from index.errors import ExpectedError

    folder = Path(tempfile.mkdtemp(prefix="medcards-fuzz-", dir=_memory()))

    def read(data: bytes) -> None:
        body = data[1:]
        if data[:1] > b"\x40":
            with contextlib.suppress(ValueError, RecursionError):
                fields = json.loads(body)
                if isinstance(fields, dict):
                    fields[manifest._CHECKSUM] = manifest._checksum(
                        {k: v for k, v in fields.items() if k != manifest._CHECKSUM}
                    )
                    body = json.dumps(fields).encode()
        (folder / manifest.MANIFEST).write_bytes(body)
        with contextlib.suppress(ExpectedError):
            manifest.verify(manifest.read(folder), folder)

    return read


def folder_target() -> Target:
    """A whole index with one of its files changed and its hashes put right."""
    from index import manifest, retrieve
    from index.embedder import open_embedder
    from index.errors import ExpectedError

    source = _starter()
    record = manifest.read(source)
    embedder = open_embedder(record.embedder.name)
    folder = Path(tempfile.mkdtemp(prefix="medcards-fuzz-", dir=_memory()))
    shutil.copytree(source / record.generation, folder / record.generation)
    # FAISS and NumPy files are not among them: their readers are trusted to whoever made the
    # index, see docs/security.md.
    names = [
        manifest.CARDS,
        manifest.RELEVANCE,
        manifest.SPLIT,
        f"{manifest.BM25}/params.index.json",
    ]

    def read(data: bytes) -> None:
        name = names[data[0] % len(names)] if data else names[0]
        path = folder / record.generation / name
        whole = path.read_bytes()
        try:
            cut = int.from_bytes(data[1:3]) % (len(whole) + 1)
            path.write_bytes(whole[:cut] + data[3:] + whole[cut + len(data[3:]) :])
            files = {**record.files, name: manifest.file_record(path)}
            manifest.write(record.model_copy(update={"files": files}), folder)
            with contextlib.suppress(ExpectedError):
                retrieve.open_index(folder, embedder)
            with contextlib.suppress(ExpectedError):
                retrieve.open_split(folder)
        finally:
            path.write_bytes(whole)

    return read


def _starter() -> Path:
    from index import build
    from index.config import IndexConfig
    from index.paths import default_index

    folder = default_index("starter")
    if not (folder / "manifest.json").exists():
        build.build(IndexConfig(decks=("starter",), out=folder))
    return folder


def _page() -> Any:
    import app
    from assistant.build import build_assistant
    from assistant.settings import Settings

    _starter()
    return app.build_page(build_assistant(Settings(profile="embedded")))


def question_target() -> Target:
    """What the endpoint `ask` is given, as any JSON."""
    import gradio as gr

    demo, _ = _page()
    ask = next(fn.fn for fn in demo.fns.values() if fn.api_name == "ask")
    assert ask is not None
    nobody = gr.Request(session_hash="fuzz")

    def call(data: bytes) -> None:
        question, _, rest = data.partition(b"\x00")
        history: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            history = json.loads(rest)
        with contextlib.suppress(gr.Error):
            ask(question.decode("utf-8", "surrogateescape"), nobody, history)

    # What a client may send that is no pair of texts is told by `gr.Error`, never by a traceback.

    return call


ROUTES = (
    "gradio_api/call/ask", "gradio_api/call/v2/ask", "gradio_api/run/ask", "gradio_api/queue/join",
    "gradio_api/upload", "gradio_api/file=", "gradio_api/component_server", "gradio_api/reset",
    "gradio_api/cancel", "healthz", "report", "metrics", "static/", "assets/", "theme.css?", "",
)  # fmt: skip


def http_target() -> Target:
    """A request to the web service: the first byte is the route, the second the type of body."""
    import httpx2
    from starlette.testclient import TestClient

    from ui import service

    demo, page = _page()
    client = TestClient(service.service(demo, page), raise_server_exceptions=False)
    client.__enter__()
    types = ("application/json", "multipart/form-data; boundary=x", "text/plain", "\x7f")

    def call(data: bytes) -> None:
        route = ROUTES[data[0] % len(ROUTES)] if data else ""
        body, headers = data[2:], {"content-type": types[data[1] % 4] if len(data) > 1 else ""}
        if data[:1] >= b"\x80":  # as the rest of the path
            tail = body.decode("latin-1").replace("\n", "").replace("\r", "").replace("\t", "")
            with contextlib.suppress(ValueError, httpx2.InvalidURL):
                _sound(client.get("http://127.0.0.1/" + route + tail, follow_redirects=False))
            return
        _sound(client.post("/" + route, content=body, headers=headers))

    return call


def _sound(response: Any) -> None:
    """Gradio says 500 to a body that is none of its own, 503 when its queue is full."""
    assert response.status_code < 500 or b"Traceback" not in response.content, response.content


@dataclass(frozen=True)
class Job:
    """A target, its first inputs and its share of all inputs."""

    prepare: Callable[[], Target]
    seeds: Callable[[], list[bytes]]
    share: float
    longest: int = 4096


def _rows() -> list[dict[str, Any]]:
    return [
        {"question": "What is asthma?", "answer": "A disease of the airways.", "topic": "lung"},
        {"Patient": "I cough; why?", "Doctor": 'A "cold", often.', "tags": ["a", 1, None]},
        {"input": "", "instruction": "What is gout?", "output": "Crystals in a joint."},
    ]


def _delimited(mark: str) -> list[bytes]:
    lines = [["question", "answer", "topic"], ["What is gout?", '"Crystals, in\na joint"', "x"]]
    return ["\n".join(mark.join(line) for line in lines).encode(), b'front|back\n"a|b\nc|d\n']


def _json() -> list[bytes]:
    return [json.dumps(_rows()).encode(), json.dumps({"data": _rows()[:1]}).encode()]


def _jsonl() -> list[bytes]:
    return ["\n".join(map(json.dumps, _rows())).encode()]


def _anki_text() -> list[bytes]:
    head = b"#separator:tab\n#html:true\n#tags column:3\n"
    return [head + b"What is <b>gout</b>?\tCrystals &amp; pain\tjoint\n{{c1::Gout::x}} hurts\t\t\n"]


def _parquet() -> list[bytes]:
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(_rows()[:1]), out)
    return [out.getvalue()]


def _collection() -> list[bytes]:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 512")
    connection.execute("CREATE TABLE notes (id integer primary key, tags text, flds text)")
    fields = [("a b", "What is gout?\x1fCrystals"), ("", "{{c1::Gout}} hurts\x1f")]
    connection.executemany("INSERT INTO notes(tags, flds) VALUES (?, ?)", fields)
    connection.commit()
    return [connection.serialize()]


def _packages() -> list[bytes]:
    kinds = ("collection.anki2", "collection.anki21", "collection.anki21b")
    return [zipped(kind)(_collection()[0]) for kind in kinds]


def _manifests() -> list[bytes]:
    text = (_starter() / "manifest.json").read_bytes()
    return [b"\x00" + text, b"\x80" + text]


def _questions() -> list[bytes]:
    history = json.dumps([["What is gout?", "Crystals."], [1, None], ["a"]]).encode()
    return [b"What is asthma?\x00null", b"and in children?\x00" + history, b"chest pain\x00{}"]


def _requests() -> list[bytes]:
    asked = json.dumps({"data": ["What is asthma?", []]}).encode()
    joined = json.dumps({"fn_index": 3, "data": ["x"], "session_hash": "s"}).encode()
    sent = b'--x\r\nContent-Disposition: form-data; name="files"; filename="../a"\r\n\r\nx\r\n--x--'
    seeds = [bytes([route, 0]) + asked for route in range(3)]
    seeds += [
        b"\x03\x00" + joined,
        b"\x04\x01" + sent,
        b"\x85\x00/etc/passwd",
        b"\x85\x00../app.py",
    ]
    return seeds


JOBS = {
    "json": Job(reader("deck.json"), _json, 0.13),
    "jsonl": Job(reader("deck.jsonl"), _jsonl, 0.12),
    "csv": Job(reader("deck.csv"), lambda: _delimited(","), 0.13),
    "tsv": Job(reader("deck.tsv"), lambda: _delimited("\t"), 0.12),
    "anki-text": Job(reader("deck.txt"), _anki_text, 0.12),
    "parquet": Job(reader("deck.parquet"), _parquet, 0.08),
    "apkg": Job(reader("deck.apkg"), _packages, 0.08, 8192),
    "apkg-sqlite": Job(reader("deck.apkg", zipped("collection.anki2")), _collection, 0.06, 8192),
    "apkg-zstd": Job(reader("deck.apkg", zipped("collection.anki21b")), _collection, 0.04, 8192),
    "manifest": Job(manifest_target, _manifests, 0.06, 8192),
    "index-folder": Job(folder_target, lambda: [bytes(8), b"\x01\x00\x10NaN"], 0.01),
    "question": Job(question_target, _questions, 0.03, 512),
    "http": Job(http_target, _requests, 0.02, 512),
}


def run_target(name: str, runs: int, out: Path) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    job = JOBS[name]
    modules = ["index", "assistant", "ui", "csv", "json", "zipfile", "html"]
    with atheris.instrument_imports(include=modules), contextlib.redirect_stderr(io.StringIO()):
        seeds, target = job.seeds(), job.prepare()
    corpus = Path(tempfile.mkdtemp(prefix="medcards-corpus-", dir=_memory()))
    for i, seed in enumerate(seeds):
        (corpus / str(i)).write_bytes(seed)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(f'"{word.replace(chr(92), chr(92) * 2)}"\n' for word in WORDS.split()))
    options = [
        f"-runs={runs}", f"-max_len={job.longest}", f"-timeout={SECONDS}", "-seed=7",
        f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={out}/{name}-", f"-dict={words}",
        "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="over all targets")
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for bad inputs")
    parser.add_argument("--target", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.target:
        run_target(arguments.target, arguments.inputs, arguments.out)
    bad, total = [], 0
    print("target         inputs  seconds  memory MB  slowest s  coverage  end", flush=True)
    for name in arguments.only:
        runs = round(arguments.inputs * JOBS[name].share)
        started = time.perf_counter()
        result = subprocess.run(
            [sys.executable, __file__, "--target", name, "--inputs", str(runs),
             "--out", str(arguments.out)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, "PYTHONHASHSEED": "0"}, check=False,
        )  # fmt: skip
        log = result.stdout
        (arguments.out / f"{name}.log").write_text(log, encoding="utf-8")
        stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", log))
        done = int(stats.get("number_of_executed_units", 0))
        coverage = re.findall(r"cov: (\d+)", log)
        total += done
        # libFuzzer's alarm may yet ring while a process with threads ends: its word is what counts.
        well = f"Done {runs} runs" in log and "Uncaught" not in log
        if not well:
            bad.append(name)
        print(
            f"{name:13} {done:7,} {time.perf_counter() - started:8.0f}"
            f" {stats.get('peak_rss_mb', '?'):>10} {stats.get('slowest_unit_time_sec', '?'):>10}"
            f" {coverage[-1] if coverage else '?':>9}  "
            f"{'ok' if well else f'FAILED ({result.returncode})'}",
            flush=True,
        )
    print(f"{total:,} inputs, {len(bad)} targets failed {' '.join(bad)}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
