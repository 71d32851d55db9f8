"""From what a reader found to a :class:`Capture`: the checks that every format shares, in one place."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64

from novelview.cameras.cameras import LONGEST_SIDE, Cameras
from novelview.data.capture import Capture, ImageFiles
from novelview.data.formats.masks import masks_beside
from novelview.data.formats.paths import listed
from novelview.errors import CameraError, DataError
from novelview.geometry.lenses import Lens

_LARGEST_NUMBER = 1e12  # Squares of larger numbers leave the range of float32 soon.
_FLOAT32_STEP = 2.0**-23


@dataclass(frozen=True)
class PosedView:
    """One view as a reader found it.

    Attributes:
        files: its files.
        camera_to_world: OpenCV axes, input frame.
        intrinsics: fx, fy, cx, cy in pixels of an image of ``size``.
        size: width, height.
        lens: distortion model.
        distortion: the eight coefficients of ``lens``.
        near_far: depth range, where known.
        seen: which rows of the sparse points it sees, where known.
    """

    files: ImageFiles
    camera_to_world: Float64[np.ndarray, "3 4"]
    intrinsics: tuple[float, float, float, float]
    size: tuple[int, int]
    lens: Lens = Lens.PINHOLE
    distortion: tuple[float, ...] = (0.0,) * 8
    near_far: tuple[float, float] | None = None
    seen: Int64[np.ndarray, " _"] | None = None


def assemble(
    path: Path,
    format: str,
    views: Sequence[PosedView],
    *,
    points: Float64[np.ndarray, "p 3"] | None = None,
    box: Float64[np.ndarray, "2 3"] | None = None,
    partition: dict[str, tuple[int, ...]] | None = None,
    background: tuple[float, float, float] | None = None,
    notes: Sequence[str] = (),
) -> Capture:
    """The capture of these views.

    Views are named by their image files, relative to the deepest folder that holds them all. Where no view has a mask,
    those in a folder ``masks`` beside that of the images are taken.

    Raises:
        DataError: there is no view; a pose is not rigid or a camera otherwise impossible; an image is listed twice.
    """
    if not views:
        raise DataError("There is no posed view", where=path, cure="check that the capture lists photographs")
    folder = _common_folder(views)
    names = _names(path, views, folder)
    cameras = _cameras(path, views, names)
    files, mask_notes = masks_beside(path, folder, [view.files for view in views])
    partition, overlap = _disjoint(partition)
    near_far = [v.near_far for v in views if v.near_far is not None]
    usable = None if points is None else (np.abs(points) < _LARGEST_NUMBER).all(axis=1)
    return Capture(
        path=path,
        format=format,
        cameras=cameras,
        names=names,
        files=files,
        near_far=torch.tensor(near_far, dtype=torch.float32) if len(near_far) == len(views) else None,
        points=torch.from_numpy(points[usable]).float() if points is not None and np.any(usable) else None,
        seen=None if usable is None else _seen(views, usable),
        box=None if box is None else _checked_box(box, path),
        partition=partition,
        background=background,
        notes=(
            *notes,
            *mask_notes,
            *overlap,
            *_centre_notes(np.stack([v.camera_to_world[:, 3] for v in views])),
        ),
    )


def missing_images_note(missing: list[str], total: int, path: Path) -> str:
    """The sentence about images that are listed but not there; raises ``DataError`` when hardly any are left.

    Hardly any: fewer than two, or fewer than a tenth of those listed.
    """
    left = total - len(missing)
    if left < max(min(2, total), 0.1 * total):
        raise DataError(
            f"{len(missing)} of {total} listed images are missing",
            where=path,
            why=f"not found: {listed(missing)}",
            cure="put the images where the file says, or correct the names in it",
        )
    return f"{len(missing)} of {total} listed images are missing and were left out: {listed(missing)}."


def depth_range(near: float, far: float, name: str, path: Path) -> tuple[float, float]:
    """A depth range that makes sense, or ``DataError``."""
    if not 0 < near < far < _LARGEST_NUMBER:
        raise DataError(
            f"The depth range of view {name!r} makes no sense",
            where=path,
            why=f"near {near:g}, far {far:g}",
            cure="near must be positive and smaller than far",
        )
    return near, far


def _common_folder(views: Sequence[PosedView]) -> Path:
    return Path(posixpath.commonpath([view.files.image.parent.as_posix() for view in views]))


def _names(path: Path, views: Sequence[PosedView], folder: Path) -> tuple[str, ...]:
    names = tuple(view.files.image.relative_to(folder).as_posix() for view in views)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            "An image is listed more than once",
            where=path,
            why=listed(twice),
            cure="keep one pose per image",
        )
    return names


def _disjoint(
    partition: dict[str, tuple[int, ...]] | None,
) -> tuple[dict[str, tuple[int, ...]] | None, list[str]]:
    """The partition without training views that are held out as well, and a note when there were any."""
    if partition is None:
        return None, []
    held_out = set(partition.get("test") or partition.get("val") or ())
    train = partition.get("train", ())
    both = [i for i in train if i in held_out]
    if not both:
        return partition, []
    note = f"{len(both)} views are listed for training and for testing; they are held out."
    return {**partition, "train": tuple(i for i in train if i not in held_out)}, [note]


def _cameras(path: Path, views: Sequence[PosedView], names: Sequence[str]) -> Cameras:
    """Proven cameras of the views; poses are made rigid before they lose digits."""
    lenses = [Lens.PINHOLE if v.lens == Lens.OPENCV and not any(v.distortion) else v.lens for v in views]
    # Whole numbers out of files may be too long for a tensor.
    sizes = [[max(0, min(side, LONGEST_SIDE + 1)) for side in v.size] for v in views]
    cameras = Cameras(
        camera_to_world=torch.from_numpy(np.stack([v.camera_to_world for v in views])),
        intrinsics=torch.tensor([v.intrinsics for v in views], dtype=torch.float32),
        sizes=torch.tensor(sizes),
        lens=torch.tensor([int(lens) for lens in lenses]),
        distortion=torch.tensor([v.distortion for v in views], dtype=torch.float32),
    )
    try:
        cameras = cameras.validated(names)
    except CameraError as error:
        raise DataError(
            f"The camera of view {str(error.where)!r} is impossible",
            where=path,
            why=error.why,
            cure=error.cure,
        ) from error
    return replace(cameras, camera_to_world=cameras.camera_to_world.float())


def _seen(
    views: Sequence[PosedView], usable: Bool[np.ndarray, " p"]
) -> tuple[Int64[torch.Tensor, " _"], ...] | None:
    """What each view sees of the points that are usable, by their rows among these; None where no view sees any."""
    row = np.cumsum(usable) - 1
    rows = [np.zeros(0, np.int64) if v.seen is None else row[v.seen[usable[v.seen]]] for v in views]
    return tuple(map(torch.from_numpy, rows)) if any(map(len, rows)) else None


def _checked_box(box: Float64[np.ndarray, "2 3"], path: Path) -> Float[torch.Tensor, "2 3"]:
    if not bool((box[0] < box[1]).all() and (np.abs(box) < _LARGEST_NUMBER).all()):
        raise DataError(
            "The region of interest is empty",
            where=path,
            why=f"lower corner {box[0].tolist()}, upper corner {box[1].tolist()}",
            cure="the lower corner must be below the upper one in every axis",
        )
    return torch.from_numpy(box).float()


def _centre_notes(centres: Float64[np.ndarray, "n 3"]) -> list[str]:
    if len(centres) == 1:
        return ["There is a single view: most methods need more."]
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    # A camera position that 32 bits can only place to a thousandth of the capture's size is visibly wrong.
    if float(np.abs(centres).max()) * _FLOAT32_STEP > 1e-3 * spread > 0:
        return ["The cameras are so far from the origin that 32-bit numbers lose detail: subtract an offset."]
    return []
