"""The bricks of the network: each a residual on what it is given."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class PixelNorm(nn.Module):
    """RMSNorm over the channels of each place (Zhang & Sennrich, 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        scale = torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-6)
        return x * scale * self.gain[:, None, None]


class Residual(nn.Module):
    """x + conv(gelu(conv(norm(x)))), 3x3.

    Args:
        channels: width.
        branches: residual branches of the network, by whose root the last weight is divided at first (GPT-2).
    """

    def __init__(self, channels: int, branches: int) -> None:
        super().__init__()
        self.norm = PixelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = _last(nn.Conv2d(channels, channels, 3, padding=1), branches)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.second(F.gelu(self.first(self.norm(x))))


class Queries(nn.Module):
    """How well each input view answers what each cell asks (equation 5); the views' features are the keys as they are."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = PixelNorm(channels)
        self.query = nn.Conv2d(channels, heads * channels, 1, bias=False)

    def forward(
        self, cells: Float[Tensor, "n c h w"], views: Float[Tensor, "n m c h w"]
    ) -> Float[Tensor, "n k m h w"]:
        """Logits per head ``k`` and view ``m``."""
        query = self.query(self.norm(cells)).unflatten(1, (self.heads, -1)) / math.sqrt(views.shape[2])
        # Products of thousands of tiny matrices are many times slower than sums of products.
        return torch.stack([(each[:, None] * views).sum(dim=2) for each in query.unbind(1)], dim=1)


class OneToMany(nn.Module):
    """Attention of each cell to what the input views say about it (equations 5 to 10, appendix A).

    The views' features are keys and values at once: what standard attention multiplies them with is folded into the
    query's and the output's weights, so that nothing is multiplied per view.
    """

    def __init__(self, channels: int, heads: int, branches: int) -> None:
        super().__init__()
        self.queries = Queries(channels, heads)
        self.output = _last(nn.Conv2d(heads * channels, channels, 1), branches)

    def forward(
        self,
        cells: Float[Tensor, "n c h w"],
        views: Float[Tensor, "n m c h w"],
        say: Float[Tensor, "n m h w"],
    ) -> Float[Tensor, "n c h w"]:
        """Cells with what they found added; ``say`` is added to the logits: low for views that do not see a cell."""
        share = (self.queries(cells, views) + say[:, None]).softmax(dim=2)
        found = torch.stack([(each[:, :, None] * views).sum(dim=1) for each in share.unbind(1)], dim=1)
        return cells + self.output(found.flatten(1, 2))


class FusionGroup(nn.Module):
    """Attention to the views, then convolutions within each layer (figure 3d)."""

    def __init__(self, channels: int, heads: int, convolutions: int, branches: int) -> None:
        super().__init__()
        self.attention = OneToMany(channels, heads, branches)
        self.convolutions = nn.Sequential(*(Residual(channels, branches) for _ in range(convolutions)))

    def forward(
        self,
        cells: Float[Tensor, "n c h w"],
        views: Float[Tensor, "n m c h w"],
        say: Float[Tensor, "n m h w"],
    ) -> Float[Tensor, "n c h w"]:
        result: Tensor = self.convolutions(self.attention(cells, views, say))
        return result


class Update(nn.Module):
    """An input view's features, told how the layers look from its camera (figure 3b)."""

    def __init__(self, channels: int, appearance: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + appearance, channels, 3, padding=1)
        self.second, self.third, self.fourth = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))

    def forward(
        self,
        features: Float[Tensor, "n c h w"],
        rendered: Float[Tensor, "n a h w"],
        rays: Float[Tensor, "n c h w"],
    ) -> Float[Tensor, "n c h w"]:
        x = features + self.second(F.gelu(self.first(torch.cat([features, rendered], dim=1))))
        return x + self.fourth(F.gelu(self.third(x))) + rays


class Collapse(nn.Module):
    """Pairs of neighbouring layers merged into one: their mean, and what a small network adds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 1), nn.GELU(), nn.Conv2d(2 * channels, channels, 1)
        )

    def forward(self, cells: Float[Tensor, "b l c h w"]) -> Float[Tensor, "b k c h w"]:
        pairs = cells.unflatten(1, (-1, 2))
        added = self.branch(pairs.flatten(0, 1).flatten(1, 2))
        return pairs.mean(dim=2) + added.unflatten(0, pairs.shape[:2])


class Encoder(nn.Module):
    """Photographs to features at several resolutions, each half the next.

    Args:
        channels: width.
        blocks: residual blocks per level.
        levels: number of levels.
    """

    def __init__(self, channels: int, blocks: int, levels: int) -> None:
        super().__init__()
        depth = levels * blocks
        self.stem = nn.Conv2d(12, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Residual(channels, depth) for _ in range(blocks))) for _ in range(levels)
        )
        self.out = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(levels))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Tensor]:
        """Features of images in [0, 1], the finest of half their resolution; the coarsest first."""
        x, features = self.stem(F.pixel_unshuffle(2 * images - 1, 2)), []
        for i, (blocks, out) in enumerate(zip(self.blocks, self.out, strict=True)):
            x = blocks(F.avg_pool2d(x, 2) if i else x)
            features.append(out(x))
        return features[::-1]


def _last(layer: nn.Conv2d, branches: int) -> nn.Conv2d:
    """The last layer of a residual branch: small at first, so that many branches do not add up to too much."""
    with torch.no_grad():
        layer.weight.div_(math.sqrt(branches))
        assert layer.bias is not None
        layer.bias.zero_()
    return layer
