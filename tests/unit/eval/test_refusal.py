"""Refusal metrics by hand and against a second way of counting."""

from __future__ import annotations

import random

import pytest

from eval.refusal import aurc, auroc, expected_calibration_error, reliability, risk_coverage


def test_auroc_by_hand() -> None:
    assert auroc([0.9, 0.1], [True, False]) == 1
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.9], [True]) is None


def test_auroc_agrees_with_counting_pairs() -> None:
    rng = random.Random(0)
    for _ in range(30):
        sure = [round(rng.random(), 1) for _ in range(40)]
        right = [rng.random() < 0.5 for _ in sure]
        if len(set(right)) < 2:
            continue
        wins = [
            1.0 if a > b else 0.5 if a == b else 0.0
            for a, x in zip(sure, right, strict=True)
            if x
            for b, y in zip(sure, right, strict=True)
            if not y
        ]
        assert auroc(sure, right) == pytest.approx(sum(wins) / len(wins))


def test_risk_coverage_by_hand() -> None:
    assert risk_coverage([0.9, 0.8, 0.1], [0, 0, 1]) == [
        pytest.approx(point) for point in [(1 / 3, 0), (2 / 3, 0), (1, 1 / 3)]
    ]
    assert aurc([0.9, 0.8, 0.1], [0, 0, 1]) == pytest.approx(1 / 9)
    assert aurc([], []) is None


def test_a_tie_has_no_order() -> None:
    assert aurc([0.5, 0.5], [0, 1]) == aurc([0.5, 0.5], [1, 0]) == pytest.approx(0.5)


def test_aurc_agrees_with_the_mean_over_random_orders_of_ties() -> None:
    rng = random.Random(4)
    sure, risks = [0.9, 0.5, 0.5, 0.5, 0.1], [0.0, 1.0, 0.0, 0.0, 1.0]
    total, runs = 0.0, 4000
    for _ in range(runs):
        order = sorted(range(5), key=lambda i: (-sure[i], rng.random()))
        seen, area = 0.0, 0.0
        for n, i in enumerate(order, 1):
            seen += risks[i]
            area += seen / n / 5
        total += area
    assert aurc(sure, risks) == pytest.approx(total / runs, abs=0.01)


def test_calibration_by_hand() -> None:
    # Bin 0.8..0.9: sure 0.85 twice, right once; bin 0.2..0.3: sure 0.25 twice, never right.
    sure, right = [0.85, 0.85, 0.25, 0.25], [True, False, False, False]
    assert expected_calibration_error(sure, right) == pytest.approx(0.5 * 0.35 + 0.5 * 0.25)
    assert expected_calibration_error([], []) is None
    bins = reliability(sure, right)
    assert [(b.low, b.right, b.count) for b in bins] == [(0.2, 0.0, 2), (0.8, 0.5, 2)]


def test_calibration_agrees_with_the_bins() -> None:
    rng = random.Random(5)
    sure = [rng.random() for _ in range(200)]
    right = [rng.random() < s for s in sure]
    by_bins = sum(abs(b.right - b.confidence) * b.count / 200 for b in reliability(sure, right))
    assert expected_calibration_error(sure, right) == pytest.approx(by_bins)
