"""How often the 95 % interval of `eval.stats` holds the true mean, by simulation.

    python benchmarks/bootstrap_coverage.py [--samples 10000] [--items 200]

Exit status 1 if a distribution is covered in fewer than 94 or more than 96 % of the samples.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

import numpy as np

from eval import stats

Draw = Callable[[np.random.Generator, int], "np.ndarray"]

# True mean, and how values are drawn: as differences, as token F1, as shares with many zeros.
DISTRIBUTIONS: dict[str, tuple[float, Draw]] = {
    "normal differences": (0.0, lambda rng, n: rng.normal(0, 1, n)),
    "skewed scores (beta 0.5, 1)": (1 / 3, lambda rng, n: rng.beta(0.5, 1.0, n)),
    "yes or no (30 %)": (0.3, lambda rng, n: (rng.random(n) < 0.3).astype(float)),
    "two in five zero": (0.3, lambda rng, n: rng.random(n) * (rng.random(n) < 0.6)),
}


def main() -> int:
    """Print the coverage of each distribution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=200)
    arguments = parser.parse_args()
    outside = 0
    print(f"{'distribution':<30} coverage, {arguments.samples:,} samples of {arguments.items}")
    for name, (mean, draw) in DISTRIBUTIONS.items():
        rng = np.random.default_rng(0)
        hits = 0
        for sample in range(arguments.samples):
            found = stats.interval(draw(rng, arguments.items).tolist(), seed=sample)
            hits += found is not None and found.low <= mean <= found.high
        share = hits / arguments.samples
        error = math.sqrt(share * (1 - share) / arguments.samples)
        outside += not 0.94 <= share <= 0.96
        print(f"{name:<30} {share:.4f} (standard error {error:.4f})")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
