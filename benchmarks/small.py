"""Teach a small Llama the starter deck for a few minutes, to have weights that mean something.

    python benchmarks/small.py --out DIR [--minutes 3]

Random weights put the likeliest words so close together that any rounding decides between them.
These have read each card's answer after a prompt that holds the card, as they are served.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from assistant.build import build_assistant
from assistant.prompts import answer_ids, grounded, prompt_ids, shorten
from assistant.settings import Settings
from benchmarks.shaped import make_tokenizer

SHAPE = {
    "vocab_size": 4_000,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CARDS = 60
WORDS = 40  # of an answer
BATCH = 4


def main() -> int:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    tokenizer = make_tokenizer(SHAPE["vocab_size"])
    model = LlamaForCausalLM(LlamaConfig(**SHAPE))
    rows = examples(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    chance = random.Random(0)
    began, steps, loss = time.monotonic(), 0, None
    while time.monotonic() - began < 60 * arguments.minutes:
        batch = chance.sample(rows, BATCH)
        width = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([row + [2] * (width - len(row)) for row, _ in batch])
        labels = torch.tensor([row + [-100] * (width - len(row)) for _, row in batch])
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
    print(f"{steps} steps, loss {loss.item() if loss is not None else 0:.3f}")
    model.save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    return 0


def examples(tokenizer: Any) -> list[tuple[list[int], list[int]]]:
    """Token ids and labels: cards that lie evenly in the deck, each with what is found for it."""
    helper = build_assistant(Settings(profile="embedded"))
    cards = helper.retriever.cards
    rows = []
    for card in cards[:: len(cards) // CARDS]:
        found = [hit.card for hit in helper.retriever.hits(card.question)]
        prompt = prompt_ids(tokenizer, grounded(card.question, found, 3))
        answer = answer_ids(tokenizer, shorten(card.answer, WORDS))
        rows.append((prompt + answer, [-100] * len(prompt) + answer))
    return rows


if __name__ == "__main__":
    sys.exit(main())
