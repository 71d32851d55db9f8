"""Poses around what a capture's cameras look at."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.arrangement import focus_point, up_direction
from novelview.cameras.cameras import Cameras
from novelview.cameras.envelope import Envelope, on_sphere, pick
from novelview.geometry.rigid import look_at

# Directions reach so far beyond those of the real cameras, and radii so many parts of themselves.
_MARGIN, _THICKER = math.radians(2), 0.02
# Azimuths that leave no wider gap than this, or than so many usual ones, go all around.
_GAP, _USUAL = math.radians(45), 2.0
# Cameras nearer to the vertical than this have no azimuth worth the name.
_STEEP = math.radians(80)
# No direction is farther from a real camera's than this, or than so many times their usual distance.
_REACH, _APART = math.radians(15), 1.5
# How many cameras around a direction tell how near and how far one may stand there.
_AROUND = 5


class Shell(Envelope):
    """Around the cameras' focus, where real ones stand: for cameras that look at one thing from many sides.

    Directions from the focus are uniform over the azimuths and elevations that the cameras cover: all around, or an
    arc; where no real camera is near, they are moved to one that is. The distance lies between those of the cameras
    around that direction. Each looks past the focus, and is tilted, as some real camera does.
    """

    name = "shell"
    numbers = 4
    zoom = (1.0, 2.0)

    def __init__(self, cameras: Cameras) -> None:
        super().__init__(cameras)
        real = cameras.to("cpu")
        self._focus = focus_point(real).double()
        up = F.normalize(up_direction(real).double(), dim=0)
        aside = F.one_hot(up.abs().argmin(), 3).double()
        # Looking up gives two level axes, and so a frame with z up.
        self._axes = look_at(torch.zeros_like(up), up, aside)[:, :3]
        poses = real.camera_to_world.double()
        offsets = (poses[:, :, 3] - self._focus) @ self._axes
        self._radii = offsets.norm(dim=-1)
        # A camera that stands in the focus sees it from where it does not look.
        there = self._radii > 1e-6 * self._radii.max().clamp(min=1e-12)
        self._away = torch.where(there[:, None], F.normalize(offsets, dim=-1), -poses[:, :, 2] @ self._axes)
        azimuth, elevation = _angles(self._away)
        level = elevation.abs() < _STEEP
        level = level if bool(level.any()) else torch.ones_like(level)
        self._start, self._arc = _arc(azimuth[level])
        ends = torch.stack([elevation.min() - _MARGIN, elevation.max() + _MARGIN])
        self._heights = ends.clamp(-math.pi / 2, math.pi / 2).sin()
        self._reach = max(_REACH, _APART * _usual_angle(self._away))
        ideal = on_sphere(azimuth, elevation, self._radii)[:, :, :3]
        self._past = (ideal.mT @ self._axes.T @ poses[:, :, :3])[level]

    def draw(self, draws: Float[Tensor, "n k"]) -> Float[Tensor, "n 3 4"]:
        turn, height, distance, which = draws.double().unbind(dim=-1)
        azimuth = self._start + self._arc * turn
        z = torch.lerp(self._heights[0], self._heights[1], height)
        level = (1 - z * z).clamp(min=0).sqrt()
        away = self._near(torch.stack([level * azimuth.cos(), level * azimuth.sin(), z], dim=-1))
        around = (away @ self._away.T).topk(min(_AROUND, len(self._away)), dim=-1).indices
        near, far = (self._radii[around].amin(dim=-1), self._radii[around].amax(dim=-1))
        radius = torch.lerp((1 - _THICKER) * near, (1 + _THICKER) * far, distance)
        local = on_sphere(*_angles(away), radius)
        past = self._past[pick(which, len(self._past))]
        centres = local[:, :, 3] @ self._axes.T + self._focus
        return torch.cat([self._axes @ local[:, :, :3] @ past, centres[..., None]], dim=-1)

    def _near(self, away: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """The same directions, but for those that no real camera is near."""
        cosine, nearest = (away @ self._away.T).max(dim=-1)
        anchor = self._away[nearest]
        angle = cosine.clamp(-1, 1).acos()
        # What is too far goes inside, and the farther the deeper, so that none gather at the rim.
        inside = self._reach**2 / angle.clamp(min=self._reach)
        across = F.normalize(away - cosine[:, None] * anchor, dim=-1)
        moved = inside.cos()[:, None] * anchor + inside.sin()[:, None] * across
        return torch.where((angle > self._reach)[:, None], F.normalize(moved, dim=-1), away)


def _angles(away: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Azimuth and elevation of directions, in radians."""
    x, y, z = away.unbind(dim=-1)
    return torch.atan2(y, x), torch.atan2(z, torch.hypot(x, y))


def _arc(azimuth: Float[Tensor, " n"]) -> tuple[float, float]:
    """Where the azimuths begin and how far they go, with a margin; all around where no gap stands out."""
    around = azimuth.sort().values
    gaps = torch.cat([around, around[:1] + 2 * math.pi]).diff()
    widest = int(gaps.argmax())
    gap = float(gaps[widest])
    if len(around) > 1 and gap <= max(_GAP, _USUAL * float(gaps.median())):
        return 0.0, 2 * math.pi
    start = float(around[(widest + 1) % len(around)])
    return start - _MARGIN, min(2 * math.pi - gap + 2 * _MARGIN, 2 * math.pi)


def _usual_angle(away: Float[Tensor, "n 3"]) -> float:
    """Angle to the nearest other direction that nine cameras in ten do not exceed."""
    if len(away) < 2:
        return 0.0
    # Chords are exact where the cosine of a small angle is 1 but for rounding.
    chords = torch.cdist(away, away, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(2)
    return float((chords.amin(dim=-1).quantile(0.9) / 2).clamp(max=1).asin() * 2)
