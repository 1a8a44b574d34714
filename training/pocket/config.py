"""What the small Llama is made of: its shape, what it reads, and how it is trained."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from training.pocket.heads import ROPE_THETA


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shape(_Config):
    """The size of the Llama."""

    vocabulary: int = 8192
    hidden: int = 320
    feed_forward: int = 896
    layers: int = 6
    heads: int = 5
    context: int = 2048  # tokens

    def llama(self) -> Any:
        """The configuration as transformers reads it."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            head_dim=64,
            max_position_embeddings=self.context,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
            rms_norm_eps=1e-5,
            bos_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=False,
            initializer_range=0.02,
        )


class Mixture(_Config):
    """Which rows, in which shares."""

    shares: dict[str, float] = {
        "gold": 0.55,
        "hand": 0.06,
        "absent": 0.22,
        "closed": 0.1,
        "book": 0.07,
    }
    cards: tuple[float, ...] = (0.15, 0.35, 0.5)  # weights of one, two, three cards in a prompt
    everyday: float = 0.3  # share of questions asked as people ask them
    read_prompts: float = 0.2  # share of chats whose prompt counts in the loss, too
    max_tokens: int = 512
    page_tokens: int = 320  # of a textbook


class Schedule(_Config):
    """Warm-up, constant, decay (Hu et al., 2024, https://arxiv.org/abs/2404.06395)."""

    learning_rate: float = 1e-3
    warmup: int = Field(default=60, ge=0)  # steps
    decay: float = 0.25  # share of the steps
    batch_tokens: int = 2048
    context_weight: float = 0.2  # of a prompt's or a book's token against an answer's
    # Of an answer's first token, which decides what is answered, or that nothing is: one among
    # eighty that merely go on.
    opening_weight: float = 10.0
    z_loss: float = 1e-4
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    validation_rows: int = 256
