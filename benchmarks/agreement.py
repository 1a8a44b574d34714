"""Do the engines say the same? Greedy text of transformers and of GGUF files of the same weights.

    python benchmarks/agreement.py --base DIR [--adapter DIR] [--tokens 60]

Twenty questions over the starter deck with three cards each. Both sides read the same token ids;
the table shows where the texts part.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from threading import Event
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from assistant.build import build_assistant
from assistant.conversion import convert
from assistant.generator import Generator, Sampling
from assistant.llamacpp_generator import EngineOptions, LlamaCppGenerator
from assistant.prompts import Prompt, grounded
from assistant.settings import Settings
from assistant.transformers_generator import TransformersGenerator

PROMPTS = 20


def main() -> int:
    """Compare, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--kinds", nargs="*", default=["f16", "q8_0", "q4_0"])
    arguments = parser.parse_args()
    adapter = str(arguments.adapter) if arguments.adapter else None
    reference = TransformersGenerator(str(arguments.base), adapter, device="cpu")
    prompts = some_prompts()
    expected = [text(reference, prompt, arguments.tokens) for prompt in prompts]
    print(f"transformers fp32 wrote {len(set(expected))} different texts")
    print("| file | same text | share | where they part |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds:
            file = Path(folder) / f"{kind}.gguf"
            convert(arguments.base, kind, file, arguments.adapter)
            generator = LlamaCppGenerator(file, kind, options=EngineOptions(slots=1))
            found = [text(generator, prompt, arguments.tokens) for prompt in prompts]
            generator.close()
            same = sum(a == b for a, b in zip(expected, found, strict=True))
            parting = [parted(a, b) for a, b in zip(expected, found, strict=True) if a != b]
            print(
                f"| {kind} | {same} of {PROMPTS} | {same / PROMPTS:.0%} | {json.dumps(parting)} |"
            )
    return 0


def some_prompts() -> list[Prompt]:
    """Questions of cards that lie evenly in the starter deck, over what is found for them."""
    helper = build_assistant(Settings(profile="embedded"))
    cards = helper.retriever.cards
    asked = [cards[i].question for i in range(0, len(cards), len(cards) // PROMPTS)][:PROMPTS]
    return [grounded(q, [hit.card for hit in helper.retriever.hits(q)], 3) for q in asked]


def text(generator: Generator, prompt: Prompt, tokens: int) -> str:
    """Greedy text."""
    return "".join(generator.stream(prompt, Sampling(tokens), Event()))


def parted(expected: str, found: str) -> dict[str, Any]:
    """What each says from the first difference on."""
    at = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), 0)
    return {"at": at, "transformers": expected[at : at + 24], "llama.cpp": found[at : at + 24]}


if __name__ == "__main__":
    sys.exit(main())
