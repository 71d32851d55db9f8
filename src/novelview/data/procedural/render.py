"""Colour, depth, normals and masks of a procedural world, by exact ray casting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.intersect import first_hit, shadowed
from novelview.data.procedural.solids import Solids, dot, unit
from novelview.data.procedural.textures import Textures

# Rays at a time: enough to make light of the cost of a call, few enough that no temporary reaches 32 MB, from where
# on memory must be fetched from the system anew each time.
CHUNK = 65_536


@dataclass(frozen=True)
class World:
    """Everything a ray can meet.

    Attributes:
        solids: shapes and places.
        textures: one appearance per solid.
        light: position of the light that casts shadows.
        light_colour: its strength per channel, linear.
        fill: direction towards a second, shadowless light; unit length.
        fill_strength: its strength, linear.
        ambient: light that comes from everywhere, a little more of it from above; linear.
        background: colour of rays that meet nothing, sRGB.
    """

    solids: Solids
    textures: Textures
    light: Float[Tensor, " 3"]
    light_colour: Float[Tensor, " 3"]
    fill: Float[Tensor, " 3"]
    fill_strength: float
    ambient: float
    background: Float[Tensor, " 3"]

    def to(self, device: torch.device | str) -> World:
        return World(
            solids=self.solids.to(device),
            textures=self.textures.to(device),
            light=self.light.to(device),
            light_colour=self.light_colour.to(device),
            fill=self.fill.to(device),
            fill_strength=self.fill_strength,
            ambient=self.ambient,
            background=self.background.to(device),
        )


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


def render(world: World, cameras: Cameras, supersample: int = 1, chunk: int = CHUNK) -> Rendered:
    """Render a world, on the device where it and the cameras are; not differentiable.

    Every pixel's colour is the mean over ``supersample``² rays, its depth and normal those of its centre. A view's
    pixels do not depend on ``chunk`` nor on the other views.
    """
    with torch.no_grad():
        views = [_render_view(world, cameras[i], supersample, chunk) for i in range(len(cameras))]
    rgb, depth, normals, mask = (torch.stack(channel) for channel in zip(*views, strict=True))
    return Rendered(rgb, depth, normals, mask)


def _render_view(world: World, camera: Cameras, supersample: int, chunk: int) -> tuple[Tensor, ...]:
    width, height = camera.common_size
    centre = _trace(world, camera, chunk)
    rgb, mask = centre[:3], centre[7]
    if supersample > 1:
        fine = _trace(world, camera.resized(width * supersample, height * supersample), chunk)
        pixels = fine.view(8, height, supersample, width, supersample).mean(dim=(2, 4)).flatten(1)
        rgb, mask = pixels[:3], pixels[7]
    image, plane = (3, height, width), (height, width)
    return (
        rgb.reshape(image).permute(1, 2, 0).contiguous(),
        centre[3].reshape(plane),
        centre[4:7].reshape(image).permute(1, 2, 0).contiguous(),
        mask.reshape(plane),
    )


def _trace(world: World, camera: Cameras, chunk: int) -> Float[Tensor, "8 n"]:
    """Colour (3), depth, normal (3) and hit of every pixel."""
    directions = camera.rays().directions.reshape(-1, 3).T
    parts = [
        _trace_chunk(world, camera.centres[0], part.contiguous()) for part in directions.split(chunk, dim=1)
    ]
    return torch.cat(parts, dim=1)


def _trace_chunk(world: World, origin: Tensor, directions: Tensor) -> Tensor:
    depth, which = first_hit(world.solids, origin, directions)
    missed = torch.cat([world.background, world.background.new_zeros(5)])
    out = missed[:, None].repeat(1, depth.shape[0])
    hit = depth.isfinite().nonzero()[:, 0]
    if len(hit) == 0:
        return out
    depth, which, directions = depth[hit], which[hit], directions[:, hit]
    points = origin[:, None] + depth * directions
    rgb, normals = shade(world, points, directions, which)
    out[:, hit] = torch.cat([rgb, depth[None], normals, torch.ones_like(depth)[None]])
    return out


def shade(
    world: World, points: Float[Tensor, "3 n"], directions: Float[Tensor, "3 n"], which: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "3 n"], Float[Tensor, "3 n"]]:
    """Colours and normals of surface points seen along ``directions``.

    Lambert with a shadowed key light, a fill light and ambient light, plus a Blinn-Phong highlight that moves with
    the view; light adds up linearly, and a gamma of 2 stands for sRGB.
    """
    local, normals = world.solids.surface(points, which)
    albedo, specular, shininess = world.textures.surface(local, which)
    to_light = unit(world.light[:, None] - points)
    key = dot(normals, to_light).clamp_min(0)
    facing = (key > 0).nonzero()[:, 0]
    key[facing] *= ~shadowed(world.solids, points[:, facing], world.light)
    fill = dot(normals, world.fill).clamp_min(0) * world.fill_strength
    sky = world.ambient * (0.8 + 0.2 * normals[2])
    half = unit(to_light - unit(directions))
    # Not a power: on a CPU its last bit depends on where in the tensor a number stands, as a sigmoid's does.
    glint = specular * torch.exp(shininess * dot(normals, half).clamp_min(1e-6).log()) * (key > 0)
    key_light = world.light_colour[:, None]
    linear = albedo**2 * (sky + fill + key_light * key) + key_light * glint
    return linear.clamp(0, 1).sqrt(), normals
