"""Attention over all frames of a group, and over text, with low-rank branches that see the camera (ViewDiff, section 3.2).

These are processors of diffusers' ``Attention``, which keeps the base model's weights. Names of modules are those of the
authors' checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.viewdiff.conditions import Conditions
from novelview.methods.viewdiff.config import AttentionConfig


class LowRank(nn.Module):
    """Linear map of low rank that is 0 at first, of features and of what is the same for all tokens of a frame."""

    def __init__(self, features: int, shared: int, outputs: int, rank: int) -> None:
        super().__init__()
        self.features = features
        self.down = nn.Linear(features + shared, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)
        if not self.down.weight.is_meta:
            nn.init.normal_(self.down.weight, std=1 / rank)
            nn.init.zeros_(self.up.weight)

    def forward(
        self, features: Float[Tensor, "f s c"], shared: Float[Tensor, "f k"] | None = None
    ) -> Float[Tensor, "f s o"]:
        if shared is None:
            return self.up(self.down(features))
        # The matrix in two parts, so that what all tokens share is neither repeated nor multiplied for each of them.
        of_features, of_shared = self.down.weight.split([self.features, shared.shape[1]], dim=1)
        low = F.linear(features, of_features) + F.linear(shared.to(features.dtype), of_shared)[:, None]
        return self.up(low)


class _Branched(nn.Module, ABC):
    """A processor whose queries, keys, values and outputs have low-rank branches.

    diffusers looks at the signature of ``__call__`` to see what a processor wants to be told.
    """

    def __init__(self, attention: Attention, shared: int, rank: int) -> None:
        super().__init__()
        if rank:
            queries, keys, inner = attention.query_dim, attention.cross_attention_dim, attention.inner_dim
            self.to_q_lora = LowRank(queries, shared, inner, rank)
            self.to_k_lora = LowRank(keys, shared, inner, rank)
            self.to_v_lora = LowRank(keys, shared, inner, rank)
            self.to_out_lora = LowRank(inner, 0, queries, rank)
        self.rank = rank

    @abstractmethod
    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        conditions: Conditions,
    ) -> Tensor:
        """What attention adds to the tokens ``hidden_states`` (f, s, c)."""

    def projected(
        self, attn: Attention, tokens: Tensor, sources: Tensor, shared: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of ``tokens``, keys and values of ``sources``, each (f, heads, s, d)."""
        query, key, value = attn.to_q(tokens), attn.to_k(sources), attn.to_v(sources)
        if self.rank and shared is not None:
            query = query + self.to_q_lora(tokens, shared)
            key = key + self.to_k_lora(sources, shared)
            value = value + self.to_v_lora(sources, shared)
        return tuple(each.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for each in (query, key, value))

    def gathered(self, attn: Attention, heads: Tensor, shared: Tensor | None) -> Tensor:
        """Of (f, heads, s, d) what the layer returns, (f, s, c)."""
        tokens = heads.transpose(1, 2).flatten(2)
        found = attn.to_out[0](tokens)
        if self.rank and shared is not None:
            found = found + self.to_out_lora(tokens)
        return attn.to_out[1](found) / attn.rescale_output_factor


class FrameAttention(_Branched):
    """Self-attention of a block of diffusers, over the tokens of all frames of a group."""

    def __init__(self, attention: Attention, time_width: int, config: AttentionConfig) -> None:
        super().__init__(attention, config.values + config.time_features, config.rank)
        self.frames, self.itself = config.frames, config.itself
        self.time_features = config.time_features
        if config.rank and config.time_features:
            half = time_width // 2
            self.temb_proj = nn.Sequential(
                nn.Linear(time_width, half), nn.ELU(), nn.Linear(half, config.time_features), nn.ELU()
            )
        if config.frames == "gated":
            self.gate = nn.Parameter(torch.zeros(attention.heads))

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        conditions: Conditions,
    ) -> Tensor:
        shared = self._shared(conditions)
        query, key, value = self.projected(attn, hidden_states, hidden_states, shared)
        if self.frames == "own":
            seen = F.scaled_dot_product_attention(query, key, value, scale=attn.scale)
        else:
            seen = self._joint(query, key, value, attn.scale, conditions)
        if self.frames == "gated":
            own = F.scaled_dot_product_attention(query, key, value, scale=attn.scale)
            seen = own + self.gate.tanh()[:, None, None] * (seen - own)
        return self.gathered(attn, seen, shared)

    def _shared(self, conditions: Conditions) -> Tensor | None:
        if not self.rank or conditions.vectors is None:
            return None
        if not self.time_features:
            return conditions.vectors
        return torch.cat([conditions.vectors, self.temb_proj(conditions.time)], dim=-1)

    def _joint(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, conditions: Conditions
    ) -> Float[Tensor, "f heads s d"]:
        """Each token's attention to those of all frames of its group; of so many frames' tokens at a time as wanted."""
        count, length = conditions.frames, query.shape[2]
        query, key, value = (_grouped(each, count) for each in (query, key, value))
        at_once = min(conditions.frames_at_once or count, count)
        parts = []
        for first in range(0, count, at_once):
            frames = range(first, min(first + at_once, count))
            some = query[:, :, first * length : (frames[-1] + 1) * length]
            mask = None if self.itself or count == 1 else _others(frames, count, length, query.device)
            parts.append(F.scaled_dot_product_attention(some, key, value, attn_mask=mask, scale=scale))
        joined = torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]
        return joined.unflatten(2, (count, length)).transpose(1, 2).flatten(0, 1)


class TextAttention(_Branched):
    """Attention of a block of diffusers to the text, that is told the camera too."""

    def __init__(self, attention: Attention, config: AttentionConfig) -> None:
        super().__init__(attention, config.values, config.rank)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        conditions: Conditions,
    ) -> Tensor:
        assert encoder_hidden_states is not None
        shared = conditions.vectors if self.rank else None
        query, key, value = self.projected(attn, hidden_states, encoder_hidden_states, shared)
        mask = None if attention_mask is None else attention_mask[:, None]
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=attn.scale)
        return self.gathered(attn, seen, shared)


def _grouped(tokens: Float[Tensor, "f heads s d"], frames: int) -> Float[Tensor, "b heads ns d"]:
    return tokens.unflatten(0, (-1, frames)).transpose(1, 2).flatten(2, 3)


def _others(frames: range, count: int, length: int, device: torch.device) -> Tensor:
    """Whether tokens of some frames may see tokens of all, which they may where the frame is another."""
    of_query = torch.arange(frames[0], frames[-1] + 1, device=device).repeat_interleave(length)
    of_key = torch.arange(count, device=device).repeat_interleave(length)
    return of_query[:, None] != of_key[None]
