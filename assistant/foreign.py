"""Messages in another language than English, which neither the safety gate nor the cards read.

A refusal must not leave somebody in danger with "this does not look like a health question". Which
language it is does not matter: function words of six languages, and letters of other scripts, tell
that it is not English.
"""

from __future__ import annotations

import unicodedata

from index.text import STOPWORDS, words

TEXT = (
    "I read English only, so I may not have understood you. If someone is in danger or very ill, "
    "call your local emergency number now; findahelpline.com lists free crisis lines by country. "
    "Otherwise ask again in English. \N{EN DASH} "
    "En cas de danger, appelez tout de suite le numéro d'urgence de votre pays. \N{EN DASH} "
    "Si hay peligro, llame ahora al número de emergencias de su país. \N{EN DASH} "
    "Bei Gefahr sofort die örtliche Notrufnummer anrufen."
)
# None of these is an English word or a word of medicine ("la", "de", "mi", "mal", "die" are).
_FOREIGN_TEXT = """
    je tu il elle nous vous ils mes ses une du aux avec pour dans est sont suis ai veux peux
    fait mourir depuis pas ne fils fille respire tête ventre douleur fièvre enfant bébé
    ich du wir ihr mein meine mir mich ein eine und nicht ist sind habe hat kann seit mit von zu
    sterben schmerzen hilfe bauch brust fieber atmet keine luft
    él ella nosotros mis una con para por está estoy tengo tiene quiero puedo siento duele muy
    morir suicidarme pecho cabeza hijo hija fiebre respira ayuda sangre niño
    lui lei noi mio mia sono voglio posso dolore petto testa febbre figlio figlia respira
    morire aiuto
    eu meu minha estou tenho não quero dor peito cabeça febre filho filha morrer ajuda
    ik het een mijn niet heb kan wil pijn borst koorts doodgaan
"""
_FOREIGN = frozenset(_FOREIGN_TEXT.split())
_FEW = 4  # words, of which one foreign will do where none is plain English


def is_foreign(text: str) -> bool:
    """Whether a message is mostly in another language."""
    letters = [c for c in text if c.isalpha()]
    other = sum("LATIN" not in unicodedata.name(c, "") for c in letters)
    if 2 * other > len(letters):
        return True
    said = words(text)
    found = {word for word in said if word in _FOREIGN}
    english = [word for word in said if word in STOPWORDS and word not in _FOREIGN]
    return len(found) > max(1, len(english)) or (
        bool(found) and len(said) <= _FEW and len(english) <= 1
    )
