"""A visitor costs the server little, and what a session changes is still known."""

from __future__ import annotations

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.routes import App
from starlette.routing import Mount

from ui.sessions import keep_little

Served = tuple[TestClient, App, gr.Blocks]


@pytest.fixture
def served() -> Served:
    with gr.Blocks() as demo:
        box, shown = gr.Textbox(), gr.Textbox(label="Shown")
        kept = gr.State(0)
        gr.Number(visible=False)

        def say(text: str, before: int) -> tuple[object, int]:
            return gr.update(value=f"{text} {before}", label="Said"), before + 1

        box.submit(say, [box, kept], [shown, kept], api_name="say", queue=False)
    mounted = gr.mount_gradio_app(FastAPI(), demo, "/", ssr_mode=False)
    page = next(route.app for route in mounted.routes if isinstance(route, Mount))
    assert isinstance(page, App)
    keep_little(page, demo)
    return TestClient(mounted), page, demo


def say(client: TestClient, session: str, text: str) -> object:
    body = {"data": [text, None], "session_hash": session}
    reply = client.post("/gradio_api/run/say", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"][0]


def test_a_session_begins_with_nothing_of_its_own(served: Served) -> None:
    _, page, demo = served
    session = page.state_holder["new"]
    assert session.config_values == {}
    assert list(session.blocks_config.fns) == list(demo.fns)


def test_each_session_has_its_own_state_and_its_own_changes(served: Served) -> None:
    client, page, demo = served
    with client:
        for session, text, count in (("one", "a", 0), ("two", "b", 0), ("one", "c", 1)):
            assert f"{text} {count}" in str(say(client, session, text))
    configs = page.state_holder["one"].config_values
    shown = next(block for block in demo.blocks.values() if getattr(block, "label", "") == "Shown")
    assert configs[shown._id]["props"]["label"] == "Said"
    assert len(configs) < len(demo.blocks)
    assert page.state_holder["two"].config_values[shown._id]["props"]["value"] == "b 0"


def test_the_oldest_sessions_are_forgotten_as_before(served: Served) -> None:
    _, page, _demo = served
    page.state_holder.capacity = 3
    for name in "abcde":
        assert page.state_holder[name] is not None
    assert list(page.state_holder.session_data) == ["c", "d", "e"]
