"""Make `tinyllama-shaped`: TinyLlama's real configuration with random weights.

Its speed and memory are TinyLlama's; its words mean nothing. The tokenizer has the same kind and
size of vocabulary, learned from the starter deck.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STARTER = Path(__file__).resolve().parents[1] / "index" / "starter"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] "
    "+ eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# https://huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0/blob/main/config.json
SHAPE: dict[str, Any] = {
    "vocab_size": 32_000,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def starter_texts() -> list[str]:
    """Questions and answers of the starter deck."""
    texts = []
    for path in sorted(STARTER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            texts += [row["question"], row["answer"]]
    return texts


def make_tokenizer(vocabulary: int) -> Any:
    """A BPE with byte fallback, as SentencePiece makes it for Llama."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False
    )
    bpe.train_from_iterator(starter_texts(), trainer)
    document = json.loads(bpe.to_str())
    # Byte pieces are ordinary pieces, not marks of their own.
    document["added_tokens"] = document["added_tokens"][:3]
    document["pre_tokenizer"] = None
    bpe = Tokenizer.from_str(json.dumps(document))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make(folder: Path, **changes: Any) -> Path:
    """Write the checkpoint in bf16 (2.2 GB); returns its folder.

    Args:
        changes: of the configuration, for a smaller one of the same kind.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = SHAPE | changes
    tokenizer = make_tokenizer(shape["vocab_size"])
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = LlamaForCausalLM(LlamaConfig(**shape))
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        # What the vocabulary has no piece for, and the end of the text, must never be drawn.
        model.lm_head.weight[len(tokenizer) :] = 0
        model.lm_head.weight[:259] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
