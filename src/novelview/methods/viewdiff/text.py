"""Prompts as sequences of vectors: by Stable Diffusion's encoder, or by a small one of words it learnt."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import ConfigError

_WORD = re.compile(r"[^\W_]+")


class TextEncoder(nn.Module, ABC):
    """What makes vectors of prompts."""

    @abstractmethod
    def forward(self, prompts: Sequence[str]) -> Float[Tensor, "k l d"]:
        """One sequence for each prompt; all of the same length. An empty prompt is the one of guidance.

        Raises:
            ConfigError: a prompt that the encoder cannot read.
        """


@dataclass(frozen=True)
class WordsConfig:
    """A small text encoder that learns with the U-Net."""

    words: tuple[str, ...] = ()
    """All that it can read."""
    width: int = 128
    """Of the vectors."""
    length: int = 16
    """Most words of a prompt."""
    layers: int = 2
    """Transformer layers."""
    heads: int = 4
    """Of their attention."""


class WordEncoder(TextEncoder):
    """A transformer over the words of a small vocabulary; no mask: what follows a prompt's end is a word too."""

    def __init__(self, config: WordsConfig) -> None:
        super().__init__()
        self._numbers = {word: i + 1 for i, word in enumerate(config.words)}
        self.length = config.length
        self.words = nn.Embedding(len(config.words) + 1, config.width)
        self.places = nn.Parameter(0.02 * torch.randn(config.length, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            4 * config.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, prompts: Sequence[str]) -> Float[Tensor, "k l d"]:
        numbers = torch.tensor([self._read(prompt) for prompt in prompts], device=self.places.device)
        return self.norm(self.layers(self.words(numbers) + self.places))

    def _read(self, prompt: str) -> list[int]:
        """Numbers of a prompt's words, 0 for what follows them."""
        words = _WORD.findall(prompt.lower())
        unknown = [word for word in words if word not in self._numbers]
        if unknown:
            near = difflib.get_close_matches(unknown[0], self._numbers, n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise ConfigError(
                f"This model does not know the word {unknown[0]!r}{hint}",
                why=f"it was trained on a small vocabulary: {', '.join(sorted(self._numbers))}",
                cure='use these words, for example "a red torus and a blue box"',
            )
        if len(words) > self.length:
            raise ConfigError(
                f"This prompt has {len(words)} words, the model reads at most {self.length}",
                cure="say it shorter",
            )
        return [self._numbers[word] for word in words] + [0] * (self.length - len(words))


class ClipEncoder(TextEncoder):
    """Stable Diffusion's text encoder, which does not learn."""

    def __init__(self, tokenizer: Any, encoder: nn.Module) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        # Some bases store it in half precision, and all else here is float32.
        self.encoder = encoder.float().requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, prompts: Sequence[str]) -> Float[Tensor, "k l d"]:
        longest = self._tokenizer.model_max_length
        for prompt, numbers in zip(prompts, self._tokenizer(list(prompts)).input_ids, strict=True):
            if len(numbers) > longest:
                raise ConfigError(
                    f"This prompt has {len(numbers)} tokens, the model reads at most {longest}",
                    where=prompt,
                    cure="say it shorter",
                )
        tokens = self._tokenizer(list(prompts), padding="max_length", max_length=longest, return_tensors="pt")
        return self.encoder(tokens.input_ids.to(next(self.encoder.parameters()).device))[0]
