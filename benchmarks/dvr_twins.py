"""What DVR here is measured against: the plain way to draw a surface, and the plain way to learn it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.data.procedural.objects import make_object
from novelview.geometry.intervals import linear_depths
from novelview.geometry.rays import Rays
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.learning import cube_span
from novelview.random import generator_for

# The range in which the authors search rays that miss the cube, and half the side of the cube in which the others are.
BEYOND, HALF = (0.0, 2.4), 0.55
ITERATIONS = 8
# Points that the network is given at a time; the authors' default is 3.7 million.
AT_ONCE = 1 << 17


def fitted(name: str, width: int, steps: int) -> Decoder:
    """A decoder that knows a procedural object: ten times its signed distance, negated, and its colours."""
    solid, decoder = make_object(name, 0), _seeded(width)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = generator_for(0, "fitted", name)
    for _ in range(steps):
        # A third of the points far away, where rays go that miss the cube.
        points = torch.rand(3072, 3, generator=generator) - 0.5
        points = torch.cat([1.1 * points[:2048], 5 * points[2048:]])
        found = decoder(points)
        off = F.smooth_l1_loss(found[:, 0], 10 * solid.field(points).float().clamp(min=-1), beta=0.1)
        paint = F.l1_loss(torch.sigmoid(found[:2048, 1:]), solid.colour(points[:2048]).float())
        optimizer.zero_grad()
        (off + paint).backward()
        optimizer.step()
        schedule.step()
    return decoder.requires_grad_(False)


def _seeded(width: int) -> Decoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Decoder(width)


def jagged(width: int, sharpness: float = 20.0, filled: float = 0.02) -> Decoder:
    """A random decoder, steep and full of creases, that is inside in about that share of the cube."""
    decoder = _seeded(width)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        decoder.fc_p.weight.mul_(sharpness)
        decoder.fc_p.bias.uniform_(-sharpness, sharpness)
        for block in decoder.blocks:
            torch.nn.init.kaiming_normal_(block.fc_1.weight)
        values = decoder(2 * HALF * (torch.rand(20_000, 3) - 0.5))[:, 0]
        decoder.fc_out.bias[0] -= values.quantile(1 - filled)
    return decoder.requires_grad_(False)


def widened(small: Decoder, width: int) -> Decoder:
    """A wider network that computes the same function at the cost of any network of its size: the rest is zeros."""
    wide = Decoder(width, len(small.blocks))
    with torch.no_grad():
        for value, part in zip(wide.parameters(), small.parameters(), strict=True):
            value.zero_()
            value[tuple(slice(size) for size in part.shape)] = part
    return wide


@torch.no_grad()
def marched(decoder: Decoder, rays: Rays, samples: int) -> Tensor:
    """Colour, depth and hit of each ray as the authors' code finds them: (r, 5).

    All samples of all rays are asked, also behind the surface and beside the cube, and all rays are coloured.
    """
    near, far, _ = cube_span(rays, HALF, BEYOND)
    depths = linear_depths(near, far, samples)
    values = _asked(decoder, rays.at(depths).reshape(-1, 3))[:, 0].reshape(depths.shape)
    crosses = values[:, :-1] * values[:, 1:] < 0
    first = crosses.int().argmax(dim=-1, keepdim=True)
    low, high = depths.gather(-1, first)[:, 0], depths.gather(-1, first + 1)[:, 0]
    below, above = values.gather(-1, first)[:, 0], values.gather(-1, first + 1)[:, 0]
    hit = crosses.any(dim=-1) & (below < 0) & (values[:, 0] < 0)
    depth = torch.ones_like(near)
    depth[hit] = _secant(decoder, rays[hit], torch.stack([low, high, below, above])[:, hit])
    colours = torch.sigmoid(_asked(decoder, rays.point(depth))[:, 1:])
    rgb = torch.where(hit[:, None], colours, 1.0)
    return torch.cat([rgb, torch.where(hit, depth, 0.0)[:, None], hit[:, None].float()], dim=-1)


def _secant(decoder: Decoder, rays: Rays, bracket: Tensor) -> Tensor:
    low, high, below, above = bracket
    for _ in range(ITERATIONS):
        depth = low - below * (high - low) / (above - below)
        value = _asked(decoder, rays.point(depth))[:, 0]
        before = value < 0
        low, below = torch.where(before, depth, low), torch.where(before, value, below)
        high, above = torch.where(before, high, depth), torch.where(before, above, value)
    return low - below * (high - low) / (above - below)


def _asked(decoder: Decoder, points: Tensor) -> Tensor:
    return torch.cat([decoder(part) for part in points.split(AT_ONCE)])


def composited(decoder: Decoder, rays: Rays, samples: int) -> Tensor:
    """Colours that are differentiable in all samples of all rays: each is seen as far as it is inside and none before it is.

    The plain way to learn a surface; a backward pass through it keeps all samples. Shape (r, 3).
    """
    near, far, _ = cube_span(rays, HALF, BEYOND)
    points = rays.at(linear_depths(near, far, samples))
    found = decoder(points.reshape(-1, 3)).reshape(*points.shape[:2], 4)
    inside = torch.sigmoid(found[..., 0])
    passed = torch.cumprod(1 - inside, dim=-1) / (1 - inside)
    return ((inside * passed)[..., None] * torch.sigmoid(found[..., 1:])).sum(dim=1)
