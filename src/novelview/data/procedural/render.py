"""Colour, depth, normals and masks of a procedural world, by exact ray casting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.solids import Solids, first_hit, occluded
from novelview.data.procedural.textures import Textures, albedo
from novelview.geometry.rays import Rays

# Large enough to keep the processor busy, small enough that temporaries stay in its cache.
_CHUNK = 16_384


@dataclass(frozen=True)
class World:
    """Everything a ray can meet.

    Attributes:
        solids: shapes and places.
        textures: one appearance per solid.
        light: position of the light that casts shadows.
        fill: direction towards a second, shadowless light; unit length.
        ambient: share of light that comes from everywhere.
        background: colour of rays that meet nothing.
    """

    solids: Solids
    textures: Textures
    light: Float[Tensor, " 3"]
    fill: Float[Tensor, " 3"]
    ambient: float
    background: Float[Tensor, " 3"]


@dataclass(frozen=True)
class Rendered:
    """Pixels of ``n`` views.

    Attributes:
        rgb: colours in [0, 1].
        depth: along z at the pixel centre, 0 where the ray meets nothing.
        normals: world coordinates, unit length, at the pixel centre; 0 where the ray meets nothing.
        mask: share of the pixel that shows a solid.
    """

    rgb: Float[Tensor, "n h w 3"]
    depth: Float[Tensor, "n h w"]
    normals: Float[Tensor, "n h w 3"]
    mask: Float[Tensor, "n h w"]


def render(world: World, cameras: Cameras, supersample: int = 1) -> Rendered:
    """Render a world; every pixel's colour is the mean over ``supersample``² rays, depth and normal its centre's."""
    width, height = cameras.common_size
    centre = _trace_all(world, cameras.rays())
    rgb, mask = centre[:, :3], centre[:, 7]
    if supersample > 1:
        fine = cameras.resized(width * supersample, height * supersample)
        shape = (len(cameras), height, supersample, width, supersample, 8)
        pixels = _trace_all(world, fine.rays()).view(shape).mean(dim=(2, 4)).view(-1, 8)
        rgb, mask = pixels[:, :3], pixels[:, 7]
    shape3, shape1 = (len(cameras), height, width, 3), (len(cameras), height, width)
    return Rendered(
        rgb=rgb.reshape(shape3),
        depth=centre[:, 3].reshape(shape1),
        normals=centre[:, 4:7].reshape(shape3),
        mask=mask.reshape(shape1),
    )


def _trace_all(world: World, rays: Rays) -> Float[Tensor, "n 8"]:
    """Colour (3), depth, normal (3) and hit of every ray, chunk by chunk."""
    flat = rays.reshape(-1)
    return torch.cat([_trace(world, flat[i : i + _CHUNK]) for i in range(0, len(flat), _CHUNK)])


def _trace(world: World, rays: Rays) -> Float[Tensor, "n 8"]:
    depth, which = first_hit(world.solids, rays.origins, rays.directions)
    out = rays.origins.new_zeros(len(rays), 8)
    out[:, :3] = world.background
    hit = depth.isfinite().nonzero()[:, 0]
    if hit.numel() == 0:
        return out
    depth, which, directions = depth[hit], which[hit], rays.directions[hit]
    points = rays.origins[hit] + depth[:, None] * directions
    normals = world.solids.normals(points, which)
    rgb = shade(world, points, normals, directions, which)
    out[hit] = torch.cat([rgb, depth[:, None], normals, torch.ones_like(depth)[:, None]], dim=1)
    return out


def shade(
    world: World,
    points: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    which: Tensor,
) -> Float[Tensor, "n 3"]:
    """Lambert with a shadowed key light and a fill light, plus a Blinn-Phong highlight that moves with the view."""
    solids, textures = world.solids, world.textures
    local = solids.local(points, which) * solids.scale[which]
    colour = albedo(textures, local, which)
    to_light = world.light - points
    lifted = points + 2e-3 * normals
    lit = (~occluded(solids, lifted, world.light - lifted)).to(points.dtype)
    light = torch.nn.functional.normalize(to_light, dim=-1)
    key = (normals * light).sum(-1).clamp_min(0) * lit
    fill = (normals * world.fill).sum(-1).clamp_min(0)
    diffuse = world.ambient + (1 - world.ambient) * (0.8 * key + 0.2 * fill)
    half = torch.nn.functional.normalize(light - torch.nn.functional.normalize(directions, dim=-1), dim=-1)
    glint = (normals * half).sum(-1).clamp_min(0) ** textures.shininess[which]
    highlight = textures.specular[which] * glint * lit
    return (colour * diffuse[:, None] + highlight[:, None]).clamp(0, 1)
