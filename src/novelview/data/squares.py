"""Images as LVSM was trained on them: of one height, their width a multiple of the patch, perhaps cropped to squares.

The arithmetic is that of the re-implementation its authors published, so that official weights see official inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.straighten import straighten, straightened
from novelview.errors import ConfigError
from novelview.geometry.lenses import Lens
from novelview.types import ImageSource, Views


def squares(views: Views, size: int, multiple: int = 8, crop: bool = True) -> Views:
    """The same views at ``size`` pixels of height, resampled when they are asked for.

    The width becomes ``multiple * round(int(size / h * w) / multiple)``, at least ``multiple``, for an image of ``w`` x
    ``h``; colours are resampled with Pillow's Lanczos filter at 8 bits. With ``crop``, the middle square of the shorter
    side is kept: landscape images become ``size`` x ``size``, portrait ones a smaller square, as wide as they are.
    Intrinsics follow exactly; each axis has its own ratio. Masks are resampled as colours are, depths by the nearest.
    Views with a lens are straightened first (:mod:`~novelview.data.straighten`); their depths become unknown.

    Args:
        views: of any sizes; views of different proportions come out in different sizes unless they are cropped.
        size: height in pixels, a multiple of ``multiple``.
        multiple: what width and height shall be multiples of, the side of a patch.
        crop: keep the middle square only.

    Raises:
        ConfigError: ``size`` is not a positive multiple of ``multiple``.
    """
    if multiple < 1 or size < 1 or size % multiple:
        raise ConfigError(
            f"Bad image height {size}",
            why=f"images are cut into patches of {multiple} pixels",
            cure=f"choose a positive multiple of {multiple}",
        )
    shapes = {(w, h): _shape(w, h, size, multiple, crop) for w, h in views.cameras.sizes.tolist()}
    chosen = tuple(shapes[w, h] for w, h in views.cameras.sizes.tolist())
    return Views(_cameras(views, chosen), views.names, _SquareImages(views, chosen), tuple(range(len(views))))


@dataclass(frozen=True)
class _Shape:
    """How an image is brought to size, in pixels: ``width`` x ``height`` after resampling, of which a window is kept."""

    width: int
    height: int
    left: int
    top: int
    columns: int
    rows: int

    def window(self, image: Tensor) -> Tensor:
        return image[self.top : self.top + self.rows, self.left : self.left + self.columns]


def _shape(width: int, height: int, size: int, multiple: int, crop: bool) -> _Shape:
    scaled = multiple * max(1, round(int(size / height * width) / multiple))
    columns, rows = (min(scaled, size),) * 2 if crop else (scaled, size)
    return _Shape(scaled, size, (scaled - columns) // 2, (size - rows) // 2, columns, rows)


def _cameras(views: Views, shapes: tuple[_Shape, ...]) -> Cameras:
    whole = views.cameras.undistorted()
    scaled = torch.tensor([[s.width, s.height] for s in shapes], dtype=torch.float64).reshape(-1, 2)
    corners = torch.tensor([[0, 0, s.left, s.top] for s in shapes], dtype=torch.float64).reshape(-1, 4)
    kept = torch.tensor([[s.columns, s.rows] for s in shapes], dtype=whole.sizes.dtype).reshape(-1, 2)
    # Rounded to 32 bits once, at the end, as the official preparation does.
    ratio = scaled / whole.sizes.cpu()
    intrinsics = whole.intrinsics.cpu().double() * ratio.repeat(1, 2) - corners
    return replace(whole, intrinsics=intrinsics.to(whole.intrinsics), sizes=kept.to(whole.device))


class _SquareImages(ImageSource):
    """The pixels of ``views``, each brought to its shape."""

    def __init__(self, views: Views, shapes: tuple[_Shape, ...]) -> None:
        self._views, self._shapes = views, shapes
        self.has_masks, self.has_depths = views.has_masks, views.has_depths

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return _resampled(straightened(self._views, index), self._shapes[index])

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        mask = straighten(self._views.cameras[index], self._views.mask(index)[..., None])
        return _resampled(mask[..., 0], self._shapes[index])

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        shape, depth = self._shapes[index], self._views.depth(index)
        if int(self._views.cameras.lens[index]) != Lens.PINHOLE:
            return depth.new_zeros(shape.rows, shape.columns)
        size = (shape.height, shape.width)
        return shape.window(F.interpolate(depth[None, None], size, mode="nearest-exact")[0, 0])


def _resampled(image: Tensor, shape: _Shape) -> Tensor:
    """Values in [0, 1], shape (h, w) or (h, w, 3), at another size."""
    stored = (image * 255).round().to(torch.uint8).cpu().numpy()
    resized = Image.fromarray(stored).resize((shape.width, shape.height), Image.Resampling.LANCZOS)
    return shape.window(torch.from_numpy(np.array(resized))).to(image.device).float() / 255
