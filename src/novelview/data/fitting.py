"""Making photographs and cameras fit: sizes, EXIF rotations, masks, and the size that is delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from novelview.cameras.cameras import Cameras
from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import Header, holds_labels, read_header, read_image
from novelview.errors import ConfigError, DataError

MaskUse = Literal["object", "keep", "ignore"]
Size = tuple[int, int]


@dataclass(frozen=True)
class ImagePlan:
    """How the files of one view become its pixels.

    Attributes:
        files: what is read.
        turn: apply the photograph's EXIF rotation.
        size: width and height that are delivered.
    """

    files: ImageFiles
    turn: bool
    size: Size


@dataclass(frozen=True)
class Fitted:
    """Cameras and the pixels that belong to them.

    Attributes:
        plans: one per view.
        cameras: of the sizes that are delivered, in the frame of the input.
        has_masks: whether any view has coverage that leaves something out.
        notes: what was noticed, one sentence each.
    """

    plans: tuple[ImagePlan, ...]
    cameras: Cameras
    has_masks: bool
    notes: tuple[str, ...]


def fit_images(
    capture: Capture, *, scale: float = 1.0, max_side: int | None = None, masks: MaskUse = "object"
) -> Fitted:
    """Check every image file against its camera, and scale both.

    Only headers are read. An image of another size than its camera is accepted when both axes differ by the
    same exact ratio. EXIF rotations are ignored, as COLMAP ignores them, unless only the turned image fits.

    Args:
        capture: as its files describe it.
        scale: factor on width and height, at most 1; fractions of a pixel are rounded.
        max_side: alternatively, the longest side of the largest image; never enlarges.
        masks: see :class:`~novelview.data.images.FileImages`.

    Raises:
        DataError: a file is missing or unreadable, or does not fit its camera.
        ConfigError: ``scale`` or ``max_side`` makes no sense.
    """
    if len(capture.files) != len(capture.cameras) or not capture.files:
        raise DataError("There are no posed images", where=capture.path, cure="check the capture's folder")
    headers = [read_header(files.image) for files in capture.files]
    wanted: list[Size] = [(int(w), int(h)) for w, h in capture.cameras.sizes.tolist()]
    turns = [_needs_turn(f.image, h, s) for f, h, s in zip(capture.files, headers, wanted, strict=True)]
    stored = [h.turned_size if turn else h.size for h, turn in zip(headers, turns, strict=True)]
    factor = _factor(stored, scale, max_side)
    sizes = [(max(1, int(w * factor + 0.5)), max(1, int(h * factor + 0.5))) for w, h in stored]
    alpha = [h.alpha for h in headers]
    files = tuple(_checked(f, size, masks) for f, size in zip(capture.files, stored, strict=True))
    return Fitted(
        plans=tuple(ImagePlan(f, turn, s) for f, turn, s in zip(files, turns, sizes, strict=True)),
        cameras=resized(capture.cameras, sizes),
        has_masks=masks != "ignore" and (any(f.mask for f in files) or _transparent(files, alpha)),
        notes=(*_notes(headers, turns, wanted, stored), *_mask_notes(files)),
    )


def resized(cameras: Cameras, sizes: list[Size]) -> Cameras:
    """The same fields of view with images of these sizes; each axis keeps its own true ratio."""
    target = torch.tensor(sizes, dtype=cameras.sizes.dtype, device=cameras.device)
    ratio = target.to(cameras.intrinsics) / cameras.sizes.to(cameras.intrinsics)
    return replace(cameras, intrinsics=cameras.intrinsics * ratio.repeat(1, 2), sizes=target)


def _proportional(a: Size, b: Size) -> bool:
    return a[0] * b[1] == a[1] * b[0]


def _needs_turn(path: Path, header: Header, camera: Size) -> bool:
    if _proportional(header.size, camera):
        return False
    if _proportional(header.turned_size, camera):
        return True
    width, height = header.size
    raise DataError(
        "An image does not fit its camera",
        where=path,
        why=f"the image is {width}x{height}, its camera {camera[0]}x{camera[1]}: the axes scale differently",
        cure="crop or resize the image to its camera's proportions, or correct the camera's width and height",
    )


def _factor(stored: list[Size], scale: float, max_side: int | None) -> float:
    if not 0 < scale <= 1:
        raise ConfigError(
            f"Bad image scale {scale}", why="images are only made smaller", cure="0 < scale <= 1"
        )
    if max_side is None:
        return scale
    if scale != 1 or max_side < 1:
        raise ConfigError(
            f"Bad image size: scale {scale}, max_side {max_side}", cure="give one of the two, max_side >= 1"
        )
    return min(1.0, max_side / max(max(size) for size in stored))


def _checked(files: ImageFiles, size: Size, masks: MaskUse) -> ImageFiles:
    """The files without the mask that is not wanted; refuses a mask of other proportions."""
    if files.mask is None or masks == "ignore":
        return replace(files, mask=None)
    mask = read_header(files.mask)
    if _proportional(mask.size, size) or _proportional(mask.turned_size, size):
        return files
    raise DataError(
        "A mask does not fit its image",
        where=files.mask,
        why=f"the mask is {mask.size[0]}x{mask.size[1]}, the image {size[0]}x{size[1]}",
        cure="make the mask as large as its image, or open the scene without masks",
    )


def _transparent(files: tuple[ImageFiles, ...], alpha: list[bool]) -> bool:
    """Whether alpha channels hold anything: screenshots carry opaque ones. A few views stand for all."""
    chosen = [f for f, has in zip(files, alpha, strict=True) if has]
    few = chosen[:: max(1, len(chosen) // 4)][:5]
    return any(bool((read_image(f.image)[..., 3] < 1).any()) for f in few)


def _mask_notes(files: tuple[ImageFiles, ...]) -> tuple[str, ...]:
    """Whether masks hold labels. A few stand for all."""
    masks = [f.mask for f in files if f.mask is not None]
    few = masks[:: max(1, len(masks) // 4)][:5]
    if not any(holds_labels(mask) for mask in few):
        return ()
    return ("Masks hold labels, such as 0 and 1, instead of brightness: all that is not 0 is the object.",)


def _notes(
    headers: list[Header], turns: list[bool], wanted: list[Size], stored: list[Size]
) -> tuple[str, ...]:
    notes = []
    rotated = [turn for h, turn in zip(headers, turns, strict=True) if h.orientation != 1]
    if any(turns):
        notes.append(
            f"{sum(turns)} photographs were turned by their EXIF rotation: only so they fit their cameras."
        )
    if not all(rotated):
        ignored = len(rotated) - sum(rotated)
        notes.append(
            f"{ignored} photographs carry an EXIF rotation that was ignored: they fit as they are stored."
        )
    scaled = [(w, s) for w, s in zip(wanted, stored, strict=True) if w != s]
    if scaled:
        (a, b), (c, d) = scaled[0]
        notes.append(f"{len(scaled)} cameras were scaled to their images, the first from {a}x{b} to {c}x{d}.")
    return tuple(notes)
