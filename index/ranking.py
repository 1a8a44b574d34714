"""Where the right cards stand in what was found. Several cards may be right for one question."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def recall_at(k: int, ranked: Sequence[str], relevant: Collection[str]) -> float | None:
    """Share of the relevant cards among the first `k` (of at most `k` that could be there)."""
    if not relevant:
        return None
    return len(set(ranked[:k]) & set(relevant)) / min(k, len(set(relevant)))


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float | None:
    """One over the place of the first relevant card; 0 if none was found."""
    if not relevant:
        return None
    return next((1 / place for place, i in enumerate(ranked, 1) if i in relevant), 0.0)


def ndcg_at(k: int, ranked: Sequence[str], relevant: Collection[str]) -> float | None:
    """Discounted gain of the first `k` over that of the best order (binary relevance)."""
    if not relevant:
        return None
    gain = sum(1 / math.log2(place + 1) for place, i in enumerate(ranked[:k], 1) if i in relevant)
    best = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(set(relevant))) + 1))
    return gain / best
