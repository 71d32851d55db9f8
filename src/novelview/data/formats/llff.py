"""LLFF: a folder of photographs with ``poses_bounds.npy``; and the frame in which NeRF trains on such captures.

Layout of the file: github.com/Fyusion/LLFF, "Using your own poses without running COLMAP".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from novelview.cameras.conventions import from_llff_axes
from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import read_header
from novelview.data.formats.paths import Folder, photographs
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import PosedView, assemble, depth_range
from novelview.errors import DataError
from novelview.geometry.rigid import Similarity

_FILE = "poses_bounds.npy"


class LlffReader(Reader):
    """Reads ``poses_bounds.npy``."""

    name = "llff"
    title = "LLFF"
    looks_for = _FILE

    def detect(self, path: Path) -> bool:
        return (path.name == _FILE and path.is_file()) or (path / _FILE).is_file()

    def read(self, path: Path) -> Capture:
        """The capture of a folder with ``poses_bounds.npy`` and ``images``, ``images_4``, ``images_8``, …

        The largest images whose size is that of the file, up to one factor, are taken; they belong to the
        poses in the order of their names. The frame is the file's own, see :func:`llff_normalise`.
        """
        root = path.parent if path.is_file() else path
        rows = _read_rows(root / _FILE)
        matrices, bounds = rows[:, :15].reshape(-1, 3, 5), rows[:, 15:]
        poses = from_llff_axes(torch.from_numpy(matrices[:, :, :4])).numpy()
        files, (w, h), note = _matching_images(root, matrices[0, :2, 4], len(rows))
        views = []
        for file, pose, stated, (near, far) in zip(
            files, poses, matrices[:, :, 4].tolist(), bounds.tolist(), strict=True
        ):
            height, width, focal = stated
            view = PosedView(
                files=ImageFiles(file),
                camera_to_world=pose,
                intrinsics=(focal * w / width, focal * h / height, w / 2, h / 2),
                size=(w, h),
                near_far=depth_range(near, far, file.name, root / _FILE),
            )
            views.append(view)
        return assemble(path, self.name, views, notes=[note])


def llff_normalise(
    camera_to_world: Float[Tensor, "n 3 4"],
    near_far: Float[Tensor, "n 2"],
    *,
    recentre: bool = True,
    spherify: bool = False,
) -> Similarity:
    """The map from the frame of ``poses_bounds.npy`` to the one in which NeRF trains on LLFF captures.

    The nearest depth becomes 4/3 (so that NDC's near plane lies in front of it); ``recentre`` moves the average
    camera to the origin, looking along -z with y up; ``spherify``, for cameras around an object, moves the
    point that they look at to the origin and makes their root-mean-square distance from it 1. NeRF (ECCV 2020),
    appendix C, and the preprocessing that its successors share.

    Args:
        camera_to_world: OpenCV axes.
        near_far: depth range of each view.
    """
    poses = camera_to_world.double()
    frame = _scaling(1 / (0.75 * float(near_far.min())))
    if recentre:
        frame = frame.then(_into(_average(frame.poses(poses))))
    if spherify:
        around = _into(_around(frame.poses(poses)))
        centres = frame.then(around).poses(poses)[:, :, 3]
        frame = frame.then(around).then(_scaling(float(centres.square().sum(dim=-1).mean().rsqrt())))
    return frame


def most_central_view(camera_to_world: Float[Tensor, "n 3 4"]) -> int:
    """The view nearest to the mean position: what NeRF holds out when no other split is asked for."""
    centres = camera_to_world[:, :, 3].double()
    return int((centres - centres.mean(dim=0)).square().sum(dim=-1).argmin())


def _read_rows(path: Path) -> Float64[np.ndarray, "n 17"]:
    try:
        # Mapped, so that a header that lies about the shape cannot ask for more memory than the file has bytes.
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "fiu" or stored.ndim != 2:
            raise ValueError("it is not a matrix of numbers")
        if stored.shape[1] != 17 or not len(stored):
            raise ValueError(f"its shape is {stored.shape}, expected (views, 17)")
        rows = np.array(stored, dtype=np.float64)
        if not (rows[:, [4, 9]] == rows[0, [4, 9]]).all() or not (rows[0, [4, 9]] >= 1).all():
            raise ValueError("its views differ in image size, or have none")
        return rows
    except (
        Exception
    ) as error:  # NumPy raises whatever it likes at a broken header, tokenize's errors included.
        raise DataError(
            "Cannot read LLFF poses",
            where=path,
            why=str(error) or type(error).__name__,
            cure="write the file again with LLFF's imgs2poses",
        ) from error


def _matching_images(
    root: Path, stated: Float64[np.ndarray, " 2"], count: int
) -> tuple[list[Path], tuple[int, int], str]:
    """Images, their size (width, height) and a note on the choice; ``stated`` is (height, width) of the file."""
    candidates = [root / "images", *sorted(root.glob("images_*"), key=_factor)]
    tried = []
    for folder in candidates:
        files = photographs(folder)
        if not files:
            continue
        size = read_header(files[0]).size
        if not _same_shape(size, stated):
            tried.append(f"{folder.name} has {size[0]}x{size[1]}")
            continue
        if len(files) != count:
            raise DataError(
                f"{count} poses and {len(files)} images do not fit together",
                where=folder,
                why="LLFF gives one pose per image in the order of the file names",
                cure="restore the missing images, or remove those that LLFF did not use",
            )
        inside = Folder(root)
        found = [inside.find(f"{folder.name}/{file.name}", root / _FILE) or file for file in files]
        return found, size, f"Images are those of {folder.name}, {size[0]}x{size[1]}."
    raise DataError(
        "There are no images that fit the LLFF poses",
        where=root,
        why=f"expected {stated[1]:g}x{stated[0]:g} or smaller by one factor; {'; '.join(tried) or 'found none'}",
        cure="put the photographs into 'images', or smaller ones into 'images_4' or 'images_8'",
    )


def _factor(folder: Path) -> tuple[int, str]:
    text = folder.name.removeprefix("images_")
    return (int(text) if text.isdecimal() else 1 << 30, text)


def _same_shape(size: tuple[int, int], stated: Float64[np.ndarray, " 2"]) -> bool:
    """Whether both sizes have one shape, up to rounding to whole pixels."""
    (w, h), (height, width) = size, stated.tolist()
    return abs(w * height - h * width) <= 0.5 * (width + height)


def _scaling(scale: float) -> Similarity:
    return Similarity(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))


def _into(pose: Float[Tensor, "3 4"]) -> Similarity:
    """World to camera of ``pose``."""
    return Similarity(1.0, pose[:, :3], pose[:, 3]).inverse()


def _average(camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3 4"]:
    """Average camera with axes right, up, back."""
    up, back = -camera_to_world[:, :, 1].sum(dim=0), -camera_to_world[:, :, 2].sum(dim=0)
    return _looking(up, back, camera_to_world[:, :, 3].mean(dim=0))


def _around(camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "3 4"]:
    """A frame in the point nearest to all optical axes, z towards the mean camera."""
    forward, centres = camera_to_world[:, :, 2], camera_to_world[:, :, 3]
    across = torch.eye(3, dtype=forward.dtype) - forward[:, :, None] * forward[:, None, :]
    # Least squares by the pseudo-inverse: parallel axes have no such point, but one answer of least norm.
    target = torch.linalg.pinv(across.sum(dim=0)) @ (across @ centres[..., None]).sum(dim=0)[:, 0]
    back = (centres - target).mean(dim=0)
    right = torch.linalg.cross(torch.tensor([0.1, 0.2, 0.3], dtype=back.dtype), back)
    return _looking(torch.linalg.cross(back, right), back, target)


def _looking(up: Float[Tensor, " 3"], back: Float[Tensor, " 3"], centre: Float[Tensor, " 3"]) -> Tensor:
    z = back / back.norm()
    x = torch.linalg.cross(up, z)
    x = x / x.norm()
    return torch.stack([x, torch.linalg.cross(z, x), z, centre], dim=1)
