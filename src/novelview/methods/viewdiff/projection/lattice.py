"""What cameras alone decide: which pixels each voxel is seen at, and which voxels each ray passes.

Space is measured from the middle of the box in half lengths of its longest side ("half sides"), so that the box lies in the
cube from -1 to 1. The rows of the voxel grid follow each other along x, then y, then z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.intervals import linear_depths
from novelview.geometry.rays import Rays, intersect_box
from novelview.methods.chunks import rays_at_once
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.contraction import contract, expand, in_corner
from novelview.methods.viewdiff.projection.interpolation import Interpolation, multilinear

# Depths between which rays that miss the box are looked along, half sides.
MISSED = (0.5, 4.5)
# With a background, rays are looked along evenly so far before and behind the middle of the box, half sides.
REACH = 4.0
# Depth of voxels that a frame does not see, as networks are told.
UNSEEN_DEPTH = -10.0
# Least depth of a voxel in front of a camera.
_NEAREST = 1e-6
_FARTHEST = 1e5
# A GPU wants more work at once than a CPU, whose caches should hold what is worked on.
SAMPLES_AT_ONCE = {"cpu": 1 << 14, "cuda": 1 << 20}


@dataclass(frozen=True)
class Sight:
    """How the voxels of b groups are seen by those m frames of each that feed the grid.

    Attributes:
        lookup: from the pixels of these frames, row after row, to the voxels as each frame sees them.
        weight: 1 where the frame sees the voxel, else 0.
        ray: direction of the ray through the voxel, its depth along z 1 (world axes), and the voxel's depth, world units.
    """

    lookup: Interpolation
    weight: Float[Tensor, "b m v 1"]
    ray: Float[Tensor, "b m v 4"]

    def split(self, voxels: int) -> Iterator[Sight]:
        """One after the other, the same of so many voxels each; the last part may have fewer."""
        shape = self.weight.shape[:3]
        rows, shares = (each.unflatten(0, shape) for each in (self.lookup.rows, self.lookup.shares))
        parts = (each.split(voxels, dim=2) for each in (rows, shares, self.weight, self.ray))
        for row, share, weight, ray in zip(*parts, strict=True):
            lookup = Interpolation(row.flatten(0, 2), share.flatten(0, 2), self.lookup.table_rows)
            yield Sight(lookup, weight, ray)


@dataclass(frozen=True)
class Beam:
    """Some rays and the samples along them.

    Attributes:
        directions: world axes, depth along z 1.
        depths: of the samples along z, half sides.
        steps: between each sample and the one before, likewise.
        lookup: from the voxels of all groups to the samples, ray after ray.
    """

    directions: Float[Tensor, "r 3"]
    depths: Float[Tensor, "r s"]
    steps: Float[Tensor, "r s"]
    lookup: Interpolation


@dataclass(frozen=True)
class Lattice:
    """Everything that unprojection and rendering need of cameras.

    Attributes:
        sight: for the unprojection.
        beams: all rays: group after group, frame after frame, row after row.
    """

    sight: Sight
    beams: tuple[Beam, ...]


def lattice_of(
    cameras: GroupCameras, size: tuple[int, int], cells: int, fed: int, config: ProjectionConfig
) -> Lattice:
    """The lattice of cameras in float32, made when it is first asked for and kept with them.

    Args:
        cameras: of b groups.
        size: height and width of the features.
        cells: along each side of the voxel grid.
        fed: so many first frames of each group feed the grid.
        config: of the layer.
    """
    key = (size, cells, fed, config)
    return cameras.remember(key, lambda: _make(cameras, size, cells, fed, config))


@torch.no_grad()
def _make(
    cameras: GroupCameras, size: tuple[int, int], cells: int, fed: int, config: ProjectionConfig
) -> Lattice:
    height, width = size
    # What is first made in inference mode may be wanted for a gradient later.
    with torch.inference_mode(False), torch.autocast(cameras.device.type, enabled=False):
        seeing = [cameras.group(i).resized(width, height) for i in range(len(cameras))]
        directions = torch.stack([group.rays().directions.flatten(1, 2) for group in seeing])
        box = cameras.box.float()
        middle, scale = box.mean(dim=1), 2 / (box[:, 1] - box[:, 0]).amax(dim=-1)
        feeding = [group[:fed] for group in seeing]
        sight = _sight(feeding, directions[:, :fed], size, middle, scale, cells, config)
        if config.official_axes:
            middle = torch.zeros_like(middle)
        centres = torch.stack([group.centres for group in seeing])
        origins = (centres - middle[:, None]) * scale[:, None, None]
        rays = Rays(origins[:, :, None].expand_as(directions), directions)
        bounds = (box - middle[:, None]) * scale[:, None, None]
        return Lattice(sight, _beams(rays, bounds, cells, config))


def voxel_places(cells: int, config: ProjectionConfig) -> tuple[Float[Tensor, "v 3"], Bool[Tensor, " v"]]:
    """Middles of the voxels in half sides, and which voxels no place of space belongs to."""
    axis = (torch.arange(cells) + 0.5) / cells * 2 - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    if config.official_axes:
        # The authors store the voxels along y, x and z, and read them along z, y and x.
        x, y, z = y, z, x
    places = torch.stack([x, y, z], dim=-1).flatten(0, 2)
    if not config.background:
        return places, torch.zeros(len(places), dtype=torch.bool)
    official = config.official_contraction
    corner = in_corner(places, config.box_share, official=official)
    return expand(places, config.box_share, official=official), corner


def sample_depths(
    near: Float[Tensor, "*b"], far: Float[Tensor, "*b"], config: ProjectionConfig
) -> tuple[Float[Tensor, "*b s"], Float[Tensor, "*b s"]]:
    """Depths of samples, evenly from near to far and then evenly in disparity, and the steps from one to the next.

    Each step ends at its sample. The first is as long as the even ones; the first of the background begins at ``far``.
    """
    depths = linear_depths(near, far, config.samples)
    before = near - (far - near) / (config.samples - 1)
    if config.background:
        share = torch.arange(1, config.samples + 1, dtype=near.dtype, device=near.device) / config.samples
        beyond = far[..., None] / ((config.disparity_at_infinity - 1) * share + 1)
        depths = torch.cat([depths, beyond], dim=-1)
    return depths, depths.diff(dim=-1, prepend=before[..., None])


def _sight(
    feeding: list[Cameras],
    directions: Float[Tensor, "b m p 3"],
    size: tuple[int, int],
    middle: Float[Tensor, "b 3"],
    scale: Float[Tensor, " b"],
    cells: int,
    config: ProjectionConfig,
) -> Sight:
    """``middle`` and ``scale`` are of the boxes: their centres, and half sides per world unit."""
    height, width = size
    places, corner = (value.to(middle.device) for value in voxel_places(cells, config))
    found = [group.project(middle[i] + places / scale[i]) for i, group in enumerate(feeding)]
    pixels, depth = torch.stack([each[0] for each in found]), torch.stack([each[1] for each in found])
    visible = ((pixels >= 0) & (pixels <= pixels.new_tensor([width, height]))).all(dim=-1) & (
        depth >= _NEAREST
    )
    # In the authors' code, weight and depth of voxels that no place belongs to are those of some place.
    filled = visible & ~corner
    counted = visible if config.official_contraction else filled
    frame = torch.arange(depth[..., 0].numel(), device=depth.device).repeat_interleave(len(places))
    rows, shares = multilinear(
        pixels.flatten(0, 2) - 0.5, (width, height), filled.flatten(), frame * (height * width)
    )
    lookup = Interpolation(rows, shares, directions[..., 0].numel())
    direction = lookup(directions.flatten(0, 2)).view(*depth.shape, 3)
    ray = torch.cat([direction, torch.where(counted, depth, UNSEEN_DEPTH)[..., None]], dim=-1)
    return Sight(lookup, counted[..., None].to(ray), ray)


def _beams(
    rays: Rays, bounds: Float[Tensor, "b 2 3"], cells: int, config: ProjectionConfig
) -> tuple[Beam, ...]:
    """Beams of rays of shape (b, n, p), all lengths in half sides."""
    near, far = _bounds_of(rays, bounds, config)
    group = torch.arange(len(bounds), device=near.device)[:, None, None].expand_as(near).flatten()
    rays, near, far = rays.reshape(-1), near.flatten(), far.flatten()
    samples = config.samples * (2 if config.background else 1)
    count = max(1, rays_at_once(near.device, SAMPLES_AT_ONCE) // samples)
    beams = []
    for start in range(0, len(rays), count):
        chosen = slice(start, start + count)
        depths, steps = sample_depths(near[chosen], far[chosen], config)
        points = rays[chosen].at(depths).flatten(0, 1)
        if config.background:
            points = contract(points, config.box_share, official=config.official_contraction)
        nodes = (points + 1) / 2 * cells - 0.5
        inside = ((nodes >= 0) & (nodes < cells)).all(dim=-1)
        first = group[chosen].repeat_interleave(depths.shape[1]) * cells**3
        rows, shares = multilinear(nodes, (cells,) * 3, inside, first)
        lookup = Interpolation(rows, shares, len(bounds) * cells**3)
        beams.append(Beam(rays.directions[chosen], depths, steps, lookup))
    return tuple(beams)


def _bounds_of(rays: Rays, bounds: Tensor, config: ProjectionConfig) -> tuple[Tensor, Tensor]:
    """Depths between which rays of shape (b, n, p) are looked along evenly."""
    if config.background:
        distance = rays.origins.norm(dim=-1)
        return (distance - REACH).clamp(min=0), distance + REACH
    found = [intersect_box(rays[i], lower, upper) for i, (lower, upper) in enumerate(bounds)]
    # The authors look behind cameras that are inside the box.
    near = torch.stack([each[0] for each in found]).clamp(min=-_FARTHEST if config.official_axes else 0)
    far = torch.stack([each[1] for each in found]).clamp(max=_FARTHEST)
    met = far > near
    return torch.where(met, near, MISSED[0]), torch.where(met, far, MISSED[1])
