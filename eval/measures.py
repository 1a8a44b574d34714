"""What is reported of each series: its name, which way is better, what it means and what not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. `scale` divides it to 0..1 where it is counted to 100."""

    key: str
    title: str
    group: str
    better: Better | None
    meaning: str
    caveat: str
    digits: int = 3
    scale: float = 1.0


_LIKE = "Closeness in words to the card's answer"
_TRUST = "Cards and trust"
_FIND = "Finding the card"
_LOSS = "Loss"
_FORM = "Form"

MEASURES: tuple[Measure, ...] = (
    Measure("answered", "Answered", _TRUST, None,
            "Share of the questions that got an answer rather than a refusal or a safety notice.",
            "More is better only where the cards can answer: see the worlds."),
    Measure("token_f1", "Token F1", _LIKE, "higher",
            "Words shared with the card's answer (SQuAD's way: no case, punctuation, articles); "
            "1 is the same words. The main figure here.",
            "A wrong answer in the card's words scores high, a right one in other words low. A "
            "refusal scores 0."),
    Measure("rouge1", "ROUGE-1", _LIKE, "higher", "Shared words, stemmed.",
            "Order and meaning play no part."),
    Measure("rouge2", "ROUGE-2", _LIKE, "higher", "Shared pairs of words.",
            "Punishes rewording."),
    Measure("rougeL", "ROUGE-L", _LIKE, "higher", "Longest sequence of words in common.",
            "Punishes another order of the same facts."),
    Measure("bleu", "BLEU (mean of items)", _LIKE, "higher",
            "Shared runs of up to four words, 0 to 100, item by item; the table's 'corpus BLEU' "
            "is the figure that papers give.",
            "Made for translation; unstable on short answers.", 1, 100),
    Measure("chrf", "chrF", _LIKE, "higher", "Shared runs of characters, 0 to 100.",
            "Kinder to inflection than BLEU, as blind to meaning.", 1, 100),
    Measure("cosine", "Cosine similarity", _LIKE, "higher",
            "Closeness of the two texts for the index's embedder.",
            "'Raises' and 'lowers' are near each other for it. Missing where nothing was said."),
    Measure("numbers_kept", "Numbers kept", _LIKE, "higher",
            "Share of the card's numbers with units (500 mg, 6 weeks) that the answer has.",
            "Only cards with numbers count. A right number in a wrong place passes."),
    Measure("numbers_invented", "Numbers invented", _LIKE, "lower",
            "Share of the answer's numbers with units that the card does not have.",
            "Another card may rightly hold the number."),
    Measure("held_by_reference", "Held by the gold card", _LIKE, "higher",
            "Share of the answer's sentences whose facts the gold card states, by the serving "
            "support check (rules and fitted trees).",
            "True sentences that the card does not state count as not held."),
    Measure("supported", "Supported sentences", _TRUST, "higher",
            "Share of what the generator wrote that some card it found holds; the rest was "
            "removed before a reader saw it.",
            "Held by a card is not the same as answering the question."),
    Measure("fell_back", "Fell back to the card", _TRUST, "lower",
            "Share of the answers in which nothing generated was held by a card, so that the card "
            "was quoted instead.", "Such an answer is the extractive system's."),
    Measure("gold_cited", "Gold card cited", _TRUST, "higher",
            "Share of the answers that cite the gold card or a near-duplicate of it.",
            "Without meaning where the gold card is hidden."),
    Measure("citation_recall", "Citation recall (ALCE)", _TRUST, "higher",
            "Share of the sentences that the cards they cite hold together.",
            "The default judge is the serving support check (rules and fitted trees), which "
            "attached the citations, so 1 is expected: it shows that nothing was attached wrongly "
            "by its own lights. --judge names another."),
    Measure("citation_precision", "Citation precision (ALCE)", _TRUST, "higher",
            "Share of the citations that are needed.", "As for citation recall."),
    Measure("recall_1", "Recall at 1", _FIND, "higher",
            "Share of the questions whose own card comes first.",
            "A card's question is asked in its own words, which is the easiest case: people do "
            "not ask so. Read it as a ceiling."),
    Measure("recall_5", "Recall at 5", _FIND, "higher", "The same, among the first five.",
            "As above."),
    Measure("recall_10", "Recall at 10", _FIND, "higher", "The same, among the first ten.",
            "As above."),
    Measure("mrr", "Mean reciprocal rank", _FIND, "higher",
            "One over the place of the right card, averaged.", "As above."),
    Measure("ndcg10", "nDCG at 10", _FIND, "higher",
            "How near the top the right cards stand, 1 is ideal.", "As above."),
    Measure("item_loss", "Loss a token", _LOSS, "lower",
            "How unexpected the card's answer is to the model, in nats a token of the answer.",
            "Not comparable between tokenizers. Missing where the assistant refused and the model "
            "was not asked."),
    Measure("bits_per_char", "Bits per character", _LOSS, "lower",
            "The same a character of the answer, so comparable between tokenizers.",
            "Low loss on the card's wording is not knowledge of medicine."),
    Measure("length_ratio", "Length ratio", _FORM, None,
            "Words of the answer over words of the card's answer; 1 is as long.",
            "Neither longer nor shorter is better by itself.", 2),
    Measure("reading_grade", "Reading grade", _FORM, None,
            "Flesch-Kincaid: US school years that the text asks for.",
            "Long words are not always hard, nor short ones easy.", 1),
    Measure("first_token_ms", "Time to first token (ms)", _FORM, "lower",
            "From the question to the first generated text.",
            "Of the machine that made the file, on questions one after another.", 0),
    Measure("total_ms", "Time to answer (ms)", _FORM, "lower", "From question to whole answer.",
            "As above.", 0),
    Measure("tokens_per_s", "Tokens a second", _FORM, "higher",
            "Speed of writing after the first token.", "As above.", 1),
    Measure("peak_mb", "Peak memory (MB)", _FORM, "lower",
            "Highest memory of the process during an answer (of the GPU, where one is used).",
            "The process holds the index and the libraries too.", 0),
    Measure("energy_j", "Energy an answer (J)", _FORM, "lower",
            "What the processor packages used, where their counters can be read.",
            "Of the whole machine, whatever else it did.", 1),
)  # fmt: skip
BY_KEY = {measure.key: measure for measure in MEASURES}

# On these every difference is tested; more would cost power under Holm's correction.
TESTED = (
    "token_f1", "rougeL", "chrf", "cosine", "numbers_kept", "held_by_reference", "bits_per_char",
)  # fmt: skip
# A fall of one of these fails a comparison of two runs: figures of speed vary with the machine.
GUARDED = (
    *TESTED, "rouge1", "rouge2", "bleu", "numbers_invented", "supported", "gold_cited",
    "citation_recall", "citation_precision", "recall_1", "recall_5", "mrr", "ndcg10",
)  # fmt: skip
