"""axe-core on every panel and state, at both widths, light and dark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from index.paths import home

VERSION = "4.14.1"
# Gradio's own parts that no property of ours reaches.
NOT_OURS = [".gradio-container .wrap > footer"]


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, installed once into the folder for built files."""
    folder = home() / "npm"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no npm: install node to check accessibility with axe-core")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(
            [*command, f"axe-core@{VERSION}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not script.exists():
            pytest.skip(f"npm cannot install axe-core: {done.stderr.strip()[-200:]}")
    return Path(script).read_text(encoding="utf-8")


def violations(page: Any, axe: str) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    page.wait_for_timeout(250)  # colours fade
    found = page.evaluate(
        "outside => axe.run({exclude: outside.map(s => [s])}, {resultTypes: ['violations']})",
        NOT_OURS,
    )["violations"]
    return [
        f"{v['id']} ({v['impact']}): {node['target']} {node['html'][:160]} {node['any'][:1]}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]


@pytest.mark.parametrize(("which", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_no_serious_violation(
    chromium: Any, app: Any, axe: str, which: str, scheme: str, chat_class: Any
) -> None:
    size = {"width": 1280, "height": 860} if which == "wide" else {"width": 390, "height": 844}
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    try:
        chat = chat_class(context.new_page()).open(app.url)
        page, found = chat.page, {}
        found["welcome"] = violations(page, axe)
        page.locator("#settings .label-wrap").click()
        found["settings"] = violations(page, axe)
        page.locator("#settings .label-wrap").click()
        turn = chat.ask("What are common triggers of asthma?")
        turn.locator(".mc-how summary").click()
        turn.locator("[data-do=down]").click()
        turn.locator(".mc-sentence").first.hover()
        found["answer"] = violations(page, axe)
        chat.ask("My father has crushing chest pain and cannot breathe")
        chat.ask("Should I take two paracetamol or four?")
        chat.ask("What is the capital of France?")
        found["fixed texts"] = violations(page, axe)
        chat.panel("cards")
        found["cards"] = violations(page, axe)
        chat.panel("own")
        found["own deck"] = violations(page, axe)
        chat.panel("compare")
        page.locator("#compare-question textarea").fill("What is asthma?")
        page.locator("#compare-question textarea").press("Enter")
        # The small model is converted for its engine when it is first asked.
        page.wait_for_selector("#compare-status .mc-told", timeout=120_000)
        found["comparison"] = violations(page, axe)
        chat.panel("report")
        found["report"] = violations(page, axe)
        assert {panel: list_ for panel, list_ in found.items() if list_} == {}
    finally:
        context.close()
