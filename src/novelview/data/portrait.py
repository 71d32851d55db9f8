"""Pictures of a subject that somebody has, as a camera of a studio would have taken them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.data.decode import read_image, read_mask
from novelview.data.foreground import foreground
from novelview.errors import DataError
from novelview.geometry.images import resize_area

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Portrait:
    """A picture of a subject.

    Attributes:
        name: for errors.
        rgb: colours in [0, 1].
        mask: coverage in [0, 1], where the picture says it.
    """

    name: str
    rgb: Float[Tensor, "h w 3"]
    mask: Float[Tensor, "h w"] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def covered(self) -> Float[Tensor, "h w"]:
        """The mask; where there is none, what stands out from a background of one colour.

        Raises:
            DataError: there is none, and the background is not of one colour.
        """
        return foreground(self.rgb, name=self.name) if self.mask is None else self.mask


def read_portrait(path: Path, mask: Path | None = None) -> Portrait:
    """Read a picture, upright, with its mask: the file ``mask``, else the alpha channel where that is used.

    Raises:
        DataError: a file cannot be read, or the mask has other proportions than the picture.
    """
    pixels = read_image(path, turn=True)
    rgb, alpha = pixels[..., :3], pixels[..., 3:]
    if mask is not None:
        stored = read_mask(mask, turn=True)
        if stored.shape[0] * rgb.shape[1] != stored.shape[1] * rgb.shape[0]:
            raise DataError(
                "A mask does not fit its picture",
                where=mask,
                why=f"it is {stored.shape[1]}x{stored.shape[0]}, the picture {rgb.shape[1]}x{rgb.shape[0]}",
                cure="make the mask as large as its picture",
            )
        return Portrait(str(path), rgb, resize_area(stored, rgb.shape[1], rgb.shape[0])[..., 0])
    # Screenshots carry opaque alpha channels.
    used = alpha.shape[-1] > 0 and bool((alpha < 1).any())
    return Portrait(str(path), rgb, alpha[..., 0] if used else None)


def cut_out(portrait: Portrait, side: int, share: float, background: Colour) -> Portrait:
    """A square picture with the subject in its middle, before another background.

    Args:
        portrait: its subject is what the mask says, else what stands out from a background of one colour.
        side: of the result, pixels.
        share: of the side that the larger extent of the subject takes, in (0, 1].
        background: colour behind it.

    Raises:
        DataError: no subject is to be found.
    """
    mask = portrait.covered()
    rows, columns = (torch.nonzero(mask.amax(dim=axis) > 0.5)[:, 0] for axis in (1, 0))
    if not len(rows) or not len(columns):
        raise DataError(
            "The mask of a picture leaves nothing of it",
            where=portrait.name,
            why="it is nowhere above one half",
            cure="give a mask that is white where the subject is",
        )
    (top, bottom), (left, right) = ((int(each[0]), int(each[-1]) + 1) for each in (rows, columns))
    window = math.ceil(max(bottom - top, right - left) / share)
    x, y = round((left + right - window) / 2), round((top + bottom - window) / 2)
    colours = _on(portrait.rgb, mask, background) - torch.tensor(background)
    square = _window(torch.cat([colours, mask[..., None]], dim=-1), x, y, window)
    small = resize_area(square, side, side)
    return Portrait(portrait.name, (small[..., :3] + torch.tensor(background)).clamp(0, 1), small[..., 3])


def middle_square(portrait: Portrait, side: int) -> Portrait:
    """The largest square in the middle of a picture, as it is."""
    width, height = portrait.size
    window = min(width, height)
    x, y = (width - window) // 2, (height - window) // 2
    return Portrait(portrait.name, resize_area(_window(portrait.rgb, x, y, window), side, side))


def before(portrait: Portrait, width: int, height: int, background: Colour | None) -> Portrait:
    """The whole picture in another size, its subject before another background; None: before its own, without a mask.

    Raises:
        DataError: no subject is to be found.
    """
    if background is None:
        return Portrait(portrait.name, resize_area(portrait.rgb, width, height))
    mask = portrait.covered()
    rgb = resize_area(_on(portrait.rgb, mask, background), width, height)
    return Portrait(portrait.name, rgb, resize_area(mask[..., None], width, height)[..., 0])


def _on(
    rgb: Float[Tensor, "h w 3"], mask: Float[Tensor, "h w"], background: Colour
) -> Float[Tensor, "h w 3"]:
    return rgb * mask[..., None] + torch.tensor(background) * (1 - mask[..., None])


def _window(values: Float[Tensor, "h w c"], left: int, top: int, side: int) -> Float[Tensor, "s s c"]:
    """A square that may reach beyond the picture, where it is 0."""
    height, width = values.shape[:2]
    padding = (0, 0, -left, left + side - width, -top, top + side - height)
    return F.pad(values, padding)
