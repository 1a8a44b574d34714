"""Exports say what the adapter says: merged checkpoint, GGUF in its kinds, both tokenizers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
import pytest

from assistant import gguf_file
from assistant.conversion import convert
from assistant.generator import Sampling
from assistant.transformers_generator import TransformersGenerator
from index.errors import ExpectedError
from training import folder, parity, push
from training.__main__ import main
from training.config import RunConfig

pytestmark = pytest.mark.integration

# Greedy text is compared whole; this bounds the difference of next-token logits of the merged
# checkpoint, whose weights are rounded to fp16, from base and adapter.
MERGED_TOLERANCE = 0.02


@pytest.fixture(scope="module")
def run(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with an adapter that changes what the base says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    path = tmp_path_factory.mktemp("runs") / "tiny"
    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_llama),
        LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.2)
    model.save_pretrained(path)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy2(tiny_llama / file, path / file)
    folder.start(path, RunConfig(name="tiny", base=str(tiny_llama), split_stamp="0" * 64))
    folder.write_record(path, {"steps": 1})
    (path / "README.md").write_text("card", encoding="utf-8")
    return path


def said(generator: TransformersGenerator) -> list[str]:
    sampling = Sampling(max_new_tokens=24)
    return ["".join(generator.stream(p, sampling, Event())) for p in parity.PROMPTS]


@pytest.fixture(scope="module")
def merged(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "tiny"
    assert main(["export", str(run), "merged", "--out", str(out)]) == 0
    return out


def test_merged_and_adapter_agree(run: Path, merged: Path, tiny_llama: Path) -> None:
    tuned = TransformersGenerator(str(tiny_llama), str(run), device="cpu")
    whole = TransformersGenerator(str(merged), device="cpu")
    assert said(whole) == said(tuned)
    base = TransformersGenerator(str(tiny_llama), device="cpu")
    assert said(base) != said(tuned)
    tokenizer, model = tuned.load()
    _, other = whole.load()
    for prompt in parity.PROMPTS:
        ids = parity.prompt_ids(tokenizer, prompt)
        left, right = (np.array(parity.log_probabilities(m, ids)) for m in (model, other))
        assert np.abs(left - right).max() < MERGED_TOLERANCE
    assert (merged / "training.yaml").exists()
    assert json.loads((merged / "config.json").read_text("utf-8"))["dtype"] == "float16"


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0"])
def test_a_gguf_says_what_the_adapter_says(
    kind: str, run: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    file = tmp_path / "tiny.gguf"
    assert main(["export", str(run), "gguf", "--type", kind, "--out", str(file)]) == 0
    tuned = TransformersGenerator(str(tiny_llama), str(run), device="cpu")
    tokenizer, model = tuned.load()
    report = parity.compare(model, tokenizer, file, kind)
    assert report.log_probability <= parity.TOLERANCE[kind]
    if kind == "f16":
        assert report.same_text == report.prompts


def test_a_small_model_keeps_its_attention_in_16_bit(
    quantisable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kinds(name: str) -> dict[str, set[str]]:
        convert(quantisable, "q8_0", tmp_path / name)
        found: dict[str, set[str]] = {"attn": set(), "ffn": set()}
        for tensor in gguf.GGUFReader(tmp_path / name).tensors:
            part = tensor.name.split(".")[-2].split("_")[0]
            if part in found and "norm" not in tensor.name:
                found[part].add(tensor.tensor_type.name)
        return found

    assert kinds("small.gguf") == {"attn": {"F16"}, "ffn": {"Q8_0"}}
    monkeypatch.setattr(gguf_file, "_SMALL", 1)
    assert kinds("large.gguf") == {"attn": {"Q8_0"}, "ffn": {"Q8_0"}}


def test_a_wrong_gguf_is_found_and_removed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setattr(gguf_file, "permuted", lambda array, heads: array)
    file = tmp_path / "tiny.gguf"
    assert main(["export", str(run), "gguf", "--type", "f16", "--out", str(file)]) == 2
    assert "does not say what the model says" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def sentencepiece_like(texts: list[str]) -> Any:
    """A tokenizer as TinyLlama's: spaces as marks, BPE, unknown characters as bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"]
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special + pieces, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    document = json.loads(bpe.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # bytes are ordinary pieces
    bpe = Tokenizer.from_str(json.dumps(document))
    bpe.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.mark.parametrize("like", ["byte-level", "sentencepiece"])
def test_the_engine_reads_text_as_the_tokenizer_does(
    like: str, tiny_llama: Path, tmp_path: Path
) -> None:
    pytest.importorskip("xllamacpp")
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    if like == "sentencepiece":
        texts = [tokenizer.decode([i]) for i in range(len(tokenizer))] * 3
        starter = Path(__file__).resolve().parents[3] / "index" / "starter" / "eye.jsonl"
        texts += [json.loads(x)["answer"] for x in starter.read_text("utf-8").splitlines()]
        template = tokenizer.chat_template
        tokenizer = sentencepiece_like(texts)
        tokenizer.chat_template = template
    torch.manual_seed(0)
    config = LlamaConfig.from_pretrained(tiny_llama)
    config.update({"vocab_size": len(tokenizer), "tie_word_embeddings": True})
    model = LlamaForCausalLM(config).eval()
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "model.gguf"
    gguf_file.write(model, tokenizer, tmp_path, "f16", file)
    engine = parity.open_engine(file)
    text = "What is asthma? It's a 25% naïve β-blocker,  twice."
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    answer = engine.handle_completions(
        {"prompt": text, "n_predict": 1, "temperature": 0.0, "n_probs": 5}
    )
    assert answer["usage"]["prompt_tokens"] == len(ids)
    never = parity.fragments(tokenizer, config.vocab_size)
    _, likely = parity.complete(engine, ids, 1, never)
    own = parity.log_probabilities(model, ids)
    assert max(abs(own[i] - value) for i, value in likely.items()) < parity.TOLERANCE["f16"]


def test_exports_do_not_overwrite_and_need_a_finished_run(
    run: Path, merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "merged", "--out", str(merged)]) == 2
    assert "exists: remove it" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "gguf"]) == 2
    assert "no finished run" in capsys.readouterr().err
    missing = ["export", str(run), "merged", "--base", str(tmp_path), "--out", str(tmp_path / "x")]
    assert main(missing) == 2
    assert "cannot load the base" in capsys.readouterr().err


class Hub:
    """Takes what is uploaded, or refuses."""

    endpoint = "https://hub.example"

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.uploads: list[dict[str, Any]] = []

    def create_repo(self, repository: str, private: bool, exist_ok: bool) -> None:
        if self.refusal:
            raise self.refusal

    def upload_folder(self, **options: Any) -> Any:
        self.uploads.append(options)
        return SimpleNamespace(repo_url=f"{self.endpoint}/{options['repo_id']}")


def test_push_uploads_the_adapter_with_its_card(run: Path) -> None:
    hub = Hub()
    assert push.push(run, "me/tiny", False, hub) == "https://hub.example/me/tiny"
    (upload,) = hub.uploads
    assert {"README.md", "adapter_model.safetensors", "training.yaml"} <= set(
        upload["allow_patterns"]
    )
    assert not any("checkpoint" in pattern for pattern in upload["allow_patterns"])


def test_a_hub_that_refuses_is_said(run: Path) -> None:
    with pytest.raises(ExpectedError, match="hf auth login"):
        push.push(run, "me/tiny", False, Hub(OSError("no network")))
