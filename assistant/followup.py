"""Follow-up questions: put the subject back that the conversation has and the question lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.text import content_words, fold, words

_OPENING = re.compile(
    r"^(?:and|but|or|so|then|also|ok(?:ay)?|what about|how about|what if|what else|anything else|"
    r"any other|more|tell me more|go on|explain|why|how come)\b"
)
_ANAPHORA_TEXT = """
    it its it's itself this that that's these those they them their they're he him his she her
    hers one ones same former latter condition disease illness problem
"""
_ANAPHORA = frozenset(_ANAPHORA_TEXT.split())
# Words that ask something about a subject without naming one.
_ASPECTS_TEXT = """
    symptom symptoms sign signs cause causes caused treat treated treatment treatments therapy
    cure cures cured curable prevent prevented prevention avoid risk risks factor factors
    diagnose diagnosed diagnosis test tests tested testing complication complications dangerous
    serious common contagious hereditary inherited genetic child children kids baby babies adult
    adults elderly older women men pregnant pregnancy long last lasts often side effect effects
    work works outlook prognosis emergency doctor hospital home help helps medicine medicines
    drug drugs safe else example examples mild severe worse better best worst early late first
    different difference normal bad good people someone anyone show shows start starts stop
    stops spread spreads happens
"""
_ASPECTS = frozenset(_ASPECTS_TEXT.split())


def is_followup(question: str) -> bool:
    """Whether a question leans on what was said before: an opening, a pronoun, or no subject."""
    content = [word for word in content_words(question) if word not in _ANAPHORA]
    subject = [word for word in content if word not in _ASPECTS]
    if not subject:
        return True
    refers = any(word in _ANAPHORA for word in words(question))
    opens = _OPENING.match(fold(question)) is not None
    return (refers or opens) and len(subject) <= 2


def candidates(question: str, earlier: Sequence[str]) -> list[str]:
    """Readings of a question, the likelier first: with its subject put back, and as it stands.

    Args:
        earlier: what the user asked before in this conversation, oldest first.
    """
    if not earlier or not is_followup(question):
        return [question]
    anchor = next((q for q in reversed(earlier) if not is_followup(q)), earlier[-1])
    return [f"{anchor} {question}", question]
