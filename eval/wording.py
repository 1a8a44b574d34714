"""How close one text is to another in its words. Pure functions; none of them measures truth."""

from __future__ import annotations

import re
import string
from collections import Counter
from functools import cache, lru_cache
from typing import Any

from index.text import sentences, words

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_VOWELS = re.compile(r"[aeiouy]+")


def squad_tokens(text: str) -> list[str]:
    """Words as SQuAD compares them: lower case, no ASCII punctuation, no articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def token_f1(prediction: str, reference: str) -> float:
    """SQuAD's F1 of shared words, 0 to 1; two empty texts agree, one empty text does not."""
    said, wanted = squad_tokens(prediction), squad_tokens(reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))


def bleu(prediction: str, reference: str) -> float:
    """Sentence BLEU by sacrebleu with effective order and exponential smoothing, 0 to 100."""
    return float(_sacrebleu("bleu").sentence_score(prediction, [reference]).score)


def chrf(prediction: str, reference: str) -> float:
    """chrF (character 1- to 6-grams, beta 2) by sacrebleu, 0 to 100."""
    return float(_sacrebleu("chrf").sentence_score(prediction, [reference]).score)


def corpus_bleu(predictions: list[str], references: list[str]) -> float:
    """BLEU over all texts together, which is what is published as "BLEU", 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU().corpus_score(predictions, [references]).score)


def rouge(kind: str, prediction: str, reference: str) -> float:
    """F1 of "rouge1", "rouge2" or "rougeL" by rouge-score with stemming, 0 to 1."""
    return float(_rouge_scores(prediction, reference)[kind].fmeasure)


@lru_cache(maxsize=8192)  # three metrics read the scores of one pair
def _rouge_scores(prediction: str, reference: str) -> Any:
    return _rouge().score(reference, prediction)


def length_ratio(prediction: str, reference: str) -> float | None:
    """Words of the prediction over words of the reference; None for an empty reference."""
    wanted = len(words(reference))
    return len(words(prediction)) / wanted if wanted else None


def reading_grade(text: str) -> float | None:
    """Flesch-Kincaid grade (Kincaid et al., 1975): US school years that the text asks for.

    Syllables are counted by runs of vowels, as most tools do; None for a text without words.
    """
    said = words(text)
    if not said:
        return None
    ends = max(1, len(sentences(text)))
    return 0.39 * len(said) / ends + 11.8 * sum(map(syllables, said)) / len(said) - 15.59


def syllables(word: str) -> int:
    """Syllables of an English word by rule: runs of vowels, less a silent final e; at least 1."""
    count = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith(("le", "ee")) and count > 1
    return max(1, count - silent)


@cache
def _sacrebleu(kind: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU(effective_order=True) if kind == "bleu" else CHRF()


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
