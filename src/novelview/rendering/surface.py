"""Where rays meet an implicit surface, and how that place moves with it (Niemeyer et al., DVR, CVPR 2020, section 3).

The place is searched for without gradient; one evaluation there then gives the derivative by the implicit function
theorem. So what the backward pass keeps does not grow with the samples along a ray.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.geometry.intervals import linear_depths
from novelview.geometry.rays import Rays

Field: TypeAlias = Callable[[Float[Tensor, "p 3"]], Float[Tensor, " p"]]
"""An implicit surface: positive inside, negative outside. An occupancy's logit is one, and a negated signed distance."""

Empty: TypeAlias = Callable[[Float[Tensor, "*b 3"]], Bool[Tensor, "*b"]]
"""Where such a field is known to be negative without asking it: :class:`~novelview.rendering.empty_space.EmptySpace`."""

# Samples of a ray that are looked up at a time: what lies behind a surface is not.
_AT_ONCE = 8


@dataclass(frozen=True)
class Crossing:
    """Where rays first pass from outside to inside.

    Attributes:
        depth: ray parameter of that place; where there is none, infinite, and 0 where the ray begins inside.
        hit: whether there is one.
        inside: whether the ray's first sample is inside already; never together with ``hit``.
        deepest: where there is no such place, ray parameter of the sample at which the field is largest.
    """

    depth: Float[Tensor, " r"]
    hit: Bool[Tensor, " r"]
    inside: Bool[Tensor, " r"]
    deepest: Float[Tensor, " r"]


@torch.no_grad()
def first_crossing(
    field: Field,
    rays: Rays,
    near: Float[Tensor, " r"],
    far: Float[Tensor, " r"],
    *,
    samples: int,
    iterations: int = 8,
    points_at_once: int = 1 << 17,
    empty: Empty | None = None,
) -> Crossing:
    """Walk along rays to the first sample inside, and find the surface between it and the one before.

    Samples are even, both ends included. Rays that have arrived are asked no further, which changes nothing but the time.

    Args:
        field: asked for at most ``points_at_once`` points at a time.
        rays: directions of any length.
        near, far: ray parameters between which to look.
        samples: per ray, at least 2.
        iterations: of the secant method (regula falsi).
        points_at_once: bounds the memory.
        empty: samples there count as outside and are not asked, those at the ends of a crossing excepted; ``deepest`` then
            leaves them out. A ray on which one is found not to be outside is searched again without.
    """
    each = max(1, points_at_once // _AT_ONCE)
    walks = [
        _walk(field, rays[some], near[some], far[some], samples, empty)
        for some in torch.arange(len(rays), device=near.device).split(each)
    ]
    bracket, deepest = (torch.cat([walk[i] for walk in walks], dim=-1) for i in (0, 1))
    inside = torch.cat([walk[2] for walk in walks])
    hit = ~bracket[0].isnan()
    depth = torch.where(inside, 0.0, math.inf).to(near)
    place = torch.nonzero(hit)[:, 0]
    depth[place] = _secant(field, rays[place], bracket[:, place], iterations, points_at_once)
    return Crossing(depth, hit, inside, deepest)


def _walk(
    field: Field,
    rays: Rays,
    near: Float[Tensor, " r"],
    far: Float[Tensor, " r"],
    samples: int,
    empty: Empty | None,
) -> tuple[Float[Tensor, "4 r"], Float[Tensor, " r"], Bool[Tensor, " r"]]:
    """What :func:`_around_first` says of each ray, NaN where nothing is crossed; the deepest sample; what begins inside."""
    depths = linear_depths(near, far, samples)
    bracket, deepest = near.new_full((4, len(rays)), math.nan), near.clone()
    largest, inside = torch.full_like(near, -math.inf), torch.zeros_like(near, dtype=torch.bool)
    walking = torch.arange(len(rays), device=near.device)
    part = values = depths[:, :0]
    for begin in range(0, samples, _AT_ONCE):
        ahead = depths[walking, begin : begin + _AT_ONCE]
        found = _asked(field, rays[walking].at(ahead), empty)
        if begin == 0:
            inside = found[:, 0] >= 0
        part, values = torch.cat([part, ahead], dim=-1), torch.cat([values, found], dim=-1)
        best, which = values.max(dim=-1)
        deeper = best > largest[walking]
        largest[walking[deeper]] = best[deeper]
        deepest[walking[deeper]] = part.gather(-1, which[:, None])[deeper, 0]
        enters = (values[:, :-1] < 0) & (values[:, 1:] >= 0)
        begun = inside[walking]
        arrived = enters.any(dim=-1) & ~begun
        bracket[:, walking[arrived]] = _around_first(enters[arrived], part[arrived], values[arrived])
        onward = ~arrived & ~begun
        walking, part, values = walking[onward], part[onward, -1:], values[onward, -1:]
        if not len(walking):
            break
    if empty is not None:
        _make_exact(field, rays, near, far, samples, (bracket, deepest, inside))
    return bracket, deepest, inside


def _asked(field: Field, points: Float[Tensor, "r s 3"], empty: Empty | None) -> Float[Tensor, "r s"]:
    """The field, minus infinity where it is known to be negative."""
    if empty is None:
        return field(points.reshape(-1, 3)).reshape(points.shape[:-1])
    unknown = ~empty(points)
    found = torch.full_like(points[..., 0], -math.inf)
    found[unknown] = field(points[unknown]).to(points)
    return found


def _make_exact(
    field: Field,
    rays: Rays,
    near: Float[Tensor, " r"],
    far: Float[Tensor, " r"],
    samples: int,
    found: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Asks for what crossings begin with; rays on which it is not negative, as it should be, are walked in full."""
    bracket = found[0]
    unknown = torch.nonzero(bracket[2].isneginf())[:, 0]
    bracket[2, unknown] = field(rays[unknown].point(bracket[0, unknown])).to(bracket)
    wrong = unknown[~(bracket[2, unknown] < 0)]
    if len(wrong):
        again = _walk(field, rays[wrong], near[wrong], far[wrong], samples, None)
        for table, value in zip(found, again, strict=True):
            table[..., wrong] = value


def _around_first(
    enters: Bool[Tensor, "r gaps"], depths: Float[Tensor, "r s"], values: Float[Tensor, "r s"]
) -> Float[Tensor, "4 r"]:
    """Depth before and after the first crossing, and the field's values there."""
    first = enters.int().argmax(dim=-1, keepdim=True)
    ends = [table.gather(-1, first + step)[:, 0] for table in (depths, values) for step in (0, 1)]
    return torch.stack(ends)


def _secant(
    field: Field, rays: Rays, bracket: Float[Tensor, "4 r"], iterations: int, points_at_once: int
) -> Float[Tensor, " r"]:
    """The zero inside of each bracket: lower and upper depth, value at the lower (< 0) and at the upper (> 0)."""
    parts = []
    for some in torch.arange(len(rays), device=bracket.device).split(points_at_once):
        low, high, below, above = bracket[:, some]
        depth = _meet(low, high, below, above)
        for _ in range(iterations):
            value = field(rays[some].point(depth))
            before = value < 0
            low, below = torch.where(before, depth, low), torch.where(before, value, below)
            high, above = torch.where(before, high, depth), torch.where(before, above, value)
            depth = _meet(low, high, below, above)
        parts.append(depth)
    return torch.cat(parts) if parts else bracket[0]


def _meet(low: Tensor, high: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """Where the straight line between the ends of a bracket is zero."""
    return -below * (high - low) / (above - below) + low


class _ImplicitDepth(torch.autograd.Function):
    """Passes depths on; their gradient goes to the field's value at the surface (DVR, equations 8 to 10)."""

    @staticmethod
    def forward(ctx: Any, depth: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return depth.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (slope,) = ctx.saved_tensors
        return None, -gradients[0] / slope, None


def implicit_depth(
    field: Field, rays: Rays, depth: Float[Tensor, " r"], *, floor: float = 1e-3, keep_sign: bool = True
) -> Float[Tensor, " r"]:
    """The same depths, differentiable in all that the field depends on: f(o + t d) = 0 gives dt = -df / (grad f . d).

    One evaluation of the field per ray, and so as much memory; nothing flows to the rays. Gradients of first order only.

    Args:
        field: differentiable in its points and in whatever else it depends on.
        rays: that hit the surface, and only these.
        depth: where, from :func:`first_crossing`.
        floor: smallest slope along a ray that is divided by, so that grazing rays do not outvote all others.
        keep_sign: False gives slopes below the floor a positive sign, as the authors' code does.
    """
    points = rays.point(depth.detach()).detach().requires_grad_()
    with torch.enable_grad():
        value = field(points)
        (gradient,) = torch.autograd.grad(value.sum(), points, retain_graph=True)
    slope = (gradient * rays.directions).sum(dim=-1)
    least = torch.full_like(slope, floor)
    least = least.copysign(slope) if keep_sign else least
    return _ImplicitDepth.apply(depth.detach(), value, torch.where(slope.abs() < floor, least, slope))


def outward_normals(
    field: Field, points: Float[Tensor, "p 3"], *, step: float | None = None
) -> Float[Tensor, "p 3"]:
    """Unit vectors away from the inside.

    Args:
        field: positive inside.
        points: where; no gradient flows to them.
        step: distance of the two points of a central difference along each axis, world units, in which case the result is
            differentiable in all that the field depends on; None: the exact gradient, without that.
    """
    if step is None:
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(field(points).sum(), points)
    else:
        gradient = central_differences(field, points.detach(), step)
    return -F.normalize(gradient, dim=-1, eps=1e-5)


def central_differences(field: Field, points: Float[Tensor, "p 3"], step: float) -> Float[Tensor, "p 3"]:
    """Gradient of the field, from six values around each point that are ``step / 2`` away."""
    aside = step / 2 * torch.eye(3, dtype=points.dtype, device=points.device)
    around = torch.stack([points[:, None] + aside, points[:, None] - aside])
    values = field(around.reshape(-1, 3)).reshape(2, len(points), 3)
    return (values[0] - values[1]) / step
