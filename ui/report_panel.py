"""The report panel: what `python -m eval report` wrote, shown and never run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import gradio as gr

from ui import strings
from ui.marks import inert
from ui.page import Page
from ui.strings import Lang

ROUTE = "/report"
# The report is one file with its pictures inside. Whatever stands in it, it runs and fetches
# nothing: the frame forbids scripts, and so does the answer of the server when it is opened alone.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def build(page: Page) -> None:
    """Lay the panel out."""
    part = gr.HTML(report_html(page.report, "en"), elem_id="report", apply_default_css=False)
    page.said(part, changes=True, value=lambda lang: report_html(page.report, lang))


def report_html(path: Path | None, lang: Lang) -> str:
    """The report in a frame of its own, or how to make one."""
    written = _written(path)
    if written is None:
        told = strings.REPORT_NONE(lang)
        command = "python -m eval run --out DIR && python -m eval report DIR"
        return (
            f'<p class="mc-intro">{inert(told)}</p><pre class="mc-command" tabindex="0">'
            f"{inert(command)}\nMEDCARDS_REPORT&#61;DIR/report.html python app.py</pre>"
        )
    about = strings.REPORT_ABOUT(lang).format(date=written)
    source = ROUTE.removeprefix("/")  # relative, so that it also holds behind a proxy's path
    return (
        f'<p class="mc-intro">{inert(about)} <a href="{source}" target="_blank" '
        f'rel="noopener">{inert(strings.REPORT_ALONE(lang))}</a></p>'
        f'<iframe class="mc-report" src="{source}" sandbox="" loading="lazy" '
        f'title="{inert(strings.TAB_REPORT(lang))}"></iframe>'
    )


def _written(path: Path | None) -> str | None:
    """The day on which the report was written; None where there is none."""
    try:
        seconds = path.stat().st_mtime if path else None
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, UTC).date().isoformat() if seconds else None
