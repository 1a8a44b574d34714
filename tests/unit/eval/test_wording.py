"""Each metric of words against cases worked by hand and against a second implementation."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from eval import wording

WORDS = ["the", "a", "an", "fever", "fevers", "treated", "treating", "dose", "500", "mg", "is"]
WORDS += ["lungs", "airway", "Airways"]


def squad_f1(prediction: str, reference: str) -> float:
    """SQuAD's F1, written here anew: character by character, with counted dictionaries."""

    def tokens(text: str) -> dict[str, int]:
        ascii_marks = {chr(c) for c in [*range(33, 48), *range(58, 65), *range(91, 97)]}
        ascii_marks |= {chr(c) for c in range(123, 127)}
        plain = "".join(c for c in text.lower() if c not in ascii_marks)
        # An article is a maximal run of word characters, as \b has it.
        out, run = "", ""
        for c in plain + " ":
            if c.isalnum() or c == "_":
                run += c
                continue
            out += ("" if run in {"a", "an", "the"} else run) + c
            run = ""
        counts: dict[str, int] = {}
        for token in out.split():
            counts[token] = counts.get(token, 0) + 1
        return counts

    said, wanted = tokens(prediction), tokens(reference)
    if not said or not wanted:
        return 1.0 if said == wanted else 0.0
    same = sum(min(n, wanted.get(token, 0)) for token, n in said.items())
    if same == 0:
        return 0.0
    precision, recall = same / sum(said.values()), same / sum(wanted.values())
    return 2 * precision * recall / (precision + recall)


def random_text(rng: random.Random) -> str:
    pool = [
        *WORDS,
        "The", "A.", "an,", "the-end", "naïve", "Ménière's", "µg", "38°C", "発熱", "İstanbul",
        "(fever)", "don't", "“quoted”", "—", "...", "?", "a/b", "β-blocker", "\u00a0", "\t",
    ]  # fmt: skip
    return " ".join(rng.choice(pool) for _ in range(rng.choice([0, 1, 2, 5, 12])))


def test_token_f1_agrees_with_an_independent_squad_on_1000_pairs() -> None:
    rng = random.Random(7)
    pairs = [(random_text(rng), random_text(rng)) for _ in range(997)]
    pairs += [("", ""), ("the", "a an"), ("", "fever")]
    for prediction, reference in pairs:
        ours, theirs = wording.token_f1(prediction, reference), squad_f1(prediction, reference)
        assert round(ours, 4) == round(theirs, 4), (prediction, reference)
    assert sum(not p.strip() or not r.strip() for p, r in pairs) > 50, "empty texts are among them"


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("", "", 1.0),
        ("", "fever", 0.0),
        ("The fever.", "a FEVER", 1.0),  # case, articles, punctuation
        ("fever fever", "fever", 2 / 3),  # precision 1/2, recall 1
        ("mild fever", "high fever today", 2 / 5),
        ("cough", "fever", 0.0),
    ],
)
def test_token_f1_by_hand(prediction: str, reference: str, expected: float) -> None:
    assert wording.token_f1(prediction, reference) == pytest.approx(expected)


def rouge_reference(kind: str, prediction: str, reference: str) -> float:
    """ROUGE F1 anew: n-grams by counting, the longest common subsequence by dynamic programming."""
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem

    def tokens(text: str) -> list[str]:
        kept = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()
        return [stem(t) if len(t) > 3 else t for t in kept]

    said, wanted = tokens(prediction), tokens(reference)
    if kind == "rougeL":
        table = [[0] * (len(wanted) + 1) for _ in range(len(said) + 1)]
        for i, left in enumerate(said):
            for j, right in enumerate(wanted):
                above = max(table[i][j + 1], table[i + 1][j])
                table[i + 1][j + 1] = table[i][j] + 1 if left == right else above
        same, of_said, of_wanted = table[-1][-1], len(said), len(wanted)
    else:
        n = int(kind[-1])
        grams = [Counter(zip(*(t[k:] for k in range(n)), strict=False)) for t in (said, wanted)]
        same = sum((grams[0] & grams[1]).values())
        of_said, of_wanted = grams[0].total(), grams[1].total()
    if not same:
        return 0.0
    precision, recall = same / of_said, same / of_wanted
    return 2 * precision * recall / (precision + recall)


def test_rouge_agrees_with_an_independent_one() -> None:
    rng = random.Random(1)
    for _ in range(150):
        prediction = " ".join(rng.choices(WORDS, k=rng.randint(0, 12)))
        reference = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
        for kind in ("rouge1", "rouge2", "rougeL"):
            expected = rouge_reference(kind, prediction, reference)
            assert wording.rouge(kind, prediction, reference) == pytest.approx(expected)


def test_rouge_by_hand() -> None:
    # 2 of 3 words each way; one shared pair of two; longest sequence "fever and".
    assert wording.rouge("rouge1", "fever and cough", "fever and pain") == pytest.approx(2 / 3)
    assert wording.rouge("rouge2", "fever and cough", "fever and pain") == pytest.approx(1 / 2)
    assert wording.rouge("rougeL", "and fever cough", "fever and pain") == pytest.approx(1 / 3)


def bleu_reference(prediction: str, reference: str) -> float:
    """Sentence BLEU anew: effective order, each empty precision halved once more (exp)."""
    said, wanted = prediction.split(), reference.split()
    logs, halvings = [], 1.0
    for n in range(1, 5):
        grams = [Counter(zip(*(t[k:] for k in range(n)), strict=False)) for t in (said, wanted)]
        total = grams[0].total()
        if not total:
            break
        same = sum((grams[0] & grams[1]).values())
        if not same:
            if n == 1:
                return 0.0
            halvings *= 2
            logs.append(math.log(1 / (halvings * total)))
        else:
            logs.append(math.log(same / total))
    if not logs:
        return 0.0
    brevity = min(0.0, 1 - len(wanted) / len(said))
    return 100 * math.exp(brevity + sum(logs) / len(logs))


def test_bleu_agrees_with_an_independent_one() -> None:
    rng = random.Random(2)
    for _ in range(200):
        prediction = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
        reference = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
        expected = bleu_reference(prediction, reference)
        assert wording.bleu(prediction, reference) == pytest.approx(expected, abs=1e-6)


def test_bleu_by_hand() -> None:
    assert wording.bleu("fever is treated", "fever is treated") == pytest.approx(100)
    # Precisions 2/3, 1/2 and (none, halved once) 1/2, equal length: the cube root of 1/6.
    assert wording.bleu("fever is mild", "fever is high") == pytest.approx(100 * (1 / 6) ** (1 / 3))
    assert wording.bleu("", "fever") == 0
    assert wording.corpus_bleu(["fever is treated with rest"], ["fever is treated with rest"]) == (
        pytest.approx(100)
    )


def chrf_reference(prediction: str, reference: str) -> float:
    said, wanted = "".join(prediction.split()), "".join(reference.split())
    precisions, recalls = [], []
    for n in range(1, 7):
        grams = [
            Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (said, wanted)
        ]
        if grams[0].total() and grams[1].total():
            same = sum((grams[0] & grams[1]).values())
            precisions.append(same / grams[0].total())
            recalls.append(same / grams[1].total())
    if not precisions:
        return 0.0
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * 5 * p * r / (4 * p + r) if p + r else 0.0


def test_chrf_agrees_with_an_independent_one() -> None:
    rng = random.Random(3)
    for _ in range(100):
        prediction = " ".join(rng.choices(WORDS, k=rng.randint(1, 8)))
        reference = " ".join(rng.choices(WORDS, k=rng.randint(1, 8)))
        expected = chrf_reference(prediction, reference)
        assert wording.chrf(prediction, reference) == pytest.approx(expected, abs=1e-6)
    assert wording.chrf("abc", "abc") == pytest.approx(100)


def test_length_ratio() -> None:
    assert wording.length_ratio("one two three", "one two") == 1.5
    assert wording.length_ratio("", "one two") == 0
    assert wording.length_ratio("one", "") is None


def test_reading_grade_by_the_formula() -> None:
    # 2 sentences, 6 words, 6 syllables: 0.39 * 3 + 11.8 * 1 - 15.59.
    assert wording.reading_grade("The cat sat. The dog ran.") == pytest.approx(-2.62)
    assert wording.reading_grade("") is None
    hard = wording.reading_grade("Anticoagulation necessitates periodic laboratory monitoring.")
    assert hard is not None
    assert hard > 15


@pytest.mark.parametrize(
    ("word", "count"),
    [("cat", 1), ("asthma", 2), ("dose", 1), ("table", 2), ("fever", 2), ("knee", 1), ("1", 1)],
)
def test_syllables(word: str, count: int) -> None:
    assert wording.syllables(word) == count
