"""What a reader makes of a folder: every view it describes, in the frame of the input, before any split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Tensor

from novelview.cameras.cameras import Cameras


@dataclass(frozen=True)
class ImageFiles:
    """The files of one view, absolute and inside the capture's folder.

    Attributes:
        image: the photograph; its alpha channel, if any, is a mask.
        mask: white where the scene counts, or labels of which 0 is all that does not count.
        depth: 16-bit PNG, TIFF, EXR or .npy of depth along z.
        depth_scale: world units per stored unit of ``depth``.
    """

    image: Path
    mask: Path | None = None
    depth: Path | None = None
    depth_scale: float = 1.0


@dataclass(frozen=True)
class Capture:
    """A posed capture as its files describe it.

    Attributes:
        path: what the user named.
        format: which reader understood it.
        cameras: in the input's own world frame and units, OpenCV axes. Sizes, and the intrinsics that belong to them,
            are those that the format states, which need not be the sizes of the image files:
            :func:`~novelview.data.fitting.fit_images` makes them fit. Where the format states none, and in LLFF,
            which keeps smaller copies under the same poses, they are the sizes of the image files.
        names: unique.
        files: one entry per view.
        near_far: depth range per view, where the format states it.
        points: sparse points of the scene, where the format has them.
        seen: for each view the rows of ``points`` that it sees, where the format tells.
        box: lower and upper corner of the region of interest, where the format states it.
        partition: the split that the format itself carries ("train", "val", "test": view indices).
        background: colour to blend transparent pixels with, where the format's convention has one.
        notes: what was noticed and is worth telling the user, one sentence each.
        name: what people call it, where its folder's name is not that.
    """

    path: Path
    format: str
    cameras: Cameras
    names: tuple[str, ...]
    files: tuple[ImageFiles, ...]
    near_far: Float[Tensor, "n 2"] | None = None
    points: Float[Tensor, "p 3"] | None = None
    box: Float[Tensor, "2 3"] | None = None
    partition: dict[str, tuple[int, ...]] | None = None
    background: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = field(default=())
    name: str | None = None
    seen: tuple[Int64[Tensor, " _"], ...] | None = None
