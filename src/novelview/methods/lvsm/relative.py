"""Positions relative to one another: projective position encoding (PRoPE; Li et al., NeurIPS 2025, 2507.10496).

Half of each head's channels, in fours, are multiplied by the camera's 4x4 projection; the others are turned in pairs,
half of them by the patch's column and half by its row. In attention only projections from one camera to another and
differences of columns and rows remain: no world frame, and no parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras

BASE = 100.0


@dataclass(frozen=True)
class Places:
    """Where the patches of the views of each sequence stand, view after view, row of patches after row.

    Attributes:
        project: per view, from the world, in homogeneous coordinates, to the image in parts of its size from its middle.
        lift: the inverse.
        cos, sin: of the angles by which a patch's pairs of channels are turned, the same for every view.
    """

    project: Float[Tensor, "b v 4 4"]
    lift: Float[Tensor, "b v 4 4"]
    cos: Float[Tensor, "n a"]
    sin: Float[Tensor, "n a"]

    @staticmethod
    def of(cameras: list[Cameras], patch: int, head_width: int, device: torch.device) -> Places:
        """Of as many cameras for every sequence, all of one size.

        Args:
            cameras: one entry per sequence.
            patch: side of a patch in pixels.
            head_width: channels of one attention head, a multiple of 8.
            device: where to.
        """
        width, height = cameras[0].common_size
        rows, columns = torch.meshgrid(
            torch.arange(height // patch), torch.arange(width // patch), indexing="ij"
        )
        frequency = BASE ** (-torch.arange(head_width // 8) / (head_width // 8))
        angle = torch.cat([axis.flatten()[:, None] * frequency for axis in (columns, rows)], dim=1)
        lift = torch.stack([_lift(each) for each in cameras])
        tables = torch.linalg.inv(lift).float(), lift.float(), angle.cos(), angle.sin()
        return Places(*(table.to(device) for table in tables))

    def one_by_one(self) -> Places:
        """Every view as a sequence of its own."""
        return replace(
            self, project=self.project.flatten(0, 1)[:, None], lift=self.lift.flatten(0, 1)[:, None]
        )

    def before_each(self, targets: Places) -> Places:
        """For every target a sequence of its own: these views, then the target."""
        own, count = targets.one_by_one(), targets.lift.shape[1]
        pairs = (self.project, own.project), (self.lift, own.lift)
        project, lift = (
            torch.cat([repeat(m, "b v i j -> (b t) v i j", t=count), one], 1) for m, one in pairs
        )
        return replace(self, project=project, lift=lift)

    def ask(self, queries: Float[Tensor, "b a n c"]) -> Float[Tensor, "b a n c"]:
        """Queries, so that their products with shown keys depend on relative positions alone."""
        return self._apply(queries, self.project.mT, self.sin)

    def show(self, heads: Float[Tensor, "b a n c"]) -> Float[Tensor, "b a n c"]:
        """Keys or values, carried from their view's frame to the shared one."""
        return self._apply(heads, self.lift, self.sin)

    def take(self, found: Float[Tensor, "b a n c"]) -> Float[Tensor, "b a n c"]:
        """What attention found, carried from the shared frame to that of the asking view."""
        return self._apply(found, self.project, -self.sin)

    def _apply(self, heads: Tensor, matrix: Tensor, sin: Tensor) -> Tensor:
        # Projections of far cameras lose too many digits in half precision.
        with torch.autocast(heads.device.type, enabled=False):
            seen, placed = heads.float().chunk(2, dim=-1)
            batch, views = matrix.shape[:2]
            fours = seen.reshape(batch, heads.shape[1], views, -1, 4)
            seen = (fours @ matrix.mT[:, None]).reshape(seen.shape)
            first, second = placed.chunk(2, dim=-1)
            cos, sin = self.cos.repeat(views, 1), sin.repeat(views, 1)
            parts = [seen, first * cos - second * sin, first * sin + second * cos]
            return torch.cat(parts, dim=-1).to(heads.dtype)


def _lift(cameras: Cameras) -> Float[Tensor, "v 4 4"]:
    """From points of the image, in parts of its size from its middle, times depth, to the world; in double precision."""
    pose = torch.eye(4, dtype=torch.float64).repeat(len(cameras), 1, 1)
    inner = pose.clone()
    pose[:, :3] = cameras.camera_to_world.double()
    inner[:, :3, :3] = cameras.relative_intrinsics().double()
    inner[:, :2, 2] -= 0.5
    return pose @ torch.linalg.inv(inner)
