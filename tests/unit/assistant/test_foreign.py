"""Messages in other languages are told from English ones, and nobody in danger is sent away."""

from __future__ import annotations

import pytest

from assistant.foreign import TEXT, is_foreign


@pytest.mark.parametrize(
    "message",
    [
        "je veux mourir",
        "ich will sterben",
        "quiero suicidarme",
        "me duele el pecho",
        "mon fils ne respire plus",
        "mia figlia ha la febbre",
        "\u0442\u0440\u0438 \u0434\u043d\u044f \u0431\u043e\u043b\u0438\u0442",
        "\u80f8\u75db",
    ],
)
def test_other_languages(message: str) -> None:
    assert is_foreign(message)


@pytest.mark.parametrize(
    "message",
    [
        "chest pain",
        "What is du Bois' theory?",
        "grand mal seizure",
        "is ma huang safe",
        "kind of a rash",
        "plus size",
        "What is the role of IL-6?",
        "que?",
        "What does the \u03b2-cell make?",
        "12 34",
    ],
)
def test_english(message: str) -> None:
    assert not is_foreign(message)


def test_the_text_names_help_and_no_country() -> None:
    assert "local emergency number" in TEXT
    assert "findahelpline.com" in TEXT
