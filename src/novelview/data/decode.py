"""One image file to one tensor, with every way it can fail turned into a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from novelview.data.exr import read_exr
from novelview.errors import DataError, NovelviewError

ORIENTATION = 0x0112  # EXIF tag; 1 means "as stored", 5 to 8 exchange width and height.
_TWO_STEPS = 1.5 / 255  # Between the values 1 and 2 of 8 bits.


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels are decoded.

    Attributes:
        size: width and height as stored.
        alpha: whether there is an alpha channel.
        orientation: EXIF orientation, 1 when absent.
    """

    size: tuple[int, int]
    alpha: bool
    orientation: int = 1

    @property
    def turned_size(self) -> tuple[int, int]:
        """Width and height after the EXIF rotation."""
        width, height = self.size
        return (height, width) if self.orientation >= 5 else (width, height)


def read_header(path: Path) -> Header:
    """Size, alpha and orientation of an image file.

    Raises:
        DataError: missing, not an image, or larger than Pillow's limit against decompression bombs.
    """
    try:
        with Image.open(path) as image:
            _refuse_bomb(image, path)
            return Header(image.size, _has_alpha(image), int(image.getexif().get(ORIENTATION, 1)))
    except DataError:
        raise
    except Exception as error:  # Decoders raise whatever they like, from OSError to SyntaxError.
        raise unreadable("image", path, error) from error


def read_image(path: Path, *, turn: bool = False) -> Float[Tensor, "h w c"]:
    """Colours in [0, 1] as stored: RGB, or RGBA (not premultiplied) where the file has an alpha channel.

    Args:
        path: any format Pillow reads, 8 or 16 bits, grey or colour.
        turn: apply the EXIF rotation.

    Raises:
        DataError: missing, truncated, corrupt or absurdly large.
    """
    try:
        with Image.open(path) as image:
            _refuse_bomb(image, path)
            pixels = ImageOps.exif_transpose(image) if turn else image
            return _rgba(pixels)
    except DataError:
        raise
    except Exception as error:  # Decoders raise whatever they like, from OSError to SyntaxError.
        raise unreadable("image", path, error) from error


def read_mask(path: Path, *, turn: bool = False) -> Float[Tensor, "h w 1"]:
    """Coverage in [0, 1]: the alpha channel where it is used, otherwise the brightness.

    Files of labels instead of brightness count as 1 wherever they are not black: those whose largest value is 1 (of 255, or
    of 65535), and indexed ones with colours.

    Raises:
        DataError: missing, truncated, corrupt or absurdly large.
    """
    mask, labels = _mask_and_kind(path, turn)
    return (mask > 0).float() if labels else mask


def holds_labels(path: Path) -> bool:
    """Whether :func:`read_mask` takes the numbers of a mask file for labels instead of brightness.

    Raises:
        DataError: missing, truncated, corrupt or absurdly large.
    """
    return _mask_and_kind(path, turn=False)[1]


def _mask_and_kind(path: Path, turn: bool) -> tuple[Float[Tensor, "h w 1"], bool]:
    """Alpha or brightness as stored, and whether the latter is labels."""
    pixels = read_image(path, turn=turn)
    if pixels.shape[-1] == 4 and bool((pixels[..., 3] < 1).any()):
        return pixels[..., 3:], False
    colours = pixels[..., :3]
    brightness = colours.mean(dim=-1, keepdim=True)
    dark = 0 < float(colours.max()) < _TWO_STEPS
    return brightness, dark or (_is_indexed(path) and bool((colours != colours[..., :1]).any()))


def _is_indexed(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("P", "PA")


def read_depth(path: Path) -> Float[Tensor, "h w"]:
    """Depth as stored (PNG of 8, 16 or 32 bits, TIFF, EXR or .npy); what is not a positive finite number becomes 0.

    Raises:
        DataError: missing, corrupt, or not one value per pixel.
        MissingDependencyError: an EXR file, and what reads these is not installed.
    """
    try:
        if path.suffix.lower() == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix.lower() == ".exr":
            values = read_exr(path)
        else:
            with Image.open(path) as image:
                _refuse_bomb(image, path)
                values = np.asarray(image)
        depth = torch.from_numpy(values.astype(np.float32))
    except NovelviewError:
        raise
    except Exception as error:  # Decoders raise whatever they like, from OSError to SyntaxError.
        raise unreadable("depth map", path, error) from error
    if depth.ndim != 2:
        raise DataError(
            "A depth map must have one value per pixel",
            where=path,
            why=f"its shape is {tuple(depth.shape)}",
            cure="store depth along z as 16-bit grey PNG or a 2-dimensional .npy array",
        )
    return torch.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)


def unreadable(kind: str, path: Path, error: Exception) -> DataError:
    """The error for a file that cannot be decoded, with the cause in plain words."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return _bomb(path, str(error))
    if isinstance(error, FileNotFoundError):
        return DataError(
            f"A file is missing: the {kind} of a view", where=path, cure="restore it, or leave its view out"
        )
    if isinstance(error, UnidentifiedImageError):
        why = (
            "it is empty"
            if path.is_file() and path.stat().st_size == 0
            else "it is not an image Pillow knows"
        )
    else:
        why = str(error) or type(error).__name__
    return DataError(
        f"Cannot read the {kind} of a view",
        where=path,
        why=why,
        cure="copy the file again from its source, or leave its view out",
    )


def _refuse_bomb(image: Image.Image, path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise _bomb(path, f"{image.width} x {image.height} pixels, the limit is {limit / 1e6:.0f} million")


def _bomb(path: Path, why: str) -> DataError:
    return DataError("An image is suspiciously large", where=path, why=why, cure="make it smaller first")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _rgba(image: Image.Image) -> Tensor:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips deep grey images to 255 when it converts them to RGB.
        top = 1.0 if image.mode == "F" else 65535.0
        grey = torch.from_numpy(np.asarray(image).astype(np.float32)) / top
        return grey.clamp(0, 1)[..., None].repeat(1, 1, 3)
    return torch.from_numpy(np.array(image.convert("RGBA" if _has_alpha(image) else "RGB"))).float() / 255
