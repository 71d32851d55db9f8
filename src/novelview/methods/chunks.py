"""Pictures of methods that answer rays one by one, a bounded number of rays at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rays import Rays


def rays_at_once(device: torch.device, sizes: Mapping[str, int]) -> int:
    """How many rays suit a device; what suits "cuda" suits all that is not listed."""
    return sizes.get(device.type, sizes["cuda"])


def look_through(
    camera: Cameras, device: torch.device, at_once: int, look: Callable[[Rays], Float[Tensor, "r c"]]
) -> Float[Tensor, "h w c"]:
    """What ``look`` answers for the rays of every pixel of one camera, on the device of the camera.

    Args:
        camera: one.
        device: where ``look`` wants its rays.
        at_once: most rays that it is given at a time: bounds memory, not the result.
        look: from rays in scene coordinates to colours and whatever else.
    """
    width, height = camera.common_size
    rays = camera.rays().reshape(-1)
    chunks = [rays[start : start + at_once] for start in range(0, len(rays), at_once)]
    pixels = torch.cat([look(chunk.to(device)) for chunk in chunks])
    return pixels.reshape(height, width, -1).to(camera.device)
