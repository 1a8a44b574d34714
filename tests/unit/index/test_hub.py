"""Looking whether a hub is there changes nothing that outlives the look."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from index import hub


def test_the_setting_is_put_back_when_the_last_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_answers", lambda _: False)
    inside, first_left = Barrier(2), Barrier(2)

    def first() -> None:
        with hub.no_retries():
            inside.wait()
        first_left.wait()

    def second() -> None:
        with hub.no_retries():
            inside.wait()
            first_left.wait()
            assert constants.HF_HUB_OFFLINE

    with ThreadPoolExecutor(2) as pool:
        for job in [pool.submit(first), pool.submit(second)]:
            job.result(timeout=10)
    assert not constants.HF_HUB_OFFLINE
