"""What the server keeps of each session: no more than what a session changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio.blocks import Blocks
from gradio.routes import App

SESSIONS = 2000  # at once, at 15 kB and more each


def keep_little(page: App, demo: Blocks) -> None:
    """Have sessions begin without a copy of every component's configuration.

    Gradio works it out for each new session, for links that restore a page's state (deep links),
    which this page does not offer: 18 ms of the event loop and 120 kB for good, of each of up to
    10,000 visitors. Without it, a component's configuration is worked out when a session first
    changes that component. Beyond `SESSIONS` the one heard of the longest ago is forgotten, with
    its own deck; the conversation is in the browser.
    """
    begins_with: Any = SimpleNamespace(
        default_config=demo.default_config,
        blocks={},  # those whose configuration is copied
    )
    page.state_holder.blocks = begins_with
    page.state_holder.capacity = SESSIONS
