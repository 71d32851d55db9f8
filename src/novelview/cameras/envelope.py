"""Where else a camera could have stood: poses drawn from what the cameras of a capture span.

An envelope is fitted to real cameras and turns uniform numbers into poses, which makes a drawing a pure function. The
forms here are the two that R2L (ECCV 2022) published, for objects and for forward-facing captures, and one for walks
through a room; :mod:`novelview.cameras.shell` has the one for cameras that look at one thing from many sides.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import average_pose
from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import to_opengl
from novelview.cameras.selection import spread_views
from novelview.errors import CameraError
from novelview.geometry.rigid import compose, invert, look_at, nearest_rotation, so3_exp

# Poses worked out at a time, so that memory does not grow with their number.
_AT_ONCE = 1024


class Envelope(ABC):
    """Poses that a capture's cameras could have had as well. Abstract; every subclass is final.

    Attributes:
        name: one word for people.
        numbers: how many uniform numbers make one pose.
        zoom: range of the factor on focal lengths that belongs to the form.

    Raises:
        CameraError: there is no camera.
    """

    name: ClassVar[str]
    numbers: ClassVar[int]
    zoom: ClassVar[tuple[float, float]] = (1.0, 1.0)

    def __init__(self, cameras: Cameras) -> None:
        if not len(cameras):
            raise CameraError("Without a camera there is nothing to draw others from")
        self._cameras = cameras

    @abstractmethod
    def draw(self, draws: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 4"]:
        """Camera-to-world poses, OpenCV axes, of ``numbers`` uniform numbers in [0, 1] each; in float64."""

    def cameras(
        self, count: int, generator: torch.Generator, zoom: tuple[float, float] | None = None
    ) -> Cameras:
        """Cameras without distortion, all of the median image size, with the principal point in the middle.

        Each has the focal length of a real camera, so that it sees as much along the diagonal, times a factor.

        Args:
            count: how many.
            generator: on the CPU.
            zoom: range of that factor, at least 1 to see no more than the real camera; None: that of the form.

        Raises:
            CameraError: no camera is asked for, or a factor that is not positive.
        """
        low, high = self.zoom if zoom is None else zoom
        if count < 1 or not 0 < low <= high < math.inf:
            raise CameraError(
                f"Cannot draw {count} cameras with a zoom of {low:g} to {high:g}",
                cure="draw at least one, with factors 0 < lowest <= highest",
            )
        draws = torch.rand(count, self.numbers + 2, generator=generator, dtype=torch.float64)
        poses = torch.cat([self.draw(part) for part in draws[:, 2:].split(_AT_ONCE)])
        real = self._cameras.to("cpu")
        size = real.sizes.double().median(dim=0).values.round()
        chosen = pick(draws[:, 0], len(real))
        smaller = size.norm() / real.sizes[chosen].double().norm(dim=-1, keepdim=True)
        factor = smaller * (low + (high - low) * draws[:, 1:2])
        focal = real.intrinsics[chosen, :2].double() * factor
        seen = torch.cat([focal, (size / 2).expand(count, 2)], dim=-1).to(real.intrinsics)
        return Cameras.pinhole(poses.to(real.camera_to_world), seen, int(size[0]), int(size[1]))


class Hemisphere(Envelope):
    """The upper half of a sphere around the origin, z up: R2L's cameras for NeRF's synthetic scenes.

    Azimuth and elevation are uniform, so that cameras crowd around the pole (R2L's code; Efficient-NeRF).

    Args:
        cameras: give the intrinsics.
        radius: published as 4, which belongs to the frame in which those scenes are stored.
    """

    name = "hemisphere"
    numbers = 2
    zoom = (1.0, 2.0)

    def __init__(self, cameras: Cameras, radius: float = 4.0) -> None:
        super().__init__(cameras)
        if not 0 < radius < math.inf:
            raise CameraError(f"A hemisphere cannot have the radius {radius:g}", cure="give a positive one")
        self._radius = radius

    def draw(self, draws: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 4"]:
        turn, height = draws.double().unbind(dim=-1)
        # The authors count azimuth from the y axis, clockwise.
        azimuth = math.pi / 2 - math.pi * (2 * turn - 1)
        return on_sphere(azimuth, math.pi / 2 * (1 - height), torch.full_like(turn, self._radius))


class Box(Envelope):
    """Positions and viewing directions within 1.1 times their range along each axis of the mean camera.

    R2L's form for cameras that all look the same way. As published, it does not zoom.
    """

    name = "box"
    numbers = 6

    # How much larger the boxes are than what the cameras span.
    _LARGER = 1.1
    # Smallest part of a viewing direction along the mean one: cameras of other captures might look sideways.
    _LEAST = 0.05

    def __init__(self, cameras: Cameras) -> None:
        super().__init__(cameras)
        poses = cameras.to("cpu").camera_to_world.double()
        self._mean = average_pose(cameras.to("cpu")).double()
        # The authors count along axes right, up, back, of the mean camera and of each.
        local = compose(invert(to_opengl(self._mean[None])), to_opengl(poses))
        self._up = local[:, :, 1].mean(dim=0)
        spans = torch.cat([local[:, :, 3], local[:, :, 2]], dim=-1)
        self._middle = (spans.amax(dim=0) + spans.amin(dim=0)) / 2
        self._reach = self._LARGER * (spans.amax(dim=0) - spans.amin(dim=0)) / 2

    def draw(self, draws: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 4"]:
        drawn = self._middle + self._reach * (2 * draws.double() - 1)
        position, (x, y, back) = drawn[:, :3], drawn[:, 3:].unbind(dim=-1)
        ahead = -torch.stack([x, y, back.clamp(min=self._LEAST)], dim=-1)
        poses = look_at(torch.zeros_like(ahead), ahead, self._up.expand_as(ahead))
        poses = torch.cat([poses[:, :, :3], position[..., None]], dim=-1)
        return compose(to_opengl(self._mean[None]), poses)


class Hull(Envelope):
    """Between a few neighbouring cameras: for walks through a room, where nobody knows what else is free of walls.

    Positions lie in the convex hull of a camera and those that stand and look most alike, or a little beside it;
    rotations are their mean with the same weights, turned by up to 3 degrees about each axis.

    Args:
        cameras: the real ones.
        aside: how far along each axis a position may be moved out of the hull, world units.
    """

    name = "hull"
    numbers = 14
    zoom = (1.0, 1.25)

    _NEIGHBOURS = 6
    # More cameras than this are thinned out, or those of a film would only have themselves for neighbours.
    _MOST = 100
    _JITTER = math.radians(3)

    def __init__(self, cameras: Cameras, aside: float = 0.0) -> None:
        super().__init__(cameras)
        self._aside = aside
        real = cameras.to("cpu")
        poses = real[spread_views(real, self._MOST)].camera_to_world.double()
        spread = (poses[:, :, 3] - poses[:, :, 3].mean(dim=0)).norm(dim=-1).mean().clamp(min=1e-12)
        turns = poses[:, :, :3].flatten(1)
        # For small angles, the distance of two matrices is the square root of two times the angle.
        places = torch.cat([poses[:, :, 3] / spread, turns / math.sqrt(2)], dim=-1)
        # Exact differences: the fast way gives a camera a distance from itself, and twins none.
        apart = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = apart.argsort(dim=-1, stable=True)[:, : self._NEIGHBOURS + 1]
        own = torch.arange(len(poses))[:, None]
        # The mean of rotations by more than 60 degrees looks where none of them did.
        alike = (turns[nearest] - turns[:, None]).norm(dim=-1) < math.sqrt(2)
        self._poses, self._nearest = poses, torch.where(alike, nearest, own)

    def draw(self, draws: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 4"]:
        draws = draws.double()
        near = self._nearest[pick(draws[:, 0], len(self._nearest))]
        # Logarithms in parts of their sum are uniform weights (Dirichlet); their squares favour the rim.
        weights = (1 - draws[:, 1 : 1 + near.shape[1]]).clamp(min=1e-12).log().square() + 1e-9
        weights = weights / weights.sum(dim=-1, keepdim=True)
        mixed = (weights[..., None, None] * self._poses[near]).sum(dim=1)
        jitter = so3_exp(self._JITTER * (2 * draws[:, -3:] - 1))
        moved = mixed[:, :, 3] + self._aside * (2 * draws[:, -6:-3] - 1)
        return torch.cat([nearest_rotation(mixed[:, :, :3]) @ jitter, moved[..., None]], dim=-1)


def on_sphere(
    azimuth: Float[Tensor, " n"], elevation: Float[Tensor, " n"], radius: Float[Tensor, " n"]
) -> Float[Tensor, "n 3 4"]:
    """Poses on a sphere that look at its centre, the origin, with z up; at the poles too.

    Args:
        azimuth: in radians, from the x axis towards the y axis.
        elevation: in radians, from the plane of x and y.
        radius: of the sphere.
    """
    ca, sa, ce, se = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
    away = torch.stack([ce * ca, ce * sa, se], dim=-1)
    right = torch.stack([-sa, ca, torch.zeros_like(ca)], dim=-1)
    down = torch.stack([se * ca, se * sa, -ce], dim=-1)
    return torch.stack([right, down, -away, radius[:, None] * away], dim=-1)


def pick(share: Float[Tensor, " n"], count: int) -> Tensor:
    """Which of ``count`` things uniform numbers in [0, 1] mean."""
    return (share * count).long().clamp(max=count - 1)
