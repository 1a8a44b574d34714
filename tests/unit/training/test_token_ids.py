"""What is trained on is, token by token, what the chat template makes of the whole conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assistant.prompts import Prompt, answer_ids, prompt_ids
from index.cards import make_card
from training.config import RowsConfig
from training.rows import Rows, make_rows

CARDS = [
    make_card("What is asthma?", "Asthma is a disease of the airways. Wheezing is common."),
    make_card("What is gout?", "Gout is an arthritis caused by crystals of uric acid."),
    make_card("How much is 5 mg/L?", "5 mg/L, or 0.5 mg in 100 mL: \u03b2-blockers differ."),
    make_card("Who gets croup?", "(Mostly) young children."),
]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] "
    "+ eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
    "{% endif %}"
)
# Llama 2's form: what is said has spaces around it, which are no part of the prompt.
SPACED = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] + ' ' + eos_token }}{% else %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}{% endfor %}"
)


def sentencepiece_like(template: str, whole_text: bool = True) -> Any:
    """A tokenizer as TinyLlama's: the first word of a text opens with a space, written as a mark.

    Args:
        whole_text: whether merges may span words, as TinyLlama's may.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    special = ["<unk>", "<s>", "</s>"]
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special + pieces, show_progress=False
    )
    bpe.train_from_iterator([f"{c.answer} {c.question} {c.answer}" for c in CARDS] * 3, trainer)
    document = json.loads(bpe.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # bytes are ordinary pieces
    bpe = Tokenizer.from_str(json.dumps(document))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=not whole_text)
    bpe.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = template
    return tokenizer


def rows_of(tokenizer: Any) -> Rows:
    config = RowsConfig(gold=0.5, absent=0.25, closed_book=0.25, cards=2)
    return make_rows(CARDS, CARDS, lambda question, depth: CARDS[:depth], tokenizer, config, 1)


@pytest.mark.parametrize("template", [TEMPLATE, SPACED])
@pytest.mark.parametrize("whole_text", [True, False])
def test_a_row_is_the_rendered_conversation(template: str, whole_text: bool) -> None:
    tokenizer = sentencepiece_like(template, whole_text)
    made = rows_of(tokenizer)
    assert len(made.counts()) == 3
    for row in made.rows:
        turns = Prompt(row.question, row.cards).messages()
        turns.append({"role": "assistant", "content": row.target})
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = ids if ids[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id, *ids]
        ids = ids[: len(ids) - ids[::-1].index(tokenizer.eos_token_id)]  # what follows is no answer
        if template == SPACED:
            ids.pop(-2)  # the space that closes Llama 2's turns: not part of the answer
        assert row.ids == ids
        assert list(row.prompt) == prompt_ids(tokenizer, Prompt(row.question, row.cards))


def test_an_answer_alone_would_be_other_tokens() -> None:
    tokenizer = sentencepiece_like(TEMPLATE)
    alone = tokenizer("Asthma is a disease.", add_special_tokens=False)["input_ids"]
    trained = answer_ids(tokenizer, "Asthma is a disease.")
    opening = [tokenizer.convert_ids_to_tokens(ids[0]) for ids in (alone, trained)]
    assert opening[0].startswith("\u2581")
    assert not opening[1].startswith("\u2581")
    assert tokenizer.decode(trained, skip_special_tokens=True) == "Asthma is a disease."
    assert answer_ids(tokenizer, "") == [tokenizer.eos_token_id]
