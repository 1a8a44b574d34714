"""The page over a scripted assistant: what has to happen at a known moment."""

from __future__ import annotations

from typing import Any


def test_an_answer_streams_after_its_best_card_and_stops(chat: Any, scripted: str) -> None:
    chat.open(scripted).begin("a slow one")
    chat.page.wait_for_selector(".mc-cards .mc-card")
    chat.page.wait_for_function("document.querySelectorAll('.mc-sentence').length >= 2")
    assert chat.last.get_attribute("data-state") == "pending"
    early = chat.page.locator(".mc-sentence").count()
    chat.page.wait_for_function(f"document.querySelectorAll('.mc-sentence').length > {early}")
    chat.page.locator("#stop").click()
    turn = chat.finished()
    assert turn.get_attribute("data-state") == "stopped"
    assert 2 <= turn.locator(".mc-sentence").count() < 30
    assert "Stopped by you" in turn.inner_text()
    assert chat.page.locator("#ask").is_visible()


def test_retry_edit_undo_and_new_chat(chat: Any, scripted: str) -> None:
    chat.open(scripted).ask("first thing")
    turn = chat.ask("second thing")
    assert "Earlier turns: 1." in turn.inner_text()

    before = turn.get_attribute("id")
    turn.locator("[data-do=retry]").click()
    chat.page.wait_for_function(f"!document.getElementById('{before}')")
    assert "Earlier turns: 1." in chat.finished().inner_text()
    assert chat.page.locator(".mc-turn").count() == 2

    chat.page.locator(".mc-turn").first.locator("[data-do=edit]").click()
    box = chat.page.locator(".mc-form textarea")
    assert box.input_value() == "first thing"
    box.fill("changed thing")
    box.press("Enter")
    chat.page.wait_for_function("document.querySelectorAll('.mc-turn').length === 1")
    assert "Earlier turns: 0." in chat.finished().inner_text()
    assert "changed thing" in chat.last.inner_text()

    chat.page.locator("#undo").click()
    chat.page.wait_for_selector(".mc-welcome")
    assert chat.page.locator("#question textarea").input_value() == "changed thing"

    chat.ask("third thing")
    chat.page.locator("#clear").click()
    chat.page.wait_for_selector(".mc-welcome")
    assert chat.page.locator(".mc-turn").count() == 0


def test_a_conversation_survives_a_reload(chat: Any, scripted: str) -> None:
    chat.open(scripted).ask("first thing")
    chat.ask("second thing")
    chat.page.reload()
    chat.ready()
    chat.page.wait_for_function("document.querySelectorAll('.mc-turn').length === 2")
    assert "Earlier turns: 2." in chat.ask("third thing").inner_text()


def test_a_question_whose_answer_was_cut_off_is_kept(chat: Any, scripted: str) -> None:
    chat.open(scripted).begin("a slow one")
    chat.page.wait_for_selector(".mc-sentence")
    chat.page.reload()
    chat.ready()
    chat.page.wait_for_selector(".mc-turn")
    assert "interrupted" in chat.last.inner_text()
    assert chat.last.locator("[data-do=retry]").count() == 1


def test_a_bug_is_told_and_the_question_kept(chat: Any, scripted: str) -> None:
    turn = chat.open(scripted).ask("please fail")
    assert "Something went wrong" in turn.inner_text()
    assert turn.locator("[data-do=retry]").count() == 1
    assert "Earlier turns" in chat.ask("and now").inner_text()


def test_an_empty_question_asks_nothing(chat: Any, scripted: str) -> None:
    chat.open(scripted).page.locator("#question textarea").press("Enter")
    chat.page.wait_for_timeout(300)
    assert chat.page.locator(".mc-turn").count() == 0
    assert chat.page.locator("#ask").is_visible()


def test_refusal_shows_the_nearest_cards(chat: Any, scripted: str) -> None:
    turn = chat.open(scripted).ask("refuse this")
    assert "No answer in my cards" in turn.inner_text()
    assert turn.locator(".mc-cards h3").inner_text() == "Nearest cards"
    assert turn.locator(".mc-card").count() == 2


def test_hostile_text_is_inert(chat: Any, scripted: str, hostile: str) -> None:
    chat.open(scripted)
    for question, shown in ((f"{hostile[:1500]} ask", ".mc-asked"), ("a hostile card", ".mc-text")):
        turn = chat.ask(question)
        assert turn.locator("img, script, code, strong, a, .katex").count() == 0
        text = turn.locator(shown).inner_text()
        assert "<script>document.title=2</script> **bold** $$x^2$$" in text
        assert "${7*7} {{7*7}} `code`" in text
    assert chat.page.title() == "medcards"
    width = chat.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280, "very long words must not widen the page"


def test_hostile_cards_are_inert_in_the_list(chat: Any, scripted: str) -> None:
    chat.open(scripted).panel("cards")
    chat.page.locator("#search textarea, #search input").fill("**bold** `code`")
    chat.page.wait_for_function(
        "document.querySelector('#cards .mc-list')?.innerText.includes('<script>')"
    )
    assert chat.page.locator("#cards img, #cards script, #cards b").count() == 0
    assert chat.page.title() == "medcards"


def test_a_full_queue_is_told(chat: Any, scripted: str, held: Any) -> None:
    chat.open(scripted)
    held(4)  # two are answered at a time, two may wait
    chat.page.locator("#question textarea").fill("one too many")
    chat.page.locator("#question textarea").press("Enter")
    told = chat.page.wait_for_selector("#status .mc-error")
    assert "Too many questions" in told.inner_text()
    assert chat.page.locator("#question textarea").input_value() == "one too many"


def test_the_place_in_the_queue_is_told(chat: Any, scripted: str, held: Any, let_go: Any) -> None:
    chat.open(scripted)
    held(3)
    chat.page.locator("#question textarea").fill("me too")
    chat.page.locator("#question textarea").press("Enter")
    chat.page.wait_for_function(
        "document.querySelector('#composer .mc-place').textContent.includes('place 2 of 2')"
    )
    let_go.set()
    assert "Earlier turns: 0." in chat.finished().inner_text()
    chat.page.wait_for_function("!document.querySelector('#composer .mc-place').textContent")


def test_what_is_being_prepared_is_told_until_it_serves(
    chat: Any, scripted: str, stage: dict[str, str]
) -> None:
    stage["now"] = "downloading"
    chat.open(scripted)
    line = chat.page.locator(".mc-progress")
    line.filter(has_text="downloading 42 % (TinyLlama)").wait_for()
    assert "Earlier turns: 0." in chat.ask("meanwhile").inner_text()
    stage["now"] = "ready"
    line.filter(has_text="Now in service: scripted.").wait_for()


def compare(chat: Any, question: str) -> None:
    chat.panel("compare")
    box = chat.page.locator("#compare-question textarea")
    box.fill(question)
    box.press("Enter")


def test_systems_are_compared_side_by_side_and_together(
    chat: Any, scripted: str, let_go: Any
) -> None:
    let_go.clear()
    compare(chat.open(scripted), "hold this one")
    # The slower ones have not said a word when the quickest has ended.
    chat.page.wait_for_selector("[data-system=extractive][data-state=done]")
    assert chat.page.locator("[data-system='tuned+rag'] .mc-pending").count() == 1
    let_go.set()
    chat.page.wait_for_selector("#compare-status .mc-told")
    columns = chat.page.locator(".mc-system")
    assert [c.get_attribute("data-system") for c in columns.all()] == [
        "extractive",
        "tuned",
        "tuned+rag",
    ]
    boxes = [column.bounding_box() for column in columns.all()]
    assert len({box["y"] for box in boxes}) == 1, "side by side"
    assert chat.page.locator("[data-system=tuned] .mc-unchecked").count() == 1
    assert chat.page.locator("[data-system=tuned] .mc-cite").count() == 0
    assert chat.page.locator(".mc-unchecked").count() == 1
    chat.page.locator("[data-system='tuned+rag'] .mc-cite").first.click()
    card = chat.page.locator("[data-system='tuned+rag'] .mc-card")
    assert card.evaluate("card => card === document.activeElement")
    assert "mc-lit" not in chat.page.locator("[data-system=extractive] .mc-card").get_attribute(
        "class"
    )
    chat.panel("chat")
    assert chat.page.locator("#log .mc-turn").count() == 0, "a comparison is no conversation"


def test_a_comparison_stops(chat: Any, scripted: str) -> None:
    compare(chat.open(scripted), "a slow one")
    chat.page.wait_for_function(
        "document.querySelectorAll('[data-system=tuned] .mc-sentence').length >= 2"
    )
    chat.page.locator("#compare-stop").click()
    chat.page.wait_for_selector("#compare-status .mc-told")
    assert chat.page.locator("[data-system=tuned] .mc-sentence").count() < 30
    assert chat.page.locator(".mc-system[data-state=done]").count() == 3
    assert chat.page.locator("#compare-ask").is_visible()


def test_one_broken_system_leaves_the_others(chat: Any, scripted: str) -> None:
    compare(chat.open(scripted), "broken")
    chat.page.wait_for_selector("#compare-status .mc-told")
    assert "went wrong" in chat.page.locator("[data-system=tuned]").inner_text()
    assert chat.page.locator("[data-system='tuned+rag'] .mc-sentence").count() == 2


def test_a_chosen_system_answers_in_the_chat(chat: Any, scripted: str) -> None:
    chat.open(scripted).page.locator("#settings .label-wrap").click()
    chat.page.wait_for_selector("#system label")
    labels = chat.page.locator("#system label").count()
    assert labels == 3, "what answers from memory can only be compared"
    chat.page.locator("#system input").nth(1).check()
    assert "extractive says 0." in chat.ask("who are you").inner_text()


def test_hostile_text_is_inert_in_a_comparison(chat: Any, scripted: str, hostile: str) -> None:
    compare(chat.open(scripted), hostile[:1500])
    chat.page.wait_for_selector("#compare-status .mc-told")
    assert chat.page.locator("#compared :is(img, script, code, strong, a)").count() == 0
    assert "**bold** $$x^2$$" in chat.page.locator("#compared .mc-question").inner_text()
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= 1280
