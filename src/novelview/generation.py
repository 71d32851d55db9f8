"""What a generative method is asked for, and the studio that its subjects stand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from novelview.cameras.cameras import Cameras
from novelview.types import Bounds, Frames, Views


@dataclass(frozen=True)
class Studio:
    """The world of generated views: z up, the subject in a box around the origin.

    Attributes:
        bounds: the subject's box, the depths cameras see, and the background where it is known.
        width: of the pictures that are made, pixels.
        height: likewise.
        distance: from which the method knows its subjects best, world units.
        field_of_view: horizontal, degrees.
        elevation: of its cameras above the horizon, degrees.
    """

    bounds: Bounds
    width: int
    height: int
    distance: float
    field_of_view: float
    elevation: float


@dataclass(frozen=True)
class Request:
    """What shall be generated.

    Attributes:
        prompt: the subject in words; may be empty where views are known.
        cameras: from where it shall be seen, in the studio's world, in the order of a trajectory; all of one size.
        known: views that are given, in the same world.
        seed: of all that is drawn.
    """

    prompt: str
    cameras: Cameras
    known: Views | None = None
    seed: int = 0


Watch = Callable[[int, int, Callable[[], Frames]], None]
"""Called after each step with the number of steps done, that of all, and what shows the views as they are now."""
