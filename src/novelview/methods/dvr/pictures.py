"""Pictures of a shape, and where in the scene its cube lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rays import Rays
from novelview.methods.chunks import look_through, rays_at_once
from novelview.methods.dvr.config import SearchConfig
from novelview.methods.dvr.learning import search
from novelview.methods.dvr.shape import Shape
from novelview.rendering.empty_space import EmptySpace
from novelview.surface import ImplicitSurface
from novelview.types import Bounds, Frames

WHITE = (1.0, 1.0, 1.0)
RAYS_AT_ONCE = {"cpu": 16_384, "cuda": 65_536}
# Empty space is looked for where rays have so many times more samples than that asks for.
WORTH = 4


@dataclass(frozen=True)
class Cube:
    """Where the unit cube around the origin lies in a scene, and what is behind it.

    Attributes:
        centre: scene units.
        scale: cube units per scene unit.
        background: colour.
    """

    centre: tuple[float, float, float]
    scale: float
    background: tuple[float, float, float]

    @staticmethod
    def around(bounds: Bounds) -> Cube:
        """The smallest one that holds the scene's box."""
        spans = list(zip(bounds.box_min, bounds.box_max, strict=True))
        x, y, z = ((low + high) / 2 for low, high in spans)
        return Cube((x, y, z), 1 / max(high - low for low, high in spans), bounds.background or WHITE)

    @staticmethod
    def unit(background: tuple[float, float, float] | None) -> Cube:
        """That of the scene's own coordinates."""
        return Cube((0.0, 0.0, 0.0), 1.0, background or WHITE)

    def points(self, points: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """Points of the scene in the cube's coordinates."""
        return (points - torch.tensor(self.centre, device=points.device)) * self.scale

    def rays(self, rays: Rays) -> Rays:
        """Rays of the scene in the cube's coordinates; their parameter stays depth along z, scene units."""
        return Rays(self.points(rays.origins), rays.directions * self.scale)


def surface_of(shape: Shape, cube: Cube, config: SearchConfig, device: torch.device) -> ImplicitSurface:
    """The shape in scene coordinates, as far as it is searched for; coloured as seen along its normals."""
    half = config.half / cube.scale
    x, y, z = cube.centre

    def field(points: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
        return shape.field(cube.points(points)) / cube.scale

    def colour(points: Float[Tensor, "p 3"], normals: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        return shape.colour(cube.points(points), -normals)

    lower, upper = (x - half, y - half, z - half), (x + half, y + half, z + half)
    return ImplicitSurface(field, colour, lower, upper, device)


@torch.no_grad()
def render_shape(
    shape: Shape, cube: Cube, cameras: Cameras, config: SearchConfig, device: torch.device
) -> Frames:
    """Colour, depth and hits of every pixel; only what is hit is coloured, and empty space is looked for once."""
    at_once, frames = rays_at_once(device, RAYS_AT_ONCE), []
    empty = _empty_space(shape, cameras, config, device)
    look = partial(_pixels, shape=shape, cube=cube, config=config, empty=empty)
    for i in range(len(cameras)):
        pixels = look_through(cameras[i], device, at_once, look)[None]
        frames.append(Frames(pixels[..., :3], pixels[..., 3], pixels[..., 4]))
    return Frames.concatenate(frames)


def _empty_space(
    shape: Shape, cameras: Cameras, config: SearchConfig, device: torch.device
) -> EmptySpace | None:
    """What need not be searched of the cube; None where that is not wanted, or finding out would cost too much."""
    samples = int(cameras.sizes.prod(dim=-1).sum()) * config.render_samples
    if not config.skip_cells or samples < WORTH * (config.skip_cells + 1) ** 3:
        return None
    corner = torch.full((3,), config.half, device=device)
    return EmptySpace.of(shape.field, -corner, corner, cells=config.skip_cells)


def _pixels(
    rays: Rays, *, shape: Shape, cube: Cube, config: SearchConfig, empty: EmptySpace | None
) -> Float[Tensor, "r 5"]:
    """Colour, depth along z and opacity."""
    rays = cube.rays(rays)
    found = search(shape, rays, config, config.render_samples, empty)
    hit, depth = found.hit, torch.where(found.hit, found.depth, 0.0)
    rgb = torch.tensor(cube.background, device=depth.device).expand(len(rays), 3).clone()
    rgb[hit] = shape.colour(rays[hit].point(depth[hit]), rays.directions[hit])
    return torch.cat([rgb, depth[:, None], hit[:, None].to(rgb)], dim=-1)
