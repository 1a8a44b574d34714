"""An entailment model by name: a judge apart from the check that attaches citations."""

from __future__ import annotations

from collections.abc import Sequence

from eval.citations import Judge, held
from index.cards import Flashcard
from index.errors import ExpectedError

_ENTAILS = 0.5


def open_judge(name: str | None) -> Judge:
    """The judge of a name: None for the serving support check, else a folder or hub id of a
    classifier with a label such as "entailment".

    Raises:
        ExpectedError: it cannot be loaded, or has no such label.
    """
    return held if name is None else _entailment(name)


def _entailment(name: str) -> Judge:
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        raise ExpectedError(
            f"the judge {name!r} needs torch and transformers: pip install 'medcards[models]'"
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSequenceClassification.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ExpectedError(
            f"cannot load the judge {name!r}: {reason}; expected a sequence classifier in "
            "safetensors, as a folder or a hub id"
        ) from error
    labels = {label.lower(): i for i, label in model.config.id2label.items()}
    wanted = next((labels[k] for k in ("entailment", "entailed", "supported") if k in labels), None)
    if wanted is None:
        raise ExpectedError(
            f"the judge {name!r} has the labels {sorted(labels)}: expected one called entailment"
        )
    model.eval()

    def judge(sentence: str, cards: Sequence[Flashcard]) -> bool:
        premise = "\n".join(card.text for card in cards)
        inputs = tokenizer(premise, sentence, truncation="only_first", return_tensors="pt")
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            odds = model(**inputs).logits[0].softmax(-1)
        return float(odds[wanted]) >= _ENTAILS

    return judge
