"""The transformer block of LVSM: pre-norm, no bias anywhere, queries and keys normalised per head.

Letters in shapes: b sequences, n or m tokens, a heads, c channels of one head, d channels of a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.lvsm.relative import Places

EPSILON = 1e-5
Heads = Float[Tensor, "b a n c"]
KeysValues = tuple[Float[Tensor, "b a m c"], Float[Tensor, "b a m c"]]


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

    def keys_values(self, tokens: Float[Tensor, "b n d"], places: Places | None) -> KeysValues:
        """What these tokens show to others: keys and values, carried to the frame that all views share."""
        key, value = (self._heads(part) for part in self._project(tokens, 1, 3))
        key = self.k_norm(key)
        return (key, value) if places is None else (places.show(key), places.show(value))

    def forward(
        self,
        tokens: Float[Tensor, "b n d"],
        places: Places | None = None,
        kept: KeysValues | None = None,
    ) -> Float[Tensor, "b n d"]:
        query, key, value = (self._heads(part) for part in self._project(tokens, 0, 3))
        query, key = self.q_norm(query), self.k_norm(key)
        if places is not None:
            query, key, value = places.ask(query), places.show(key), places.show(value)
        if kept is not None:
            key, value = (torch.cat(pair, dim=2) for pair in zip(kept, (key, value), strict=True))
        found = F.scaled_dot_product_attention(query, key.to(query.dtype), value.to(query.dtype))
        if places is not None:
            found = places.take(found)
        return self.fc(rearrange(found, "b h n c -> b n (h c)"))

    def _project(self, tokens: Tensor, first: int, last: int) -> Sequence[Tensor]:
        """Queries (0), keys (1) and values (2) from ``first`` up to ``last``."""
        width = tokens.shape[-1]
        weight = self.to_qkv.weight[first * width : last * width]
        return F.linear(tokens, weight).chunk(last - first, dim=-1)

    def _heads(self, part: Float[Tensor, "b n d"]) -> Heads:
        return rearrange(part, "b n (h c) -> b h n c", c=self.head_width)


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
    ) -> Float[Tensor, "b n d"]:
        """The tokens after the block.

        Args:
            tokens: of one sequence each.
            places: where they stand, for positions relative to one another.
            kept: keys and values of other tokens, from :meth:`keys_values` of this block.
        """
        tokens = tokens + self.attn(self.norm1(tokens), places, kept)
        return tokens + self.mlp(self.norm2(tokens))

    def keys_values(self, tokens: Float[Tensor, "b n d"], places: Places | None) -> KeysValues:
        """What tokens that enter this block show to others."""
        return self.attn.keys_values(self.norm1(tokens), places)


def norm(width: int) -> nn.LayerNorm:
    """LayerNorm with a weight and no bias."""
    return nn.LayerNorm(width, eps=EPSILON, bias=False)


def stack(layers: int, width: int, head_width: int) -> nn.ModuleList:
    """Blocks whose i-th has weights of standard deviation 0.02 / sqrt(2 (i + 1))."""
    blocks = nn.ModuleList(Block(width, head_width) for _ in range(layers))
    for i, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02 / (2 * (i + 1)) ** 0.5)
    return blocks
