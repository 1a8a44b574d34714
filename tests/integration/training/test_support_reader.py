"""The support check's reader learns what it is shown, and is served as it was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.integration


def test_a_reader_learns_and_says_the_same_as_onnx(tmp_path: Path) -> None:
    from assistant.support_reader import SupportReader, TokenPair
    from training import support_reader
    from training.reader_model import save_onnx

    draw = np.random.default_rng(0)

    def unit(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        values = draw.standard_normal((count, 384)).astype(np.float32)
        return values / np.linalg.norm(values, axis=1, keepdims=True)

    pairs, labels = [], []
    for number in range(96):
        card = unit(12)
        held = number % 2 == 0
        sentence = card[3:8] if held else unit(5)
        part = np.repeat(np.arange(3), 4)
        pairs.append(TokenPair(sentence[: 3 + number % 3], card, part))
        labels.append(float(held))
    model = support_reader.teach(pairs, np.array(labels), 12)
    found = support_reader.logits(model, pairs)
    assert ((found > 0) == np.array(labels, bool)).mean() > 0.95
    save_onnx(model, tmp_path / "reader.onnx")
    served = SupportReader(tmp_path / "reader.onnx")
    for pair, logit in zip(pairs[:8], found, strict=False):
        assert served.logit(pair) == pytest.approx(logit, abs=1e-3)
