"""What the server keeps of each session: no more than what a session changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio.blocks import Blocks
from gradio.routes import App


def keep_little(page: App, demo: Blocks) -> None:
    """Have sessions begin without a copy of every component's configuration.

    Gradio works it out for each new session, for links that restore a page's state (deep links),
    which this page does not offer: 18 ms of the event loop and 120 kB for good, of each of up to
    `state_session_capacity` visitors. Without it, a component's configuration is worked out when a
    session first changes that component.
    """
    begins_with: Any = SimpleNamespace(
        default_config=demo.default_config,
        blocks={},  # those whose configuration is copied
        state_session_capacity=demo.state_session_capacity,
    )
    page.state_holder.blocks = begins_with
