"""A cross-encoder as a torch module: some layers of BERT over two texts, one logit."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

from index import onnx_export

NO_TOKEN = -1e4  # below every activation
_INT8 = "_quantized"  # behind the name of a weight in 8 bits
_MATRICES = (  # of a layer, in the order in which they are used
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class Pair(NamedTuple):
    """A question or a sentence, what is read of a card, and whether the second answers or holds
    the first."""

    first: str
    second: str
    true: bool


def backbone(checkpoint: Path) -> Any:
    """BERT as it is taught on a CPU.

    The fused attention's way back takes longer there than all the rest, and dropout of attention
    shares another fifth.
    """
    return AutoModel.from_pretrained(
        checkpoint,
        add_pooling_layer=False,
        attn_implementation="eager",
        attention_probs_dropout_prob=0.0,
    )


class PairClassifier(nn.Module):
    """BERT's first layers over `[CLS] first [SEP] second [SEP]`.

    The head sees the first token, the mean of all tokens, and the largest value over the tokens
    of the first text: one word of it without a counterpart in the second is enough to tell.
    """

    def __init__(self, checkpoint: Path, layers: int, max_tokens: int) -> None:
        super().__init__()
        self.bert = backbone(checkpoint)
        self.bert.encoder.layer = self.bert.encoder.layer[:layers]
        self.bert.embeddings.requires_grad_(False)
        # Never seen in training as an embedder, and what tells the two texts apart.
        self.bert.embeddings.token_type_embeddings.requires_grad_(True)
        self.head = nn.Linear(3 * self.bert.config.hidden_size, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.drop = nn.Dropout(0.1)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
        self._max_tokens = max_tokens

    def encode(self, pairs: Sequence[Pair]) -> dict[str, torch.Tensor]:
        """The inputs of `forward`, each (batch, tokens)."""
        tensors: dict[str, torch.Tensor] = self._tokenizer(
            [pair.first for pair in pairs],
            [pair.second for pair in pairs],
            truncation="longest_first",
            max_length=self._max_tokens,
            padding=True,
            return_tensors="pt",
        )
        return dict(tensors)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (batch,)."""
        hidden = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state  # (batch, tokens, hidden)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        asked = mask * (1 - token_type_ids.unsqueeze(-1).to(hidden.dtype))
        highest = (hidden * asked + (1 - asked) * NO_TOKEN).max(1).values
        seen = torch.cat([hidden[:, 0], mean, highest], dim=-1)
        # Not the layer itself: ONNX's shape inference stumbles over a transposed (1, n) weight.
        logits: torch.Tensor = (self.drop(seen) * self.head.weight[0]).sum(-1) + self.head.bias
        return logits


def read_start(model: PairClassifier, source: Path) -> None:
    """Take the weights of an earlier run, or those of a model that `save_int8` wrote (`.onnx`).

    Raises:
        ValueError: the file has other layers than the model.
    """
    if source.suffix == ".onnx":
        read_int8(model, source)
    else:
        model.load_state_dict(torch.load(source, weights_only=True))


def read_int8(model: PairClassifier, source: Path) -> None:
    """Take the weights that `save_int8` wrote for a model of the same shape, as near as 8 bits are.

    Raises:
        ValueError: the file has other layers than the model.
    """
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(source)).graph
    values = {entry.name: torch.from_numpy(to_array(entry).copy()) for entry in graph.initializer}
    names = [name.removesuffix(_INT8) for name in values if name.endswith(_INT8)]
    values |= {name: _widened(values, name) for name in names}
    named = {name.partition(".")[2]: value for name, value in values.items()}  # after the wrapper's
    state = {name: named[name] for name in model.state_dict() if name in named}
    # The matrices have lost their names, not their order; they stand as (in, out).
    used = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    matrices = [values[name.removesuffix(_INT8)].T for name in used]
    layers = len(model.bert.encoder.layer)
    if len(matrices) != layers * len(_MATRICES):
        raise ValueError(
            f"{str(source)!r} has {len(matrices)} matrices, expected {len(_MATRICES)} for each of "
            f"{layers} layers: give a model of {layers} layers"
        )
    for number, matrix in enumerate(matrices):
        layer, which = divmod(number, len(_MATRICES))
        state[f"bert.encoder.layer.{layer}.{_MATRICES[which]}.weight"] = matrix
    (head,) = (v for v in values.values() if v.shape == model.head.weight.shape[1:])
    state["head.weight"] = head.unsqueeze(0)
    model.load_state_dict(state)


def _widened(values: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    zero = values[f"{name}_zero_point"].float()
    return (values[name + _INT8].float() - zero) * values[f"{name}_scale"]


class _Unpadded(nn.Module):
    """The classifier for texts without padding, as it is served."""

    def __init__(self, model: PairClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids, torch.ones_like(input_ids), token_type_ids)
        return logits


def save_int8(model: PairClassifier, target: Path) -> None:
    """Write the model as int8 ONNX: inputs `input_ids`, `token_type_ids`; output `logit`."""
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "fp32.onnx"
        _save_onnx(model, whole)
        onnx_export.quantize(whole, target)


def _save_onnx(model: PairClassifier, target: Path) -> None:
    ids = torch.randint(1000, 2000, (2, 9))
    types = torch.zeros_like(ids)
    types[:, 5:] = 1
    shape = {
        0: torch.export.Dim("batch", min=1, max=64),
        1: torch.export.Dim("tokens", min=2, max=512),
    }
    inputs = {"input_ids": ids, "token_type_ids": types}
    onnx_export.write(_Unpadded(model), inputs, dict.fromkeys(inputs, shape), "logit", target)
