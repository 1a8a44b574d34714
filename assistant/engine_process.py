"""llama.cpp in a process of its own: `python -m assistant.engine_process`, started by the engine.

llama.cpp ends its process when memory runs out or a file surprises it. Here that costs one answer
and not the service. The settings come as one line of JSON on stdin; once the model is loaded, the
address of the engine goes to stdout, and the process ends with its stdin, so that it cannot
outlive whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn


def main() -> NoReturn:
    """Serve on loopback until stdin closes."""
    options = json.loads(sys.stdin.readline())
    # When the machine's memory runs out, the kernel should end this process and not the service.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    engine = _serve(options)
    sys.stdout.write(json.dumps({"address": engine.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # at once: the engine's own end waits for the batch that is being read


def _serve(options: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.n_parallel = options["slots"]
    params.n_ctx = options["slots"] * options["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options["threads"]
    params.n_gpu_layers = 0
    params.verbosity = 0
    params.warmup = False
    params.fit_params = False
    # A user who stops, or another slot that is decoding, waits for at most one batch.
    params.n_batch = params.n_ubatch = options["batch"]
    if options["adapter"]:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(options["adapter"], 1.0)]
    if options["speculate"]:
        kinds = xllamacpp.common_speculative_type
        params.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        params.speculative.ngram_simple.size_n = options["speculate"][0]
        params.speculative.ngram_simple.size_m = options["speculate"][1]
    # A slot reuses its own prefix, token by token. The cache between slots, from which one
    # conversation could be restored into another's slot, stays off.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    # The engine also listens on a port of its own: without the key nobody can ask it anything,
    # and with it nobody can list what the slots hold.
    params.api_keys = [options["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.endpoint_slots = params.endpoint_props = params.ui = False
    params.sse_ping_interval = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
