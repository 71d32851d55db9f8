"""Square parts of photographs, resized, with cameras that follow exactly: a crop shifts, a resize scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.images import resize_area
from novelview.random import generator_for
from novelview.types import ImageSource, Views

Crop = Literal["foreground", "centre", "none"]

# Coverage above which a pixel counts as foreground, and what is tried where hardly any does (ViewDiff, data preparation).
_THRESHOLDS = (0.2, 0.15, 0.1, 0.05, 0.0)


@dataclass(frozen=True)
class Window:
    """A part of an image in whole pixels.

    Attributes:
        left: first column.
        top: first row.
        width: columns.
        height: rows.
    """

    left: int
    top: int
    width: int
    height: int

    def resized(self, size: int) -> tuple[int, int]:
        """Width and height of the window when its shorter side becomes ``size``."""
        ratio = size / min(self.width, self.height)
        return max(size, round(self.width * ratio)), max(size, round(self.height * ratio))


def centre_window(width: int, height: int) -> Window:
    """The largest square, in the middle of the image."""
    return _square(width, height, width / 2, height / 2)


def foreground_window(mask: Float[Tensor, "h w"]) -> Window:
    """The largest square, as near as it can be to the mean pixel of the foreground; in the middle where there is none.

    Foreground is coverage above 0.2; where that is at most one pixel, the threshold is lowered by 0.05, down to 0.
    """
    height, width = mask.shape
    for threshold in _THRESHOLDS:
        rows, columns = torch.nonzero(mask > threshold, as_tuple=True)
        if len(rows) > 1:
            return _square(
                width, height, float(columns.double().mean()) + 0.5, float(rows.double().mean()) + 0.5
            )
    return centre_window(width, height)


def random_window(width: int, height: int, generator: torch.Generator) -> Window:
    """The largest square, anywhere in the image with equal probability."""
    side = min(width, height)
    place = int(torch.randint(max(width, height) - side + 1, (), generator=generator))
    return Window(place if width > height else 0, place if height > width else 0, side, side)


def windowed_camera(camera: Cameras, window: Window, size: int) -> Cameras:
    """The camera that sees a window whose shorter side is resized to ``size`` pixels."""
    part = camera.cropped(window.left, window.top, window.width, window.height)
    return part.resized(*window.resized(size))


def windowed_image(
    image: Float[Tensor, "h w c"], window: Window, size: int, antialias: bool = True
) -> Float[Tensor, "h2 w2 c"]:
    """The pixels of a window whose shorter side is resized to ``size``.

    Args:
        image: any values.
        window: inside the image.
        size: in pixels.
        antialias: where the image becomes smaller, each pixel is the mean of the area it covers; otherwise, and where it
            becomes larger, bilinear between the nearest pixels, as the authors of ViewDiff do it.
    """
    part = image[window.top : window.top + window.height, window.left : window.left + window.width]
    width, height = window.resized(size)
    if antialias and width <= window.width:
        return resize_area(part, width, height)
    planes = part.permute(2, 0, 1)[None]
    resized = F.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
    return resized[0].permute(1, 2, 0)


def random_squares(views: Views, size: int, seed: int, index: int) -> Views:
    """The same views in squares of ``size`` pixels at random places, resampled when they are asked for.

    Args:
        views: pinhole cameras; depths are left out.
        size: side in pixels.
        seed: of the places.
        index: of the draw; places depend on it and the seed alone.
    """
    generator = generator_for(seed, "squares", index)
    windows = tuple(random_window(w, h, generator) for w, h in views.cameras.sizes.tolist())
    cameras = [windowed_camera(views.cameras[i], window, size) for i, window in enumerate(windows)]
    source = _WindowedImages(views, windows, size)
    return Views(Cameras.concatenate(cameras), views.names, source, tuple(range(len(views))))


class _WindowedImages(ImageSource):
    """The pixels of ``views`` through windows."""

    def __init__(self, views: Views, windows: tuple[Window, ...], size: int) -> None:
        self._views, self._windows, self._size = views, windows, size
        self.has_masks = views.has_masks

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return windowed_image(self._views.image(index), self._windows[index], self._size)

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return windowed_image(self._views.mask(index)[..., None], self._windows[index], self._size)[..., 0]


def _square(width: int, height: int, x: float, y: float) -> Window:
    """The largest square inside an image with its middle as near to (x, y) as it can be."""
    side = min(width, height)
    left, top = (
        min(max(math.floor(middle - side / 2 + 0.5), 0), length - side)
        for middle, length in ((x, width), (y, height))
    )
    return Window(left, top, side, side)
