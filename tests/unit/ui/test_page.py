"""Texts in every language, settings from outside, and an app that is cheap to import."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from index.errors import ExpectedError
from ui import settings_panel, strings
from ui.metrics import Metrics
from ui.settings import listen, load_service_settings

REPOSITORY = Path(__file__).resolve().parents[3]


def texts() -> list[strings.Text]:
    found: list[strings.Text] = []
    for value in vars(strings).values():
        parts = value.values() if isinstance(value, dict) else [value]
        for part in parts:
            found += [part] if isinstance(part, strings.Text) else []
        if isinstance(value, tuple):
            found += [word for step in value if isinstance(step, tuple) for word in step[1:]]
    return found


def test_both_languages_fill_in_the_same_blanks() -> None:
    assert len(texts()) > 80
    for text in texts():
        blanks = [re.findall(r"\{\w*\}", text(lang)) for lang in get_args(strings.Lang)]
        assert sorted(blanks[0]) == sorted(blanks[1]), text


@pytest.mark.parametrize(
    ("wanted", "lang"),
    [("fr-CH,fr;q=0.9", "fr"), ("en-GB", "en"), ("de", "en"), (None, "en"), (7, "en")],
)
def test_a_browser_gets_its_language_or_english(wanted: Any, lang: str) -> None:
    assert strings.language(wanted) == lang


def test_stored_choices_are_checked() -> None:
    page: Any = SimpleNamespace(
        assistant=SimpleNamespace(settings=SimpleNamespace(temperature=0.2, top_k=5)),
        systems=SimpleNamespace(names=lambda: ["extractive", "tuned", "tuned+rag"]),
    )
    wrong = {"length": "<b>", "temperature": True, "top_k": 99, "simple": "yes", "system": "tuned"}
    for kept in (None, [], wrong):
        restored = settings_panel.restored(kept, page)
        assert restored == {
            "length": "normal",
            "temperature": 0.2,
            "top_k": 5,
            "simple": False,
            "system": "",
        }
    kept = {
        "length": "short",
        "temperature": 0.9,
        "top_k": 3,
        "simple": True,
        "system": "tuned+rag",
    }
    assert settings_panel.restored(kept, page) == kept


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_wrong_port_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(ExpectedError, match="PORT"):
        load_service_settings()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ExpectedError, match="cannot listen"):
            listen("127.0.0.1", taken.getsockname()[1])


def test_metrics_count(answer: Any) -> None:
    metrics = Metrics()
    metrics.answered(answer())
    metrics.answered(None, failed=True)
    metrics.rated("up")
    with metrics.answering():
        assert b"medcards_answers_in_progress 1.0" in metrics.text()
    text = metrics.text().decode()
    assert 'medcards_answers_total{status="answered"} 1.0' in text
    assert 'medcards_answers_total{status="failed"} 1.0' in text
    assert 'medcards_feedback_total{verdict="up"} 1.0' in text


def test_importing_the_app_loads_nothing_heavy() -> None:
    code = (
        "import sys, app; heavy = {'gradio', 'torch', 'transformers', 'faiss', 'llama_index'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False, timeout=60)
    assert done.returncode == 0


def test_a_deployments_own_numbers_are_among_the_choices() -> None:
    from assistant.settings import Settings

    settings = Settings(profile="embedded", top_k=20, temperature=2.0)
    generator = SimpleNamespace(grounded=True)
    page: Any = SimpleNamespace(
        assistant=SimpleNamespace(settings=settings, generator=generator),
        systems=SimpleNamespace(names=lambda: ["extractive"]),
    )
    assert settings_panel.most_cards(page) == 20
    kept = settings_panel.restored({"top_k": 18, "temperature": 1.8}, page)
    assert (kept["top_k"], kept["temperature"]) == (18, 1.8)
