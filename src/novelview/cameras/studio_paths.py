"""Trajectories around a subject at the origin, z up, for views that no capture has cameras for.

Every one begins at azimuth 0, on the x axis, and turns counterclockwise as seen from above. Cameras look at the origin and
have square pixels and their principal point in the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import focal_from_fov
from novelview.errors import CameraError
from novelview.geometry.rigid import look_at


@dataclass(frozen=True)
class Tripod:
    """What the cameras of a trajectory have in common.

    Attributes:
        distance: from the origin, world units.
        field_of_view: horizontal, degrees.
        width: of the pictures, pixels.
        height: likewise.
    """

    distance: float
    field_of_view: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Raises ``CameraError`` where no such camera can be."""
        sides = min(self.width, self.height) >= 1
        if not (0 < self.distance < math.inf and 0 < self.field_of_view < 180 and sides):
            raise CameraError(
                "These cameras are impossible",
                why=f"{self.width}x{self.height} pixels, {self.field_of_view:g} degrees wide, distance {self.distance:g}",
                cure="give a positive distance and size, and a field of view between 0 and 180 degrees",
            )


def orbit(tripod: Tripod, count: int, elevation: float) -> Cameras:
    """A full ring; the last camera is one step before the first.

    Args:
        tripod: of every camera.
        count: of cameras, at least 1.
        elevation: degrees above the horizon, in [-90, 90].

    Raises:
        CameraError: a number that cannot be.
    """
    return _around(
        tripod, _shares(count, closed=True) * 360, torch.full((count,), elevation, dtype=torch.float64)
    )


def arc(tripod: Tripod, count: int, elevation: float, sweep: float) -> Cameras:
    """A part of a ring, its ends included.

    Args:
        tripod: of every camera.
        count: of cameras, at least 1.
        elevation: degrees above the horizon, in [-90, 90].
        sweep: degrees from the first camera to the last; negative: clockwise as seen from above.

    Raises:
        CameraError: a number that cannot be.
    """
    return _around(tripod, _shares(count) * sweep, torch.full((count,), elevation, dtype=torch.float64))


def spiral(tripod: Tripod, count: int, elevation: float, rise: float) -> Cameras:
    """Two rising turns, even in azimuth and elevation; the second one's cameras stand between those of the first.

    Args:
        tripod: of every camera.
        count: of cameras, at least 1.
        elevation: of the first camera, degrees above the horizon, in [-90, 90].
        rise: degrees that the last camera is above it.

    Raises:
        CameraError: a number that cannot be.
    """
    shares = _shares(count)
    # An odd number of steps in two turns meets no azimuth twice.
    azimuths = torch.arange(count, dtype=torch.float64) * (720 / (count + (count + 1) % 2))
    return _around(tripod, azimuths, elevation + shares * rise)


def tour(tripod: Tripod, count: int, elevation: float) -> Cameras:
    """A ring, then the arcs of :func:`tour_arcs`, each with ``count`` cameras; ViewDiff's way to many views of a subject.

    Args:
        tripod: of every camera.
        count: of cameras of the ring and of each arc, at least 1.
        elevation: degrees above the horizon, in [-90, 90].

    Raises:
        CameraError: a number that cannot be.
    """
    shares = _shares(count, closed=True)
    azimuths = torch.cat([begin + shares * (end - begin) for begin, end in tour_arcs()])
    return _around(tripod, azimuths, torch.full_like(azimuths, elevation))


def once_around(count: int) -> tuple[int, ...]:
    """The cameras of a tour's arcs in the order of a video that goes once around, from the front on.

    Args:
        count: of the tour's cameras, all of them.
    """
    each = count // len(tour_arcs())
    arcs = [tuple(range(begin, begin + each)) for begin in range(each, count, each)]
    there = [view for arc in arcs[0::2] for view in arc]
    back = [view for arc in arcs[1::2][::-1] for view in reversed(arc)]
    return (*there, *back)


def tour_arcs(front: float = 60.0, step: float = 50.0) -> tuple[tuple[float, float], ...]:
    """Azimuths between which a tour goes: all around, an arc in front, then arcs on both sides in turn that meet behind.

    Args:
        front: width of the arc in front, degrees, less than 360.
        step: width of the others; the last ones may be narrower.

    Raises:
        CameraError: a number that cannot be.
    """
    if not 0 < front < 360 or not step > 0:
        raise CameraError(
            f"No tour has an arc of {front:g} degrees in front and goes on by {step:g} degrees",
            cure="give positive numbers of degrees, less than 360 in front",
        )
    arcs, edge = [(0.0, 360.0), (-front / 2, front / 2)], front / 2
    while edge < 180:
        outer = min(edge + step, 180.0)
        arcs += [(-edge, -outer), (edge, outer)]
        edge = outer
    return tuple(arcs)


def _shares(count: int, *, closed: bool = False) -> Float[Tensor, " n"]:
    """Evenly from 0 to 1; where a path is closed, 1 is one step after the last."""
    if count < 1:
        raise CameraError(f"A path of {count} cameras is none", cure="ask for one or more")
    return torch.arange(count, dtype=torch.float64) / max(1, count if closed else count - 1)


def _around(tripod: Tripod, azimuths: Float[Tensor, " n"], elevations: Float[Tensor, " n"]) -> Cameras:
    if not bool((elevations.abs() <= 90).all()):
        raise CameraError(
            "This path leads over the pole",
            why=f"elevations from {float(elevations[0]):g} to {float(elevations[-1]):g} degrees",
            cure="stay between -90 and 90 degrees",
        )
    turned, raised = torch.deg2rad(azimuths), torch.deg2rad(elevations.double())
    level = raised.cos()
    outward = torch.stack([level * turned.cos(), level * turned.sin(), raised.sin()], dim=-1)
    up = outward.new_tensor([0.0, 0.0, 1.0]).expand_as(outward)
    poses = look_at(tripod.distance * outward, torch.zeros_like(outward), up)
    focal = focal_from_fov(math.radians(tripod.field_of_view), tripod.width)
    intrinsics = torch.tensor([focal, focal, tripod.width / 2, tripod.height / 2])
    return Cameras.pinhole(poses.float(), intrinsics, tripod.width, tripod.height)
