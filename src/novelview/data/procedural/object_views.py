"""Masked views of a solid whose surface is known, by sphere tracing (Hart 1996), and points on that surface."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import rigs
from novelview.data.procedural.objects import SolidObject, make_object
from novelview.data.scene import Scene
from novelview.errors import ConfigError, import_extra
from novelview.geometry.rays import Rays, intersect_box
from novelview.geometry.triangles import sample_surface
from novelview.random import generator_for
from novelview.rendering.surface import Field, first_crossing, outward_normals
from novelview.types import Bounds, Views

DISTANCE = 2.2
"""Of the cameras from the origin, world units."""
FIELD_OF_VIEW = 38.0
"""Of the cameras, degrees: every camera sees all of a ball of radius 0.64, which objects rarely leave."""

_WHITE = (1.0, 1.0, 1.0)
# A ray has arrived where the distance is below this: what float32 resolves at the distance of the cameras.
_ARRIVED = 2e-6
# Rays that graze a surface take short steps. The few that still do after so many go on by even samples, between which no
# ray dips deeper than what float32 resolves into a surface as round as a ball of radius 0.1.
_STEPS, _SAMPLES = 128, 1024
# Rays at a time, which bounds the memory.
_CHUNK = 1 << 17
# Where the light of shaded views comes from, and the share that comes from everywhere.
_LIGHT, _AMBIENT = (0.4, -0.5, 0.77), 0.35


def object_scene(
    name: str,
    seed: int = 0,
    *,
    views: int = 24,
    size: int = 128,
    test_every: int = 8,
    supersample: int = 2,
    upper: bool = False,
    shaded: bool = False,
) -> Scene:
    """A solid in the unit cube before white, seen from all around, with masks and depths; determined by its arguments.

    Args:
        name: one of :data:`~novelview.data.procedural.objects.OBJECTS`.
        seed: draws colours, cameras and, of a "chair" or a "shape", the shape.
        views: number of views, held-out ones included.
        size: image width and height in pixels.
        test_every: every so many views one is held out, from between the others; 0: none.
        supersample: colours and masks are the mean over this many squared rays per pixel.
        upper: cameras stand only above the horizon.
        shaded: a lamp, fixed in the world, instead of a surface that looks the same in every light.

    Raises:
        ConfigError: there is no such object, or a number makes no sense.
    """
    arguments = dict(locals())
    if views < 1 or size < 1 or test_every < 0 or test_every == 1 or supersample < 1:
        raise ConfigError(
            "This scene of an object cannot be made",
            why=f"views {views}, size {size}, test_every {test_every}, supersample {supersample}",
            cure="at least 1 view, 1 pixel, supersample 1, and test_every 0 or at least 2",
        )
    solid = make_object(name, seed)
    cameras = orbit_cameras(views, size, seed, upper=upper)
    everything = render_object(solid, cameras, supersample=supersample, shaded=shaded)
    held_out = [i for i in range(views) if test_every and i % test_every == test_every // 2]
    radius = math.hypot(*(max(-low, high) for low, high in zip(solid.box_min, solid.box_max, strict=True)))
    return Scene(
        name=solid.name,
        train=everything[[i for i in range(views) if i not in set(held_out)]],
        test=everything[held_out],
        bounds=Bounds(
            near=0.99 * (DISTANCE - radius),
            far=1.01 * (DISTANCE + radius),
            box_min=solid.box_min,
            box_max=solid.box_max,
            unbounded=False,
            background=_WHITE,
        ),
        origin={"procedural_object": arguments},
    )


def orbit_cameras(views: int, size: int, seed: int, *, upper: bool = False) -> Cameras:
    """Square cameras around the origin, evenly spread over all directions or those above the horizon, with jitter."""
    poses = rigs.orbit(
        views,
        1.0,
        generator_for(seed, "object-cameras"),
        distance=(DISTANCE, DISTANCE),
        elevation=(5.0 if upper else -80.0, 80.0),
    )
    focal = size / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    return Cameras.pinhole(poses, torch.tensor([focal, focal, size / 2, size / 2]), size, size)


@torch.no_grad()
def render_object(
    solid: SolidObject, cameras: Cameras, *, supersample: int = 2, shaded: bool = False
) -> Views:
    """Views of a solid before white. Depths are those of pixel centres; masks say how much of a pixel is covered."""
    width, height = cameras.common_size
    parts = []
    for i in range(len(cameras)):
        centres = cameras[i].rays().reshape(-1)
        fine = cameras[i].resized(width * supersample, height * supersample).rays().reshape(-1)
        # Both at once: few long tensors cost less than many short ones.
        origins = torch.cat([centres.origins, fine.origins])
        seen = _seen(solid, Rays(origins, torch.cat([centres.directions, fine.directions])), shaded)
        centre = seen[: len(centres)].view(height, width, 5)
        several = seen[len(centres) :].view(height, supersample, width, supersample, 5)
        parts.append(torch.cat([several.mean(dim=(1, 3))[..., :4], centre[..., 4:]], dim=-1))
    shown = torch.stack(parts)
    return Views.from_tensors(cameras, shown[..., :3], shown[..., 3], shown[..., 4])


def _seen(solid: SolidObject, rays: Rays, shaded: bool) -> Float[Tensor, "r 5"]:
    """Colour, whether there is something, and depth, 0 where nothing is."""
    lower, upper = (rays.origins.new_tensor(corner) for corner in (solid.box_min, solid.box_max))
    out = rays.origins.new_tensor([*_WHITE, 0.0, 0.0]).repeat(len(rays), 1)
    for some in torch.arange(len(rays)).split(_CHUNK):
        depth = sphere_trace(solid.field, rays[some], *intersect_box(rays[some], lower, upper))
        hit, depth = some[depth.isfinite()], depth[depth.isfinite()]
        points = rays[hit].point(depth)
        colour = solid.colour(points)
        if shaded:
            colour = lit(solid, points, colour)
        out[hit] = torch.cat([colour, torch.ones_like(depth)[:, None], depth[:, None]], dim=-1)
    return out


def lit(
    solid: SolidObject, points: Float[Tensor, "p 3"], colour: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 3"]:
    """Colours of points on the surface under a lamp that is fixed in the world."""
    light = F.normalize(points.new_tensor(_LIGHT), dim=0)
    facing = (outward_normals(solid.field, points) @ light).clamp_min(0)
    return colour * (_AMBIENT + (1 - _AMBIENT) * facing[:, None])


@torch.no_grad()
def sphere_trace(
    field: Field, rays: Rays, near: Float[Tensor, " r"], far: Float[Tensor, " r"]
) -> Float[Tensor, " r"]:
    """Ray parameters at which rays first meet a surface, infinite where they do not.

    Args:
        field: positive inside, in size never more than the distance to the surface.
        rays: directions of any length.
        near: ray parameter to begin at, outside of the solid; where it is NaN, a ray meets nothing.
        far: ray parameter to end at.
    """
    found = torch.full_like(near, math.inf)
    walking = torch.nonzero(near < far)[:, 0]
    depth = near[walking]
    for _ in range(_STEPS):
        some = rays[walking]
        gap = -field(some.origins + depth[:, None] * some.directions)
        arrived = gap < _ARRIVED
        found[walking[arrived]] = depth[arrived]
        depth = depth + gap / some.directions.norm(dim=-1)
        onward = ~arrived & (depth < far[walking])
        walking, depth = walking[onward], depth[onward]
        if not len(walking):
            return found
    crossing = first_crossing(field, rays[walking], depth, far[walking], samples=_SAMPLES)
    # By rounding, the last step may have led inside.
    found[walking] = torch.where(crossing.inside, depth, crossing.depth)
    return found


def surface_points(
    solid: SolidObject, count: int, generator: torch.Generator, *, cells: int = 96
) -> tuple[Float[Tensor, "p 3"], Float[Tensor, "p 3"]]:
    """Points on the true surface with outward normals, in float64.

    They are drawn evenly from the area of a fine mesh (marching cubes) and then moved onto the surface by Newton's
    method along the field's gradient. So each is exact to rounding where the surface is smooth, while their density is that
    of the mesh, which within a cell of sharp edges is a little lower than the surface's.

    Args:
        solid: what is sampled.
        count: number of points.
        generator: of the points, on the CPU.
        cells: of the lattice of the mesh, along the longest edge of the solid's box.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    vertices, faces = _mesh(solid, cells)
    points, _ = sample_surface(vertices, faces, count, generator)
    for _ in range(8):
        points.requires_grad_()
        value = solid.field(points)
        (gradient,) = torch.autograd.grad(value.sum(), points)
        step = value[:, None] * gradient / gradient.square().sum(dim=-1, keepdim=True).clamp_min(1e-12)
        points = (points - step).detach()
    return points, outward_normals(solid.field, points)


def _mesh(solid: SolidObject, cells: int) -> tuple[Float[Tensor, "v 3"], Tensor]:
    """Marching cubes of the field over the solid's box, one cell wider on every side."""
    lower, upper = np.array(solid.box_min), np.array(solid.box_max)
    step = float((upper - lower).max()) / cells
    counts = np.ceil((upper - lower) / step).astype(int) + 3
    axes = [
        torch.as_tensor(start + step * (np.arange(n) - 1)) for start, n in zip(lower, counts, strict=True)
    ]
    with torch.no_grad():
        lattice = torch.cartesian_prod(*axes)
        values = torch.cat([solid.field(part) for part in lattice.split(1 << 17)])
    volume = values.view(*counts.tolist()).numpy()
    vertices, faces, _, _ = import_extra("skimage.measure", "mesh").marching_cubes(
        volume, 0.0, spacing=(step, step, step)
    )
    corner = lattice[0]
    return torch.as_tensor(vertices.astype(np.float64)) + corner, torch.as_tensor(faces.astype(np.int64))
