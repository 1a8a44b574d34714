"""A Llama checkpoint as a GGUF file, the format of llama.cpp.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from index.errors import ExpectedError

Array = npt.NDArray[Any]

KINDS = {
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}
# Parameters below which attention stays in 16 bit: what it points at decides what is copied, and in
# so small a model it costs a few megabytes.
_SMALL = 100_000_000
_PRE_TOKENIZER_LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"  # the start of Llama 3's splitting pattern


def write(model: Any, tokenizer: Any, tokenizer_folder: Path, kind: str, out: Path) -> None:
    """Write a model with its tokenizer.

    Args:
        model: a `LlamaForCausalLM` in fp32.
        tokenizer_folder: where the tokenizer is saved.
        kind: one of `KINDS`.

    Raises:
        ExpectedError: the model or tokenizer has a part that is not written here.
    """
    config = model.config
    writer = gguf.GGUFWriter(out, "llama")
    try:
        _write_shape(writer, config, kind)
        _write_tokenizer(writer, tokenizer, tokenizer_folder, config.vocab_size)
        _write_weights(writer, model, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _write_shape(writer: gguf.GGUFWriter, config: Any, kind: str) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(Path(str(config.name_or_path)).name or "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(KINDS[kind][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ExpectedError(
            f"the base scales its positions by {rope['rope_type']!r}, which is not written to GGUF "
            "here: convert the merged checkpoint with llama.cpp's convert_hf_to_gguf.py"
        )
    writer.add_rope_freq_base(rope["rope_theta"])


def _write_weights(writer: gguf.GGUFWriter, model: Any, kind: str) -> None:
    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    small = sum(tensor.numel() for tensor in model.parameters()) < _SMALL
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue  # llama.cpp takes the embedding where there is no output layer
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ExpectedError(f"the tensor {name!r} has no place in a GGUF Llama file")
        array: Array = tensor.float().numpy()
        if name.endswith(("q_proj.weight", "q_proj.bias")):
            array = permuted(array, config.num_attention_heads)
        elif name.endswith(("k_proj.weight", "k_proj.bias")):
            array = permuted(array, config.num_key_value_heads)
        stored = _storage(array, "f16" if small and ".self_attn." in name else kind)
        writer.add_tensor(new, gguf.quants.quantize(array, stored), raw_dtype=stored)


def permuted(array: Array, heads: int) -> Array:
    """Rows of a query or key projection in llama.cpp's order.

    transformers rotates the first half of a head's rows with the second, llama.cpp neighbours.
    """
    half = array.shape[0] // heads // 2
    split = array.reshape(heads, 2, half, *array.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


def _storage(array: Array, kind: str) -> gguf.GGMLQuantizationType:
    """Vectors stay fp32; a matrix whose rows do not divide into blocks stays fp16."""
    wanted = KINDS[kind][0]
    if array.ndim == 1:
        return gguf.GGMLQuantizationType.F32
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if array.shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, folder: Path, size: int) -> None:
    """The vocabulary of a byte-level BPE or a SentencePiece-like tokenizer."""
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    document = json.loads(text)
    model = document["model"]
    if model["type"] != "BPE":
        raise ExpectedError(
            f"the tokenizer is of the kind {model['type']!r}: expected byte-level BPE or "
            "SentencePiece with byte fallback, which Llama checkpoints have"
        )
    sentencepiece = bool(model.get("byte_fallback"))
    pieces: list[bytes] = []
    scores: list[float] = []
    types: list[int] = []
    added = tokenizer.added_tokens_decoder
    by_id = {i: piece for piece, i in tokenizer.get_vocab().items()}
    ranks = _merge_ranks(model["merges"]) if sentencepiece else {}
    for i in range(size):
        piece = by_id.get(i)
        if piece is None:
            piece, score, kind = f"[PAD{i}]", -1000.0, gguf.TokenType.UNUSED
        else:
            score, kind = _piece(piece, i, tokenizer, added, ranks)
        pieces.append(piece.encode("utf-8"))
        scores.append(score)
        types.append(kind)
    # The tokenizer itself goes along: what serves the file makes the very ids that were trained on.
    writer.add_string(gguf.Keys.Tokenizer.HF_JSON, text)
    writer.add_tokenizer_model("llama" if sentencepiece else "gpt2")
    writer.add_token_list(pieces)
    writer.add_token_types(types)
    if sentencepiece:
        writer.add_token_scores(scores)
        writer.add_add_space_prefix(_adds_space(document))
    else:
        writer.add_tokenizer_pre(_pre_tokenizer(document))
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    for name, value in (
        ("bos", tokenizer.bos_token_id),
        ("eos", tokenizer.eos_token_id),
        ("unk", tokenizer.unk_token_id),
        ("pad", tokenizer.pad_token_id),
    ):
        if value is not None:
            getattr(writer, f"add_{name}_token_id")(value)
    writer.add_add_bos_token(tokenizer.bos_token_id is not None)
    writer.add_add_eos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _piece(
    piece: str, i: int, tokenizer: Any, added: dict[int, Any], ranks: dict[str, int]
) -> tuple[float, gguf.TokenType]:
    """Score and type of a piece. SentencePiece's scores are the ranks of the merges, negated."""
    if i == tokenizer.unk_token_id:
        return 0.0, gguf.TokenType.UNKNOWN
    if i in added:
        control = added[i].special
        return 0.0, gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return 0.0, gguf.TokenType.BYTE
    return -float(ranks.get(piece, 0)), gguf.TokenType.NORMAL


def _merge_ranks(merges: list[Any]) -> dict[str, int]:
    """For each merged piece the rank of the first merge that makes it."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges, start=1):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        ranks.setdefault(left + right, rank)
    return ranks


def _adds_space(document: dict[str, Any]) -> bool:
    """Whether the tokenizer puts a space before the first word."""
    parts = [document.get("normalizer"), document.get("pre_tokenizer")]
    text = json.dumps(parts)
    return '"Prepend"' in text or '"prepend_scheme": "first"' in text or '"always"' in text


def _pre_tokenizer(document: dict[str, Any]) -> str:
    """llama.cpp's name of the way in which the tokenizer splits text into words."""
    text = json.dumps(document.get("pre_tokenizer"))
    return "llama-bpe" if _PRE_TOKENIZER_LLAMA3 in text else "gpt-2"
