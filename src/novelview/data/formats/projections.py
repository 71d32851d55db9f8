"""What the layouts of IDR and DVR share: projection matrices in ``cameras.npz``, one per image, beside folders of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from novelview.data.formats.paths import IMAGE_SUFFIXES, Folder, photographs
from novelview.errors import DataError

CAMERA_FILES = ("cameras.npz", "cameras_sphere.npz")  # NeuS calls its own so.
_IMAGE_FOLDERS = ("image", "rgb", "images")
_SKEW = 1e-3  # Of the focal length: rounding to 32 bits leaves less, and nothing here renders more.


def camera_file(path: Path) -> Path | None:
    """The .npz file of cameras that ``path`` is, or that lies in this folder."""
    if path.is_file():
        return path if path.suffix.lower() == ".npz" else None
    return next((path / name for name in CAMERA_FILES if (path / name).is_file()), None)


def image_files(file: Path) -> list[Path]:
    """The photographs beside a file of cameras, in the order of their names, which is that of the matrices.

    Raises:
        DataError: there is none, or one is a link that leaves the folder.
    """
    for name in _IMAGE_FOLDERS:
        found = _files(file, name, IMAGE_SUFFIXES)
        if found:
            return found
    raise DataError(
        "The photographs of these cameras are missing",
        where=file,
        why=f"there are no images in {', '.join(_IMAGE_FOLDERS)} beside it",
        cure="put the photographs into a folder named 'image' beside the file",
    )


def partners(
    file: Path, images: Sequence[Path], folder: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> list[Path] | list[None]:
    """For every image the file of ``folder`` that belongs to it: by their names, else by the order of names.

    Args:
        file: of the cameras, beside the folder.
        images: in the order of their names.
        folder: its name; where it is absent or empty, no image has a partner.
        suffixes: of the files in it.

    Raises:
        DataError: there are more or fewer files than images; a link leaves the capture.
    """
    files = _files(file, folder, suffixes)
    if not files:
        return [None] * len(images)
    if len(files) != len(images):
        raise DataError(
            f"{len(images)} images and {len(files)} files in {folder!r} do not fit together",
            where=file.parent / folder,
            why="each image has one of these, in the order of the names",
            cure="restore the missing files, or remove those that belong to no image",
        )
    by_stem = {partner.stem: partner for partner in files}
    stems = [image.stem for image in images]
    return [by_stem[stem] for stem in stems] if by_stem.keys() == set(stems) else files


def _files(file: Path, folder: str, suffixes: tuple[str, ...]) -> list[Path]:
    inside = Folder(file.parent)
    found = [
        inside.find(f"{folder}/{entry.name}", file) for entry in photographs(file.parent / folder, suffixes)
    ]
    return [entry for entry in found if entry is not None]


def decompose(
    projection: Float64[np.ndarray, "3 4"], name: str, path: Path
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, "3 4"]]:
    """Intrinsic matrix and camera-to-world pose of a projection K [R | t] (RQ decomposition).

    Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 6.2.4.

    Args:
        projection: world to homogeneous coordinates in the image, of which the last is a positive multiple of the depth.
        name: of the matrix, for errors.
        path: its file, for errors.

    Returns:
        K upper triangular, its diagonal positive and its last entry 1; rows of a proper rotation and the camera's centre,
        OpenCV axes.

    Raises:
        DataError: singular, mirroring, or skewed by more than a thousandth of the focal length.
    """
    projection = projection / max(float(np.linalg.norm(projection[2, :3])), np.finfo(float).tiny)
    matrix = projection[:, :3]
    volume = float(np.linalg.det(matrix))
    if not volume > 0:
        raise _impossible(
            name, path, f"the determinant of its left 3x3 block is {volume:g}, and must be positive"
        )
    # QR of the transposed rows in reverse order is RQ of the matrix, but for the signs.
    orthogonal, triangular = np.linalg.qr(matrix[::-1].T)
    upper, rotation = triangular.T[::-1, ::-1], orthogonal.T[::-1]
    signs = np.sign(np.diag(upper))
    upper, rotation = upper * signs, rotation * signs[:, None]
    upper = upper / upper[2, 2]
    if not abs(upper[0, 1]) <= _SKEW * upper[0, 0]:
        raise _impossible(
            name,
            path,
            f"its pixels are skewed: K has {upper[0, 1]:g} beside the focal length {upper[0, 0]:g}",
        )
    centre = -np.linalg.solve(matrix, projection[:, 3])
    return upper, np.concatenate([rotation.T, centre[:, None]], axis=1)


def _impossible(name: str, path: Path, why: str) -> DataError:
    return DataError(
        f"{name} is no projection of a camera",
        where=path,
        why=why,
        cure="write K [R | t] with axes right, down, forward and without skew",
    )


def object_frame(scales: Float64[np.ndarray, "n 4 4"], path: Path) -> Float64[np.ndarray, "4 4"]:
    """The one map from the object's frame to the world that all views share.

    Raises:
        DataError: views differ in it, so that they share no world.
    """
    size = np.abs(scales[0]).max()
    if not np.allclose(scales, scales[0], rtol=0, atol=1e-4 * size):
        raise DataError(
            "The views do not share one world frame",
            where=path,
            why="their matrices scale_mat differ",
            cure="multiply each world_mat by its own scale_mat, and write one scale_mat for all",
        )
    return np.array(scales[0])
