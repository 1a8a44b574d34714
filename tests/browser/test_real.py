"""The real app with the embedded profile: a user's whole way, in the order of a first visit."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

QUESTION = "What are common triggers of asthma?"
STREAMED = "What causes color blindness?"  # the small Llama says three sentences


@pytest.fixture
def page(chat: Any, app: Any) -> Any:
    return chat.open(app.url)


def test_an_answer_comes_with_its_card(page: Any) -> None:
    turn = page.ask(QUESTION)
    assert "asthma" in turn.locator(".mc-text").inner_text().lower()
    assert turn.locator(".mc-cards .mc-card").count() >= 1


def test_citations_and_cards_point_at_each_other(page: Any) -> None:
    turn = page.ask(QUESTION)
    cite, card = turn.locator(".mc-cite").first, turn.locator(".mc-card").first
    turn.locator(".mc-sentence").first.hover()
    assert "mc-lit" in card.get_attribute("class")
    cite.click()
    assert card.evaluate("card => card === document.activeElement")
    card.hover()
    assert "mc-lit" in turn.locator(".mc-sentence").first.get_attribute("class")
    card.locator(".mc-back").click()
    assert cite.evaluate("cite => cite === document.activeElement")


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    keys = page.page.keyboard
    page.page.locator("#question textarea").focus()
    keys.type(QUESTION)
    keys.press("Enter")
    turn = page.finished()
    turn.wait_for()
    focused = "document.activeElement"
    turn.locator(".mc-question").evaluate("heading => heading.focus()")
    keys.press("Tab")
    assert page.page.evaluate(f"{focused}.className") == "mc-cite"
    keys.press("Enter")
    assert "mc-card" in page.page.evaluate(f"{focused}.className")
    keys.press("Escape")
    assert page.page.evaluate(f"{focused}.className") == "mc-cite"
    reached = set()
    for _ in range(40):
        keys.press("Tab")
        reached.add(
            page.page.evaluate(f"{focused}.dataset.do || {focused}.id || {focused}.tagName")
        )
    assert {"copy", "retry", "edit", "up", "down", "SUMMARY", "ask"} <= reached


def test_a_follow_up_is_understood(page: Any) -> None:
    page.ask("What is asthma?")
    turn = page.ask("and what triggers it?")
    assert "trigger" in turn.locator(".mc-text").inner_text().lower()
    assert "asthma" in turn.locator(".mc-cards").inner_text().lower()


def test_what_no_card_covers_is_refused(page: Any) -> None:
    turn = page.ask("What is the capital of France?")
    assert "No answer in my cards" in turn.inner_text()
    assert turn.locator(".mc-text").count() == 0


def test_an_emergency_is_unmistakable(page: Any) -> None:
    turn = page.ask("My father has crushing chest pain and cannot breathe")
    notice = turn.locator(".mc-emergency")
    assert notice.get_attribute("role") == "alert"
    assert "call your local emergency number" in notice.inner_text().lower()
    assert notice.evaluate("n => getComputedStyle(n).backgroundColor") == "rgb(163, 22, 12)"
    assert notice.bounding_box()["y"] < 400


def test_the_disclaimer_is_in_sight_on_every_panel(page: Any) -> None:
    for name in ("chat", "compare", "cards", "own", "report"):
        page.panel(name)
        box = page.page.locator("#disclaimer").bounding_box()
        assert 0 < box["y"] < box["y"] + box["height"] <= 860.5


def test_cards_are_searched_and_browsed_by_topic(page: Any) -> None:
    page.panel("cards")
    status = page.page.locator("#cards [role=status]")
    assert "705 cards" in status.inner_text()
    page.page.locator("#topic input").click()
    page.page.get_by_role("option", name="Respiratory (25)").click()
    page.page.wait_for_function(
        "document.querySelector('#cards [role=status]').innerText.startsWith('25 cards')"
    )
    page.page.locator("#search textarea, #search input").fill("wheezing inhaler")
    page.page.wait_for_function(
        "document.querySelector('#cards .mc-score') && "
        "document.querySelector('#cards .mc-q').innerText.toLowerCase().includes('asthma')"
    )
    page.page.locator("#cards [data-ask]").first.click()
    assert page.finished().locator(".mc-text").count() == 1


def test_an_own_deck_is_asked_and_removed(page: Any, tmp_path: Path) -> None:
    deck = tmp_path / "my deck.csv"
    rows = [("question", "answer", "topic")]
    rows += [(f"What is the dose of zorbazin {n}?", f"It is {n} mg.", "Zed") for n in range(40)]
    with deck.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    page.panel("own")
    page.choose(deck)
    page.page.wait_for_selector("#own-told .mc-told")
    assert "40 cards" in page.page.locator("#own-told").inner_text()
    page.panel("cards")
    assert "40 cards" in page.page.locator("#cards [role=status]").inner_text()
    page.panel("chat")
    assert "zorbazin 7" in page.ask("What is the dose of zorbazin 7?").inner_text()
    page.panel("own")
    page.page.locator("#own-remove").click()
    page.page.wait_for_function(
        "document.querySelector('#service').innerText.includes('starter deck')"
    )


def test_a_deck_that_cannot_be_read_is_told(page: Any, tmp_path: Path) -> None:
    page.panel("own")
    for name, content, told in (
        ("empty.csv", b"", "empty"),
        ("wrong.csv", b"a,b\n1,2\n", "columns"),
        ("half.apkg", b"PK\x03\x04 broken", "Anki"),
        ("<img src=x onerror=1>.csv", b"a,b\n1,2\n", "img"),
    ):
        (tmp_path / name).write_bytes(content)
        page.choose(tmp_path / name)
        page.page.wait_for_function(
            "told => document.querySelector('#own-told .mc-error')?.innerText.includes(told)",
            arg=told,
        )
        assert page.page.locator("#own-told img").count() == 0


def test_conversations_and_cards_are_saved(page: Any) -> None:
    from index import decks
    from ui import conversation

    page.ask(QUESTION)
    markdown = page.saved("#save-markdown").read_text(encoding="utf-8")
    assert QUESTION in markdown
    assert "medlineplus.gov" in markdown
    turns = conversation.load(json.loads(page.saved("#save-json").read_text(encoding="utf-8")))
    assert [turn.question for turn in turns] == [QUESTION]
    saved = page.saved("#save-anki")
    package = saved.with_suffix(".apkg")
    saved.rename(package)
    cards = list(decks.read(str(package)))
    assert [card.question for card in cards] == [c.question for c in conversation.cited(turns)]


def test_a_rating_is_stored_without_the_question_unless_agreed(page: Any, app: Any) -> None:
    turn = page.ask(QUESTION)
    for button, agree in (("up", False), ("down", True)):
        turn.locator(f"[data-do={button}]").click()
        form = page.page.locator(".mc-form")
        form.locator("[name=reason]").first.check()
        form.locator("[name=comment]").fill(f"=said {button}")
        if agree:
            form.locator("[name=agree]").check()
        form.locator("[type=submit]").click()
        page.page.wait_for_selector("#status .mc-told")
        page.page.wait_for_timeout(200)
        report = subprocess.run(
            [sys.executable, "-m", "ui", "feedback", "--file", str(app.feedback)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        row = list(csv.DictReader(io.StringIO(report)))[-1]
        assert row["verdict"] == button
        assert row["comment"] == f"'=said {button}"
        assert row["question"] == (QUESTION if agree else "")
        assert row["index_name"].startswith("starter")


def test_two_browsers_do_not_see_each_other(page: Any, other: Any, app: Any) -> None:
    page.ask(QUESTION)
    other.open(app.url)
    assert other.page.locator(".mc-welcome").count() == 1
    assert "asthma" not in other.page.locator("#log").inner_text().lower()
    other.ask("How do statins lower cholesterol?")
    assert other.page.locator(".mc-turn").count() == 1
    assert page.page.locator(".mc-turn").count() == 1
    assert "statin" not in page.page.locator("#log").inner_text().lower()


def test_the_page_speaks_french(page: Any) -> None:
    page.ask(QUESTION)
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#language input").nth(1).check()
    page.page.wait_for_function("document.documentElement.lang === 'fr'")
    assert page.page.locator("#ask").inner_text() == "Demander"
    assert "Cartes citées" in page.last.inner_text()
    page.page.reload()
    page.ready()
    assert page.page.locator("#ask").inner_text() == "Demander"


def test_short_answers_are_short(page: Any) -> None:
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#length input").first.check()
    page.page.wait_for_timeout(300)
    turn = page.ask("What is asthma?")
    assert turn.locator(".mc-sentence").count() == 2
    assert turn.get_attribute("data-state") == "done"


def test_the_shipped_model_is_compared_with_the_cards(page: Any) -> None:
    page.panel("compare")
    page.page.locator("#compare-question textarea").fill(QUESTION)
    page.page.locator("#compare-ask").click()
    # The small model is converted for its engine when it is first asked.
    page.page.wait_for_selector("#compare-status .mc-told", timeout=120_000)
    columns = page.page.locator(".mc-system")
    assert columns.count() == 5
    said = [columns.nth(i).inner_text().lower() for i in range(5)]
    assert "asthma" in said[0]  # the cards' own sentences
    assert "asthma" in said[4]  # fine-tuned with cards
    assert all(text.strip() for text in said)


# Notes each text of an answer that is under way; presses Stop once `window.stopAt` is on the page.
_WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const turn = [...document.querySelectorAll('.mc-turn')].pop();
    if (turn?.dataset.state !== 'pending') return;
    const text = turn.querySelector('.mc-text')?.innerText ?? '';
    if (text && text !== window.seen.at(-1)) window.seen.push(text);
    if (window.stopAt && turn.querySelector(window.stopAt)) {
      window.stopAt = null;
      document.querySelector('#stop').click();
    }
  }).observe(document.querySelector('#log'), {
    childList: true, subtree: true, characterData: true, attributes: true,
  });
}"""


def test_the_small_llama_streams_stops_and_is_asked_again(page: Any) -> None:
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#system input").last.check()
    page.page.set_default_timeout(120_000)  # the small model is converted when it is first asked
    page.page.evaluate(_WATCH)
    page.ask(QUESTION)

    page.page.evaluate("window.stopAt = '.mc-card'")
    page.begin(STREAMED)
    turn = page.finished()
    assert turn.get_attribute("data-state") == "stopped"
    assert "Stopped by you" in turn.inner_text()
    early = turn.locator(".mc-sentence").count()

    page.page.evaluate("window.seen = []")
    before = turn.get_attribute("id")
    turn.locator("[data-do=retry]").click()
    page.page.wait_for_function(f"!document.getElementById('{before}')")
    turn = page.finished()
    assert turn.get_attribute("data-state") == "done"
    assert turn.locator(".mc-sentence").count() >= early
    assert page.page.locator(".mc-turn").count() == 2
    seen = page.page.evaluate("window.seen")
    assert len(seen) >= 2, "it came at once"
    assert "(llama.cpp)" in turn.locator(".mc-how").text_content()


def test_answers_are_narrowed_to_a_topic_and_it_shows(page: Any) -> None:
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#only-topics input").click()
    page.page.get_by_role("option", name="Cardiology (26)").click()
    page.page.wait_for_function(
        "document.querySelector('#service').innerText.includes('only Cardiology')"
    )
    turn = page.ask("What causes acne?")
    assert "No answer in my cards" in turn.inner_text()
    assert set(turn.locator(".mc-topic").all_inner_texts()) <= {"Cardiology"}
    page.page.reload()
    page.ready()
    assert "only" not in page.page.locator("#service").inner_text(), "a filter is not kept"
    assert "acne" in page.ask("What causes acne?").locator(".mc-text").inner_text().lower()


def test_how_it_was_answered_gives_ranks_and_times(page: Any) -> None:
    turn = page.ask(QUESTION)
    turn.locator(".mc-how summary").click()
    told = turn.locator(".mc-how").inner_text()
    assert "1st by meaning, " in told
    assert "by words" in told
    assert "finding the cards" in told


def test_simple_language_says_the_same_in_another_order(page: Any) -> None:
    before = page.ask("What is asthma?").locator(".mc-sentence").all_inner_texts()
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#simple input").check()
    page.page.wait_for_timeout(300)
    after = page.ask("What is asthma?").locator(".mc-sentence").all_inner_texts()
    assert sorted(after) == sorted(before)
    assert after[0] == before[0]


def test_without_a_report_the_panel_says_how_to_make_one(page: Any) -> None:
    page.panel("report")
    assert "python -m eval report" in page.page.locator("#report").inner_text()


def _reload(page: Any) -> None:
    """Reload; again where the page had begun to do so itself, having found the server back."""
    from playwright.sync_api import Error

    try:
        page.reload()
    except Error:
        page.wait_for_load_state()
        page.reload()


def test_a_server_restart_loses_no_conversation(page: Any, app: Any) -> None:
    page.ask(QUESTION)
    assert app.stop() == 0
    app.start()
    _reload(page.page)
    page.ready()
    assert QUESTION in page.last.inner_text()
    assert page.last.locator(".mc-cite").count() > 0
    assert "asthma" in page.ask("and what are its symptoms?").inner_text().lower()


def test_a_crash_in_the_middle_of_an_answer_keeps_what_was_asked(page: Any, app: Any) -> None:
    page.ask(QUESTION)
    page.page.locator("#settings .label-wrap").click()
    page.page.locator("#system input").last.check()  # the small Llama, which takes a while
    page.begin("What is gout?")
    app.crash()
    app.start()
    _reload(page.page)
    page.ready()
    page.page.wait_for_function("document.querySelectorAll('.mc-turn').length === 2")
    assert QUESTION in page.page.locator(".mc-turn").first.inner_text()
    told = page.last.inner_text()
    assert "What is gout?" in told
    assert "interrupted" in told
    assert page.last.locator("[data-do=retry]").count() == 1
    assert "gout" in page.ask("What is gout?").inner_text().lower()


def test_health_metrics_and_api(app: Any) -> None:
    from gradio_client import Client

    client = Client(app.url, verbose=False)
    answer = client.predict("What is asthma?", api_name="/ask")
    assert answer["status"] == "answered"
    assert answer["sources"][0]["card_id"]
    followed = client.predict(
        "and what triggers it?", [["What is asthma?", answer["text"]]], api_name="/ask"
    )
    assert "trigger" in followed["text"].lower()
    with urllib.request.urlopen(f"{app.url}/healthz") as reply:
        health = json.load(reply)
    assert health["status"] == "ok"
    assert health["cards"] == 705
    with urllib.request.urlopen(f"{app.url}/metrics") as reply:
        text = reply.read().decode()
    assert 'medcards_answers_total{status="answered"}' in text


@pytest.mark.parametrize(
    ("variables", "told"),
    [({"PORT": "many"}, "PORT"), ({"MEDCARDS_TOP_K": "0"}, "MEDCARDS_TOP_K")],
)
def test_wrong_settings_are_one_line(variables: dict[str, str], told: str) -> None:
    ended = _start(variables)
    assert ended.returncode == 2
    assert told in ended.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_one_line(app: Any) -> None:
    ended = _start({"PORT": str(app.port)})
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def _start(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    import os

    settings = {"MEDCARDS_PROFILE": "embedded", "MEDCARDS_FEEDBACK": "off", **variables}
    return subprocess.run(
        [sys.executable, "app.py"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
