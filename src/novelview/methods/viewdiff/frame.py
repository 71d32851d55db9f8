"""Between the world of a scene and that of the network: the subject in [-1, 1]^3, its up direction -z."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import Similarity, invert
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.types import Bounds

# z up becomes z down by half a turn about x.
_UPRIGHT = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))


def to_network(bounds: Bounds, turn: float = 0.0) -> Similarity:
    """From scene coordinates, z up, to the network's: the box's middle at the origin, its longest side 2.

    Args:
        bounds: of the scene.
        turn: of the subject about the vertical, radians.
    """
    low, high = torch.tensor(bounds.box_min), torch.tensor(bounds.box_max)
    scale = 2 / float((high - low).max())
    sine, cosine = torch.sin(torch.tensor(turn)), torch.cos(torch.tensor(turn))
    about = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    rotation = torch.tensor(_UPRIGHT) @ about
    return Similarity(scale, rotation, -scale * rotation @ ((low + high) / 2))


def network_cameras(cameras: Sequence[Cameras], frames: Sequence[Similarity]) -> GroupCameras:
    """Cameras of groups as the network reads them.

    Args:
        cameras: of each group, all of one size and without distortion, in scene coordinates.
        frames: from each scene's coordinates to the network's.
    """
    width, height = cameras[0].common_size
    moved = [each.moved(frame) for each, frame in zip(cameras, frames, strict=True)]
    poses = torch.stack([_square(invert(each.camera_to_world)) for each in moved])
    intrinsics = torch.stack([_matrices(each) for each in moved])
    box = torch.tensor([[-1.0] * 3, [1.0] * 3]).expand(len(poses), 2, 3)
    return GroupCameras(poses, intrinsics, width, height, box)


def squared(cameras: Cameras, size: int) -> Cameras:
    """Square cameras of ``size`` pixels that see all that cameras of one size see, which is in their middle."""
    width, height = cameras.common_size
    side = max(width, height)
    return cameras.cropped(-((side - width) // 2), -((side - height) // 2), side, side).resized(size, size)


def middle_of(images: Float[Tensor, "f 3 p p"], width: int, height: int) -> Float[Tensor, "f h w 3"]:
    """What cameras of width x height see of pictures by their :func:`squared` ones."""
    side = max(width, height)
    if side != images.shape[-1]:
        images = F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (side - height) // 2, (side - width) // 2
    return images[..., top : top + height, left : left + width].movedim(1, -1)


def _square(poses: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 4 4"]:
    last = poses.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(poses), 1, 4)
    return torch.cat([poses, last], dim=1)


def _matrices(cameras: Cameras) -> Float[Tensor, "n 3 3"]:
    """Intrinsics of pixels whose centres have integer coordinates."""
    fx, fy, cx, cy = cameras.intrinsics.unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = [fx, zero, cx - 0.5, zero, fy, cy - 0.5, zero, zero, one]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
