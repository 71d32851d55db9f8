"""From what a reader found to a :class:`Capture`: the checks that every format shares, in one place."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64

from novelview.cameras.cameras import Cameras
from novelview.data.capture import Capture, ImageFiles
from novelview.data.formats.paths import listed
from novelview.errors import DataError
from novelview.geometry.lenses import Lens

DRIFT = 1e-2  # Largest entry of R^T R - 1 that still passes for rounding.
_LARGEST_SIDE = 1_000_000
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
    """

    files: ImageFiles
    camera_to_world: Float64[np.ndarray, "3 4"]
    intrinsics: tuple[float, float, float, float]
    size: tuple[int, int]
    lens: Lens = Lens.PINHOLE
    distortion: tuple[float, ...] = (0.0,) * 8
    near_far: tuple[float, float] | None = None


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

    Views are named by their image files, relative to the deepest folder that holds them all.

    Raises:
        DataError: there is no view; a pose is not rigid; a camera is impossible; an image is listed twice.
    """
    if not views:
        raise DataError("There is no posed view", where=path, cure="check that the capture lists photographs")
    names = _names(path, views)
    poses = np.stack([rigid(v.camera_to_world, name, path) for v, name in zip(views, names, strict=True)])
    for view, name in zip(views, names, strict=True):
        _check_camera(view, name, path)
    partition, overlap = _disjoint(partition)
    near_far = [v.near_far for v in views if v.near_far is not None]
    lenses = [Lens.PINHOLE if v.lens == Lens.OPENCV and not any(v.distortion) else v.lens for v in views]
    return Capture(
        path=path,
        format=format,
        cameras=Cameras(
            camera_to_world=torch.from_numpy(poses).float(),
            intrinsics=torch.tensor([v.intrinsics for v in views], dtype=torch.float32),
            sizes=torch.tensor([v.size for v in views]),
            lens=torch.tensor([int(lens) for lens in lenses]),
            distortion=torch.tensor([v.distortion for v in views], dtype=torch.float32),
        ),
        names=names,
        files=tuple(v.files for v in views),
        near_far=torch.tensor(near_far, dtype=torch.float32) if len(near_far) == len(views) else None,
        points=None if points is None else _finite_points(points),
        box=None if box is None else _checked_box(box, path),
        partition=partition,
        background=background,
        notes=(*notes, *overlap, *_pose_notes(poses)),
    )


def rigid(pose: Float64[np.ndarray, "3 4"], name: str, path: Path) -> Float64[np.ndarray, "3 4"]:
    """The rigid motion nearest to a pose that is rigid up to rounding (polar decomposition).

    Raises:
        DataError: the pose is not finite, scaled, sheared or mirrored.
    """
    rotation = pose[:, :3]
    why = None
    if not bool((np.abs(pose) < _LARGEST_NUMBER).all()):
        why = "it holds numbers that are not finite or absurdly large"
    elif float(np.abs(rotation.T @ rotation - np.eye(3)).max()) > DRIFT:
        lengths = ", ".join(f"{length:.4g}" for length in np.linalg.norm(rotation, axis=0))
        why = f"its axes have lengths {lengths} or are not at right angles"
    elif np.linalg.det(rotation) < 0:
        why = "it mirrors the world: its axes are left-handed"
    if why is not None:
        raise DataError(
            f"The pose of view {name!r} is not a rigid motion",
            where=path,
            why=why,
            cure="write rotation and translation only, camera to world; undo scales and axis swaps first",
        )
    u, _, vt = np.linalg.svd(rotation)
    return np.concatenate([u @ vt, pose[:, 3:]], axis=1)


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


def _names(path: Path, views: Sequence[PosedView]) -> tuple[str, ...]:
    files = [view.files.image for view in views]
    folder = posixpath.commonpath([file.parent.as_posix() for file in files])
    names = tuple(file.relative_to(folder).as_posix() for file in files)
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


def _check_camera(view: PosedView, name: str, path: Path) -> None:
    fx, fy, cx, cy = view.intrinsics
    why = None
    if not all(1 <= side <= _LARGEST_SIDE for side in view.size):
        why = f"its image size is {view.size[0]}x{view.size[1]}"
    elif not (1e-6 < fx < _LARGEST_NUMBER and 1e-6 < fy < _LARGEST_NUMBER):
        why = f"its focal lengths are {fx:g} and {fy:g}"
    elif not (abs(cx) < _LARGEST_NUMBER and abs(cy) < _LARGEST_NUMBER):
        why = f"its principal point is ({cx:g}, {cy:g})"
    elif not all(abs(k) < _LARGEST_NUMBER for k in view.distortion):
        why = "its lens coefficients are not finite or absurdly large"
    if why is not None:
        raise DataError(
            f"The camera of view {name!r} is impossible",
            where=path,
            why=why,
            cure="image size and focal lengths are in pixels and positive",
        )


def _finite_points(points: Float64[np.ndarray, "p 3"]) -> Float[torch.Tensor, "q 3"] | None:
    kept = points[(np.abs(points) < _LARGEST_NUMBER).all(axis=1)]
    return torch.from_numpy(kept).float() if len(kept) else None


def _checked_box(box: Float64[np.ndarray, "2 3"], path: Path) -> Float[torch.Tensor, "2 3"]:
    if not bool((box[0] < box[1]).all() and (np.abs(box) < _LARGEST_NUMBER).all()):
        raise DataError(
            "The region of interest is empty",
            where=path,
            why=f"lower corner {box[0].tolist()}, upper corner {box[1].tolist()}",
            cure="the lower corner must be below the upper one in every axis",
        )
    return torch.from_numpy(box).float()


def _pose_notes(poses: Float64[np.ndarray, "n 3 4"]) -> list[str]:
    if len(poses) == 1:
        return ["There is a single view: most methods need more."]
    centres = poses[:, :, 3]
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    # A camera position that 32 bits can only place to a thousandth of the capture's size is visibly wrong.
    if float(np.abs(centres).max()) * _FLOAT32_STEP > 1e-3 * spread > 0:
        return ["The cameras are so far from the origin that 32-bit numbers lose detail: subtract an offset."]
    return []
