"""The transformer block of LVSM: pre-norm, no bias anywhere, queries and keys normalised per head.

Letters in shapes: b sequences, n or m tokens, a heads, c channels of one head, d channels of a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.lvsm.attention import attend
from novelview.methods.lvsm.relative import Places

EPSILON = 1e-5
Heads = Float[Tensor, "b a n c"]
Shown = tuple[Heads, Heads]  # Keys and values of the tokens that are at hand,
KeysValues = tuple[Float[Tensor, "b a m c"], Float[Tensor, "b a m c"]]  # and of others.


class HeadNorm(nn.Module):
    """RMS norm of each head's channels in float32, with one weight per channel that all heads share."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(head_width))

    def forward(self, heads: Heads) -> Heads:
        wide = heads.float()
        scale = (wide.square().mean(dim=-1, keepdim=True) + EPSILON).rsqrt()
        return (wide * scale).to(heads.dtype) * self.weight.to(heads.dtype)


class Attention(nn.Module):
    """Softmax attention of tokens to themselves and, where given, to keys and values made before."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.fc = nn.Linear(width, width, bias=False)
        self.q_norm = HeadNorm(head_width)
        self.k_norm = HeadNorm(head_width)

    def keys_values(self, tokens: Float[Tensor, "b n d"], places: Places | None) -> Shown:
        """What these tokens show to others: keys and values, carried to the frame that all views share."""
        key, value = self._project(tokens, 1, 3)
        return self._shown(key, value, places)

    def forward(
        self,
        tokens: Float[Tensor, "b n d"],
        places: Places | None = None,
        kept: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "b n d"], Shown]:
        """What the tokens found, and what they show to others."""
        query, key, value = self._project(tokens, 0, 3)
        query, shown = self.q_norm(query), self._shown(key, value, places)
        seen = shown
        if kept is not None:
            seen = (torch.cat([kept[0], shown[0]], dim=2), torch.cat([kept[1], shown[1]], dim=2))
        if places is not None:
            query = places.ask(query)
        found = attend(query, *seen)
        if places is not None:
            found = places.take(found)
        return self.fc(rearrange(found, "b a n c -> b n (a c)")), shown

    def _shown(self, key: Heads, value: Heads, places: Places | None) -> Shown:
        key = self.k_norm(key)
        if places is not None:
            return places.show(key), places.show(value)
        # Not a view of the projection: what a block in shards gives away must be its own.
        return key, value.contiguous()

    def _project(self, tokens: Float[Tensor, "b n d"], first: int, last: int) -> list[Heads]:
        """Queries (0), keys (1) and values (2) from ``first`` up to ``last``, in heads."""
        width = tokens.shape[-1]
        parts = F.linear(tokens, self.to_qkv.weight[first * width : last * width]).chunk(last - first, dim=-1)
        return [rearrange(part, "b n (a c) -> b a n c", c=self.head_width) for part in parts]


class Feedforward(nn.Module):
    """Two linear maps with an exact GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Official checkpoints number these maps 0 and 2.
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
        )

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.mlp(tokens)


class Block(nn.Module):
    """x + attention(norm(x)), then x + feedforward(norm(x)) (LVSM, appendix)."""

    entrances = ("keys_values",)

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.norm1 = norm(width)
        self.attn = Attention(width, head_width)
        self.norm2 = norm(width)
        self.mlp = Feedforward(width)

    def forward(
        self,
        tokens: Float[Tensor, "b n d"],
        places: Places | None = None,
        kept: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "b n d"], Shown]:
        """The tokens after the block, and the keys and values that they showed to others in it.

        Args:
            tokens: of one sequence each.
            places: where they stand, for positions relative to one another.
            kept: keys and values of other tokens in this block.
        """
        found, shown = self.attn(self.norm1(tokens), places, kept)
        tokens = tokens + found
        return tokens + self.mlp(self.norm2(tokens)), shown

    def keys_values(self, tokens: Float[Tensor, "b n d"], places: Places | None) -> Shown:
        """What tokens that enter this block would show to others."""
        return self.attn.keys_values(self.norm1(tokens), places)


def norm(width: int) -> nn.LayerNorm:
    """LayerNorm with a weight and no bias."""
    return nn.LayerNorm(width, eps=EPSILON, bias=False)


def deviation(width: int) -> float:
    """Standard deviation of new weights: 0.02 at the published width, and as much in what they add at any other."""
    return 0.02 * (768 / width) ** 0.5


def stack(layers: int, width: int, head_width: int) -> nn.ModuleList:
    """Blocks whose i-th has weights of standard deviation ``deviation(width)`` / sqrt(2 (i + 1))."""
    blocks = nn.ModuleList(Block(width, head_width) for _ in range(layers))
    for i, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=deviation(width) / (2 * (i + 1)) ** 0.5)
    return blocks
