"""Every sequence in one frame: upright, its object in the cube from -1 to 1 about the origin (ViewDiff, data preparation).

Where ViewDiff's own preparation leaves the sign of the up direction to chance, here z is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import up_direction
from novelview.cameras.cameras import Cameras
from novelview.errors import DataError
from novelview.geometry.rigid import Similarity

# Cosine of the widest angle (60 degrees) between the normal of the cameras' plane and their up direction: cameras in an
# upright arc, or on a line, have a plane that says nothing of what is up.
_LEVEL = 0.5
_OUTLIERS = 0.49  # A larger share on either side would leave nothing.


@dataclass(frozen=True)
class Recentring:
    """The way from a sequence's world to the common frame.

    Attributes:
        motion: from the sequence's world.
        box: lower and upper corner of the object in the common frame; its middle is the origin, its largest side 2.
        level: whether up is the normal of the plane in which the cameras stand; else it is their own up.
    """

    motion: Similarity
    box: Float[Tensor, "2 3"]
    level: bool


def recentring(cameras: Cameras, points: Float[Tensor, "p 3"], outliers: float = 0.0) -> Recentring:
    """The frame of a sequence: z along the normal of the cameras' plane on the side of their up, x where they spread most.

    The axes are those of the singular value decomposition of the camera centres about their mean; the rotation is proper.

    Args:
        cameras: at least two, OpenCV axes.
        points: of the object, world frame of the cameras; those that are not finite are left out.
        outliers: share of the points that may lie outside the box, on each of its six sides.

    Raises:
        DataError: there are too few points, or they have no extent.
    """
    points = points[points.isfinite().all(dim=-1)].double()
    if len(points) < 2 or not 0 <= outliers < _OUTLIERS:
        raise DataError(
            "The point cloud has no extent", why=f"{len(points)} finite points, outliers {outliers:g}"
        )
    centres = cameras.centres.double()
    mean = centres.mean(dim=0)
    rotation, level = _axes(centres - mean, up_direction(cameras).double())
    order = ((points - mean) @ rotation.T).sort(dim=0).values
    cut = int(outliers * (len(order) - 1))
    lower, upper = order[cut], order[len(order) - 1 - cut]
    side = float((upper - lower).max())
    if not side > 0:
        raise DataError("The point cloud has no extent", why="all its points are in one place")
    scale, middle = 2 / side, (lower + upper) / 2
    motion = Similarity(scale, rotation, -scale * (rotation @ mean + middle))
    return Recentring(motion, torch.stack([lower - middle, upper - middle]) * scale, level)


def _axes(offsets: Float[Tensor, "n 3"], up: Float[Tensor, " 3"]) -> tuple[Float[Tensor, "3 3"], bool]:
    """The rows of the rotation, and whether the plane of the cameras decided."""
    widest, second, normal = torch.linalg.svd(offsets.T @ offsets).Vh
    level = bool((normal @ up).abs() >= _LEVEL)
    vertical = normal * (1 if normal @ up >= 0 else -1) if level else up
    across = [axis - vertical * (vertical @ axis) for axis in (widest, second)]
    # Cameras on an upright line spread in no other direction.
    first = F.normalize(across[0] if float(across[0].norm()) > 1e-3 else across[1], dim=0)
    # Decompositions leave signs open: the first camera has a positive x.
    first = first if offsets[0] @ first >= 0 else -first
    return torch.stack([first, torch.linalg.cross(vertical, first), vertical]), level
