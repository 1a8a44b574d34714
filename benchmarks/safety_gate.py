"""How long the safety gate takes on its own messages: `python benchmarks/safety_gate.py`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from assistant.safety.gate import screen

DATA = Path(__file__).parents[1] / "assistant" / "safety" / "data"
EVERY = 5


def main() -> int:
    """Print the milliseconds of a message at the median and at the 95th percentile."""
    lines = [
        line
        for path in sorted(DATA.glob("themes_*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ][::EVERY]
    started = time.perf_counter()
    screen("warm up, please")
    first = time.perf_counter() - started
    took = []
    for line in lines:
        text = json.loads(line)["text"]
        started = time.perf_counter()
        screen(text)
        took.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.quantile(took, [0.5, 0.95])
    print(f"{len(took)} messages: p50 {p50:.1f} ms, p95 {p95:.1f} ms; first {first:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
