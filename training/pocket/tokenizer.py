"""The tokenizer of the small Llama: BPE with byte fallback and TinyLlama's form of chat."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
# The space before an answer makes its first word the piece that a card holds in mid-text.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' }}"
    "{% if message['role'] == 'assistant' %}{{ ' ' }}{% endif %}"
    "{{ message['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train_tokenizer(texts: Iterable[str], size: int, length: int) -> Any:
    """A fast tokenizer of `size` pieces learned from texts.

    Digits and punctuation stand alone: a dose is copied figure by figure, and a word is the same
    piece before a comma, a question mark or a space. As with Llama 2 a space opens a word and the
    first word of a text gets one, so that an answer starts with the piece that its card holds.

    Args:
        length: the longest sequence of the model, in tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="first", split=True),
        ]
    )
    bpe.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    controls = [UNKNOWN, BOS, EOS, *ROLES]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*controls, *_BYTES],
        min_frequency=3,
        limit_alphabet=200,
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    document = json.loads(bpe.to_str())
    # The byte pieces stand for bytes that no other piece covers; text never names them.
    document["added_tokens"] = [t for t in document["added_tokens"] if t["content"] in controls]
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has none
        tokenizer_object=Tokenizer.from_str(json.dumps(document)),
        unk_token=UNKNOWN,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        additional_special_tokens=list(ROLES),
        model_max_length=length,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
