"""Time, memory and energy of one answer; None where the machine does not let it be read."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Meter:
    """Measures what happens inside a `with` block."""

    def __init__(self) -> None:
        self.total_ms: float | None = None
        self.peak_mb: float | None = None
        self.energy_j: float | None = None

    def __enter__(self) -> Meter:
        _reset_peak()
        self._energy = _energy_uj()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.total_ms = round((time.perf_counter() - self._started) * 1000, 1)
        self.peak_mb = _peak_mb()
        after = _energy_uj()
        if after is not None and self._energy is not None and after >= self._energy:
            self.energy_j = round((after - self._energy) / 1e6, 4)


def _reset_peak() -> None:
    """Start the high-water marks anew; where that is not possible they just go on."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _peak_mb() -> float | None:
    """Highest resident memory of this process, or of the GPU where one is in use."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return round(float(torch.cuda.max_memory_allocated()) / 1e6, 1)
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        return None
    return None


def _energy_uj() -> int | None:
    """Microjoules on the counters of the processor packages; None if one cannot be read."""
    total = None
    for zone in sorted(POWERCAP.glob("*:*")):
        if zone.name.count(":") != 1:  # a part of a package is counted in it
            continue
        try:
            total = (total or 0) + int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            return None
    return total
