"""How fast is `training run default`, against a loop as the prior work wrote it?

The prior loop pads every row to a fixed length, does not pack, takes the loss on every position,
padding included, through whole logits, and adapts q, k, v and o. Both loops train the same base
on the same rows: question to answer, which is what the prior work trained on, and the default
recipe's own rows with cards in the prompt. Each arm has a process of its own, arms take turns.

    python benchmarks/training_speed.py --index DIR --out DIR

On CUDA the base has TinyLlama's shape, in NF4; on a CPU it is a small Llama in fp32, on one thread,
and the time is the processor's, in which other work on the machine does not count. `--shape tiny
--nf4` runs on a CPU in a minute what CUDA runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training import base as bases
from training import estimate, source
from training.config import LoraSettings, RowsConfig, RunConfig, load_config
from training.rows import Row, Rows

Weights = dict[str, Any]

SHAPES: dict[str, Weights] = {
    "tinyllama": {},
    "small": {
        "vocab_size": 4000,
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "tiny": {
        "vocab_size": 2000,
        "hidden_size": 128,
        "intermediate_size": 320,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
# What the prior systems padded to, for their rows; ours with cards need twice as much.
PADDED = {"question": 512, "cards": 1024}
PRIOR_BATCH = 4
PRIOR_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")
# Dense fp16/bf16 tensor-core peak, FLOP/s, from the makers' data sheets.
PEAKS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10G": 70e12,
    "T4": 65e12,
}
GIGABYTE = 1e9


@dataclass(frozen=True)
class Measured:
    """One run of one arm."""

    tokens_per_second: float  # prompt and answer, no padding
    peak_bytes: int
    base_bytes: int  # held before the model was loaded: libraries
    useful_share: float  # of all positions that were computed
    flops: float | None  # model FLOP/s as a share of the peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, help="index folder (default: the starter deck's)")
    parser.add_argument("--out", type=Path, default=Path("training-speed"))
    parser.add_argument("--shape", choices=tuple(SHAPES), help="default: by the device")
    parser.add_argument("--tokenizer", help="tokenizer folder (default: one of the starter deck)")
    parser.add_argument("--nf4", action="store_true", help="4-bit base on a CPU too")
    parser.add_argument("--tokens", type=int, default=20_000, help="useful ones in a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each arm")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if options.arm:
        print(json.dumps(asdict(run_arm(options.arm, options.work, options.nf4))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report(options, Path(folder))
    return 0


def report(options: argparse.Namespace, work: Path) -> None:
    """Prepare, run every arm in turn, write table, data and plot."""
    machine = bases.hardware(RunConfig())
    shape = options.shape or ("tinyllama" if machine.device == "cuda" else "small")
    made = prepare(work, shape, options.tokenizer, options.index, options.tokens)
    runs: dict[str, list[Measured]] = {f"{rows} {loop}": [] for rows in PADDED for loop in LOOPS}
    options.out.mkdir(parents=True, exist_ok=True)
    for n in range(options.rounds):
        for arm, measured in runs.items():
            measured.append(start_arm(arm, work, options.nf4))
            speed = measured[-1].tokens_per_second
            print(f"round {n + 1}: {arm}: {speed:,.0f} tokens/s", file=sys.stderr)
        result = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_name(machine),
            "shape": shape,
            "nf4": machine.nf4 or options.nf4,
            "rows": made,
            "runs": {arm: [asdict(m) for m in measured] for arm, measured in runs.items()},
        }
        text = json.dumps(result, indent=1)
        (options.out / "training_speed.json").write_text(text, encoding="utf-8")
        (options.out / "training_speed.md").write_text(table(result), encoding="utf-8")
        plot(result, options.out / "training_speed.png")
    print(table(result))


def prepare(
    work: Path, shape: str, tokenizer: str | None, index: Path | None, tokens: int
) -> dict[str, Any]:
    """Write the base and the rows that all arms share; returns what the rows are."""
    sys.path.append(str(Path(__file__).parent))
    import shaped

    changes = dict(SHAPES[shape])
    if tokenizer:
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(tokenizer)
        shaped.make(work / "base", **changes | {"vocab_size": len(loaded)})
        loaded.save_pretrained(work / "base")
    else:
        shaped.make(work / "base", **changes)
    recipes = {"question": load_config("closed-book"), "cards": load_config("default")}
    about: dict[str, Any] = {}
    for name, recipe in recipes.items():
        rows = recipe.rows.model_copy(
            update={"max_tokens": PADDED[name], "limit": tokens // 50, "validation_limit": 0}
        )
        config = recipe.model_copy(
            update={"base": str(work / "base"), "index": index, "deck": "starter", "rows": rows}
        )
        opened = source.open_source(config)
        made, _ = source.build_rows(config, opened, bases.load_tokenizer(config.base))
        kept = list(up_to(made.rows, tokens))
        (work / f"{name}.json").write_text(
            json.dumps([[row.prompt, row.answer] for row in kept]), encoding="utf-8"
        )
        about[name] = {
            "rows": len(kept),
            "mean_tokens": round(statistics.mean(len(row.ids) for row in kept), 1),
            "padded_to": PADDED[name],
        }
    return about


def up_to(rows: Sequence[Row], tokens: int) -> Iterator[Row]:
    """Rows until they hold so many tokens."""
    for row in rows:
        if tokens <= 0:
            return
        tokens -= len(row.ids)
        yield row


def start_arm(arm: str, work: Path, nf4: bool) -> Measured:
    """Run an arm in a process of its own: its peak memory is its own."""
    command = [sys.executable, __file__, "--arm", arm, "--work", str(work)]
    done = subprocess.run(
        [*command, *(["--nf4"] if nf4 else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the arm {arm!r} failed:\n{done.stderr[-3000:]}")
    return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def run_arm(arm: str, work: Path, nf4: bool) -> Measured:
    """Load, train, measure."""
    import torch

    from training.run import quiet_libraries
    from training.trainer import peak_memory

    quiet_libraries()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    name, loop = arm.split()
    held = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
    rows = [Row("dialogue", "", "", (), tuple(p), tuple(a)) for p, a in held]
    recipe = load_config("default")
    config = recipe.model_copy(
        update={
            "base": str(work / "base"),
            "quantization": "nf4" if nf4 else "auto",
            "rows": RowsConfig(max_tokens=1024),
            "trackers": (),
            "patience": None,
            "validations": 1,
        }
    )
    machine = bases.hardware(config)
    before = peak_memory()
    tokenizer = bases.load_tokenizer(config.base)
    model = bases.load_model(config, machine)
    if loop == "prior":
        model.set_attn_implementation("sdpa")
    parameters = bases.skeleton(model.config)
    modules = bases.target_modules(config, parameters)
    machine = estimate.settled(config, model.config, parameters, modules, machine)
    weights = sum(p.numel() for p in parameters.parameters())
    weights -= parameters.get_input_embeddings().weight.numel()
    speed, share = LOOPS[loop](config, model, tokenizer, machine, rows, PADDED[name], work)
    # Forward and backward through frozen weights: 2 + 2 FLOP for each weight and token. What
    # padding and recomputation cost is no use, and attention's own products are left out.
    peak = peak_flops(machine)
    used = 4 * weights * speed / peak if peak else None
    return Measured(speed, peak_memory(), before, share, used)


def default_loop(
    config: RunConfig,
    model: Any,
    tokenizer: Any,
    machine: bases.Hardware,
    rows: Sequence[Row],
    length: int,
    work: Path,
) -> tuple[float, float]:
    """The trainer of `training run`, with the recipe's own settings; one epoch."""
    from transformers import TrainerCallback

    from training.run import make_trainer

    del length
    modules = bases.target_modules(config, bases.skeleton(model.config))
    with tempfile.TemporaryDirectory(dir=work) as folder:
        trainer = make_trainer(
            config, model, tokenizer, modules, machine, Rows(list(rows)), Rows(), Path(folder)
        )
        trainer.args.logging_steps = 1
        trainer.args.save_strategy = "no"
        marks: list[tuple[float, float]] = []

        class Clock(TrainerCallback):
            """The time and the tokens after each step."""

            def on_log(
                self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any
            ) -> None:
                if logs and "num_tokens" in logs:
                    marks.append((now(machine), float(logs["num_tokens"])))

        trainer.add_callback(Clock())
        trainer.train()
    (begun, already), *_, (ended, total) = marks  # the first step warms up
    return (total - already) / (ended - begun), 1.0


def prior_loop(
    config: RunConfig,
    model: Any,
    tokenizer: Any,
    machine: bases.Hardware,
    rows: Sequence[Row],
    length: int,
    work: Path,
) -> tuple[float, float]:
    """As notebooks have it: rows padded to one length, batches of 4, whole logits, one epoch."""
    import torch
    from bitsandbytes.optim import PagedAdamW8bit
    from peft import LoraConfig, get_peft_model

    del work
    lora = LoraSettings(modules=PRIOR_MODULES)
    adapter = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(PRIOR_MODULES),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, adapter)
    trained = [p for p in model.parameters() if p.requires_grad]
    kind = PagedAdamW8bit if machine.device == "cuda" else torch.optim.AdamW
    optimizer = kind(trained, lr=config.learning_rate)
    half = torch.bfloat16 if machine.precision == "bf16" else torch.float16
    scaler = torch.amp.GradScaler(machine.device, enabled=machine.precision == "fp16")
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        mask[i, : len(row.ids)] = 1
    model.train()
    begun, already, tokens = now(machine), 0, 0
    for start in range(0, len(rows) - PRIOR_BATCH + 1, PRIOR_BATCH):
        taken = slice(start, start + PRIOR_BATCH)
        batch = {"input_ids": ids[taken], "attention_mask": mask[taken], "labels": ids[taken]}
        batch = {name: tensor.to(machine.device) for name, tensor in batch.items()}
        with torch.autocast(machine.device, half, enabled=machine.precision != "fp32"):
            loss = model(**batch).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, config.max_grad_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        tokens += int(mask[taken].sum())
        if start == 0:  # the first step warms up
            begun, already = now(machine), tokens
    speed = (tokens - already) / (now(machine) - begun)
    return speed, float(mask.float().mean())


Loop = Callable[
    [RunConfig, Any, Any, bases.Hardware, Sequence[Row], int, Path], tuple[float, float]
]
LOOPS: dict[str, Loop] = {"prior": prior_loop, "default": default_loop}


def now(machine: bases.Hardware) -> float:
    """Seconds, once the device has done its work; on a CPU, seconds of work."""
    if machine.device == "cuda":
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def peak_flops(machine: bases.Hardware) -> float | None:
    """FLOP/s: of the GPU by its name; of a CPU as its largest matrix product reaches them."""
    import torch

    if machine.device == "cuda":
        name = torch.cuda.get_device_name()
        return next((peak for part, peak in PEAKS.items() if part in name), None)
    left = torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(3):
        begun = now(machine)
        torch.mm(left, left)
        best = min(best, now(machine) - begun)
    return float(2 * 1024**3 / best)


def machine_name(machine: bases.Hardware) -> str:
    """What the figures were measured on."""
    import torch

    if machine.device == "cuda":
        return f"{torch.cuda.get_device_name()}, {machine.precision}"
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "CPU")
    return f"{model}, one thread, {machine.precision}"


def median(result: dict[str, Any], arm: str, field: str) -> float | None:
    """Over the runs of an arm."""
    values = [run[field] for run in result["runs"][arm]]
    return None if None in values else statistics.median(values)


def table(result: dict[str, Any]) -> str:
    """The figures as Markdown, medians over the runs."""
    lines = [
        f"{result['machine']}; base {result['shape']}{', NF4' if result['nf4'] else ''}; "
        f"{result['created'][:10]}; medians of {len(next(iter(result['runs'].values())))} runs",
        "",
        "| rows | loop | useful tokens/s | ratio | peak GB | without libraries | padding | MFU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows, about in result["rows"].items():
        reference = median(result, f"{rows} prior", "tokens_per_second") or 0.0
        for loop in LOOPS:
            arm = f"{rows} {loop}"
            speed = median(result, arm, "tokens_per_second") or 0.0
            peak, held = median(result, arm, "peak_bytes"), median(result, arm, "base_bytes")
            padding = 1 - (median(result, arm, "useful_share") or 0.0)
            flops = median(result, arm, "flops")
            lines.append(
                f"| {rows}, {about['mean_tokens']:.0f} tokens | {loop} | {speed:,.0f} | "
                f"{speed / reference:.2f} | {(peak or 0) / GIGABYTE:.2f} | "
                f"{((peak or 0) - (held or 0)) / GIGABYTE:.2f} | {padding:.0%} | "
                f"{'unknown' if flops is None else f'{flops:.1%}'} |"
            )
    return "\n".join([*lines, ""])


def plot(result: dict[str, Any], path: Path) -> None:
    """Speed and memory as bars, one dot a run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    names = list(result["runs"])
    colours = ["#9aa5b1" if name.endswith("prior") else "#0b6e6e" for name in names]
    for axes, (field, title, unit) in zip(
        figure.subplots(1, 2),
        (
            ("tokens_per_second", "useful tokens/s", 1.0),
            ("peak_bytes", "peak memory, GB", GIGABYTE),
        ),
        strict=True,
    ):
        axes.barh(names, [(median(result, n, field) or 0) / unit for n in names], color=colours)
        for i, name in enumerate(names):
            values = [run[field] / unit for run in result["runs"][name]]
            axes.plot(values, [i] * len(values), "k.", markersize=3)
        axes.set_title(title)
        axes.invert_yaxis()
    figure.suptitle(f"{result['machine']}, {result['shape']}", fontsize=9)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
