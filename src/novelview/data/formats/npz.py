"""Arrays of numbers out of .npz files, which are zip archives of .npy files; nothing in them is executed."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from novelview.data.formats.paths import listed, readable
from novelview.errors import DataError

_LARGEST = 1 << 30  # Bytes of one array: more is no camera and no sparse point cloud.
_LAST_ROW = np.array([[0.0, 0.0, 0.0, 1.0]])


def array_names(path: Path) -> frozenset[str]:
    """What the arrays of an .npz file are called; none where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except Exception:  # A damaged archive raises whatever it likes, and another reader may not need it.
        return frozenset()


def read_arrays(path: Path, pattern: str) -> dict[str, np.ndarray]:
    """The arrays whose names match a regular expression in full.

    Raises:
        DataError: no archive, or a wanted array is damaged, absurdly large or holds something else than numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [info for info in archive.infolist() if re.fullmatch(pattern, _name(info))]
            return {_name(info): _array(archive, info) for info in wanted}
    except Exception as error:  # zipfile, zlib and NumPy raise whatever they like at damaged bytes.
        raise DataError(
            "Cannot read the arrays of an .npz file",
            where=path,
            why=readable(str(error)) or type(error).__name__,
            cure="copy the file again from its source, or write it with numpy.savez",
        ) from error


def matrices(
    arrays: dict[str, np.ndarray], kind: str, count: int, path: Path
) -> Float64[np.ndarray, "n 4 4"]:
    """The matrices ``kind_0``, ``kind_1``, …; those of three rows get a fourth, 0 0 0 1.

    Args:
        arrays: of the file.
        kind: what they are called without their number.
        count: how many there must be.
        path: the file; for errors.

    Raises:
        DataError: one is missing, superfluous or no matrix of 3x4 or 4x4 finite numbers.
    """
    if f"{kind}_{count}" in arrays:
        raise DataError(
            f"There are more cameras than images: {kind}_{count} belongs to none of {count}",
            where=path,
            why="cameras are numbered in the order of the images' names, so that one missing image shifts all after it",
            cure="restore the missing images, or renumber the matrices",
        )
    wanted = [f"{kind}_{i}" for i in range(count)]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise DataError(
            f"Camera matrices are missing: {listed(missing)}",
            where=path,
            why=f"there are {count} images, and each needs its own",
            cure="write one matrix per image, numbered from 0 in the order of the images' names",
        )
    for name in wanted:
        if not _is_affine(arrays[name]):
            raise DataError(
                f"{name} is no camera matrix",
                where=path,
                why=f"its shape is {arrays[name].shape}; it must be finite, and its last row 0 0 0 1",
                cure="store matrices of 4x4 numbers, world to camera or to image",
            )
    return np.stack([np.concatenate([arrays[name][:3], _LAST_ROW]) for name in wanted])


def _is_affine(matrix: np.ndarray) -> bool:
    """Whether it has three rows of four finite numbers, and no other fourth row than 0 0 0 1."""
    if matrix.shape not in ((3, 4), (4, 4)) or not np.isfinite(matrix).all():
        return False
    return bool(np.allclose(matrix[3:], _LAST_ROW, atol=1e-4))


def _name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.file_size > _LARGEST:
        raise ValueError(f"{_name(info)} has {info.file_size} bytes")
    with archive.open(info) as stream:
        values = np.lib.format.read_array(stream, allow_pickle=False)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{_name(info)} holds {values.dtype} instead of numbers")
    return values.astype(np.float64)
