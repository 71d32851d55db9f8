"""Camera paths for videos, derived from the cameras of a capture so that nobody has to draw one by hand.

All paths are cameras without distortion and of one size: that of the first camera. World units are those of the
cameras given.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import average_pose, focus_point, up_direction
from novelview.cameras.cameras import Cameras
from novelview.cameras.spline import along, passing_times
from novelview.errors import CameraError
from novelview.geometry.rigid import look_at, slerp

# Cameras that leave a wider gap around their focus than this did not walk around it.
_WIDEST_GAP = math.radians(100)


def interpolate(cameras: Cameras, frames: int, *, loop: bool = False) -> Cameras:
    """A smooth path along the given views, in their order, through every one of them.

    Catmull-Rom splines of positions and intrinsics, and of rotations along great arcs. Time passes in proportion
    to the way between views (turning by one radian counts as much as travelling the cameras' spread), so that the
    speed is even. The first frame is the first view; the last frame is the last view, or with ``loop`` one step
    before the first. Views between fall between frames.

    Raises:
        CameraError: fewer than one frame or view.
    """
    _check(cameras, frames)
    views = _common(cameras)
    if len(views) == 1:
        return views[[0] * frames]
    if loop:
        views = views[[*range(len(views)), 0]]
    knots = passing_times(views)
    shares = torch.linspace(0, 1, frames + 1 if loop else frames, dtype=torch.float64)[:frames]
    return along(views, knots, shares * knots[-1], loop)


def straight(cameras: Cameras, frames: int, *, loop: bool = False) -> Cameras:
    """Straight ways from each view to the next, in their order: the videos of LVSM (ICLR 2025).

    Between two views, centre and intrinsics move evenly on a line and the rotation on the shortest arc. Every pair gets
    as many frames as another (or one more), both its ends among them: the path stands still for a frame at each view
    between, which it shows twice. LVSM gives 60 frames to each pair, so two views with ``loop`` make 120 frames.

    Args:
        cameras: the views; of any sizes.
        frames: of the whole path. A pair with a single one shows its first view.
        loop: also go from the last view to the first.

    Raises:
        CameraError: fewer than one frame or view.
    """
    _check(cameras, frames)
    views = _common(cameras)
    if loop:
        views = views[[*range(len(views)), 0]]
    pairs = len(views) - 1
    if not pairs:
        return views[[0] * frames]
    start = torch.arange(frames) * pairs // frames
    counts = start.bincount(minlength=pairs).tolist()
    share = torch.cat([torch.linspace(0, 1, count, dtype=torch.float64) for count in counts])
    rotations, centres = views.rotations.double(), views.centres.double()
    turned = slerp(rotations[start], rotations[start + 1], share)
    moved = torch.lerp(centres[start], centres[start + 1], share[:, None])
    seen = torch.lerp(views.intrinsics[start].double(), views.intrinsics[start + 1].double(), share[:, None])
    poses = torch.cat([turned, moved[..., None]], dim=-1).to(views.camera_to_world)
    width, height = views.common_size
    return Cameras.pinhole(poses, seen.to(views.intrinsics), width, height)


def by_nearness(cameras: Cameras) -> Cameras:
    """The same cameras in the order of a walk that begins at the first and always goes on to the nearest centre left."""
    order: list[int] = []
    left, here = list(range(len(cameras))), cameras.centres[:1]
    while left:
        order.append(left.pop(int((cameras.centres[left] - here).norm(dim=-1).argmin())))
        here = cameras.centres[order[-1]]
    return cameras[order]


def orbit(
    cameras: Cameras,
    frames: int,
    *,
    target: Float[Tensor, " 3"] | None = None,
    up: Float[Tensor, " 3"] | None = None,
    radius: float | None = None,
    elevation: float | None = None,
) -> Cameras:
    """A full circle around ``target``, beginning on the side of the first camera.

    Args:
        cameras: whose focus, up direction, median distance and median elevation are the defaults.
        frames: the last one is one step before the first.
        target: stays in the middle of the image.
        up: axis of the circle.
        radius: distance to the target, world units.
        elevation: degrees above the plane through the target, in [-90, 90].

    Raises:
        CameraError: fewer than one frame or view, or a radius or elevation that cannot be.
    """
    _check(cameras, frames)
    gaze = _Gaze(cameras, target, up)
    radius = float(gaze.distances.median()) if radius is None else radius
    angle = float(gaze.elevations.median()) if elevation is None else math.radians(elevation)
    if not (0 < radius < math.inf and abs(angle) <= math.pi / 2):
        raise CameraError(
            "This orbit is impossible",
            why=f"radius {radius:g}, elevation {math.degrees(angle):g} degrees",
            cure="give a positive radius and an elevation between -90 and 90",
        )
    turns = _turns(frames) + gaze.azimuths[0]
    return gaze.path(turns, torch.full_like(turns, angle), torch.full_like(turns, radius))


def ellipse(cameras: Cameras, frames: int) -> Cameras:
    """A closed path near the cameras that keeps their focus in the middle of the image.

    Cameras all around their focus give an ellipse about it, level, in their mean height: its half-axes are 90th
    percentiles (mip-NeRF 360, CVPR 2022, supplement). Others give a sway: azimuth and elevation run through an
    ellipse that stays where the cameras were, at their median distance.

    Raises:
        CameraError: fewer than one frame or view.
    """
    _check(cameras, frames)
    gaze = _Gaze(cameras, None, None)
    turns = _turns(frames)
    gap, middle, reach = gaze.coverage()
    if gap > _WIDEST_GAP:
        elevation = gaze.elevations.double()
        level, tilt = elevation.median(), (elevation - elevation.median()).abs().quantile(0.5)
        radii = torch.full_like(turns, float(gaze.distances.median()))
        return gaze.path(middle + 0.8 * reach * turns.sin(), level + tilt * turns.cos(), radii)
    local = gaze.local
    plane = local[:, :2]
    axes = torch.linalg.eigh(plane.T @ plane).eigenvectors
    half = torch.quantile((plane @ axes).abs(), 0.9, dim=0)
    round_trip = torch.stack([turns.cos(), turns.sin()], dim=-1) * half @ axes.T
    height = local[:, 2].mean().expand(frames, 1)
    return gaze.looking_from(torch.cat([round_trip, height], dim=-1))


def spiral(
    cameras: Cameras,
    frames: int,
    near: float,
    far: float,
    *,
    turns: float = 2.0,
    depth_rate: float = 0.5,
    radii: Float[Tensor, " 3"] | None = None,
) -> Cameras:
    """The spiral in which LLFF and NeRF show forward-facing captures.

    Around the mean camera; all frames look at one point before it, whose inverse depth lies between those of 0.9 near
    (a quarter) and 5 far.

    Args:
        cameras: looking roughly the same way.
        frames: the last one is one step before the end.
        near: smallest depth of the scene, world units.
        far: largest depth of the scene; may be infinite.
        turns: of the spiral; a closed path needs an integer ``turns * depth_rate``.
        depth_rate: of moving forward and back, per turn.
        radii: how far it swings along the axes of the mean camera (right, down, forward), world units. None: the 90th
            percentile of the cameras' distances from it along these.

    Raises:
        CameraError: fewer than one frame or view, or depths that are not 0 < near <= far.
    """
    _check(cameras, frames)
    if not 0 < near <= far:
        raise CameraError(
            f"A spiral cannot look between depths {near:g} and {far:g}", cure="give 0 < near <= far"
        )
    centre = average_pose(cameras).double()
    if radii is None:
        offsets = (cameras.centres.double() - centre[:, 3]) @ centre[:, :3]
        radii = torch.quantile(offsets.abs(), 0.9, dim=0)
    angle = _turns(frames) * turns
    # LLFF counts along axes right, up, back: the signs of the last two differ here.
    local = torch.stack([angle.cos(), angle.sin(), (angle * depth_rate).sin()], dim=-1) * radii.to(centre)
    depth = 1 / (0.25 / (0.9 * near) + 0.75 / (5 * far))
    target = centre[:, 3] + depth * centre[:, 2]
    up = -cameras.rotations[:, :, 1].double().mean(dim=0)
    centres = local @ centre[:, :3].T + centre[:, 3]
    return _posed(cameras, look_at(centres, target.expand(frames, 3), up.expand(frames, 3)))


class _Gaze:
    """Cameras as seen from what they look at: right-handed axes with z up and the origin at the target."""

    def __init__(
        self, cameras: Cameras, target: Float[Tensor, " 3"] | None, up: Float[Tensor, " 3"] | None
    ) -> None:
        self._cameras = cameras
        self._target = (focus_point(cameras) if target is None else target.to(cameras.centres)).double()
        vertical = F.normalize(
            (up_direction(cameras) if up is None else up.to(cameras.centres)).double(), dim=0
        )
        offsets = cameras.centres.double() - self._target
        # Looking down the vertical axis gives two level ones.
        sideways = look_at(torch.zeros_like(vertical), vertical, offsets[0])[:, :2]
        level = torch.stack([sideways[:, 0], torch.linalg.cross(vertical, sideways[:, 0])], dim=-1)
        self._axes = torch.cat([level, vertical[:, None]], dim=-1)
        self.local = offsets @ self._axes
        self.distances = self.local.norm(dim=-1)
        if float(self.distances.max()) == 0:
            raise CameraError(
                "There is nothing to go around",
                why="all cameras stand at the point they look at",
                cure="state a target, or choose the path 'interpolate'",
            )
        self.azimuths = torch.atan2(self.local[:, 1], self.local[:, 0])
        self.elevations = torch.atan2(self.local[:, 2], self.local[:, :2].norm(dim=-1))

    def coverage(self) -> tuple[float, float, float]:
        """Widest gap between neighbouring azimuths; middle and half width of the rest of the circle. Radians."""
        around = self.azimuths.sort().values
        gaps = torch.cat([around, around[:1] + 2 * math.pi]).diff()
        widest = int(gaps.argmax())
        gap = float(gaps[widest])
        return gap, float(around[widest]) + gap / 2 + math.pi, math.pi - gap / 2

    def path(self, azimuth: Tensor, elevation: Tensor, radius: Tensor) -> Cameras:
        """Cameras at these places, looking at the target."""
        level = radius * elevation.cos()
        return self.looking_from(
            torch.stack([level * azimuth.cos(), level * azimuth.sin(), radius * elevation.sin()], dim=-1)
        )

    def looking_from(self, local: Tensor) -> Cameras:
        centres = local @ self._axes.T + self._target
        target, up = self._target.expand_as(centres), self._axes[:, 2].expand_as(centres)
        return _posed(self._cameras, look_at(centres, target, up))


def _check(cameras: Cameras, frames: int) -> None:
    if frames < 1 or not len(cameras):
        raise CameraError(
            f"A path of {frames} frames cannot be made from {len(cameras)} cameras",
            cure="give one or more of each",
        )


def _turns(frames: int) -> Float[Tensor, " n"]:
    """Angles once around, the last one step before the first."""
    return torch.linspace(0, 2 * math.pi, frames + 1, dtype=torch.float64)[:-1]


def _common(cameras: Cameras) -> Cameras:
    """The same views without distortion, in the size of the first one."""
    width, height = cameras.sizes[0].tolist()
    return cameras.undistorted().resized(int(width), int(height))


def _posed(cameras: Cameras, poses: Float[Tensor, "n 3 4"]) -> Cameras:
    """Cameras of median focal length at ``poses``, with the principal point in the middle of the image."""
    views = _common(cameras)
    width, height = views.common_size
    focal = views.intrinsics[:, :2].median(dim=0).values
    middle = focal.new_tensor([width / 2, height / 2])
    return Cameras.pinhole(poses.to(views.camera_to_world), torch.cat([focal, middle]), width, height)
