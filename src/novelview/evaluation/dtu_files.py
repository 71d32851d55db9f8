"""The files of the DTU data set that its protocol reads: scans, observability masks and ground planes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from novelview.errors import DataError, MissingDependencyError, import_extra
from novelview.evaluation.dtu import ObservedRegion


@dataclass(frozen=True)
class ScanFiles:
    """Of one scan.

    Attributes:
        points: ``stl024_total.ply``, the structured-light scan, mm.
        region: ``ObsMask24_10.mat``, where the scanner could see something.
        plane: ``Plane24.mat``, the table.
    """

    points: Path
    region: Path
    plane: Path


def find_scan(folder: str | Path, number: int) -> ScanFiles:
    """The files of one scan in the data set's folder, or all in one folder.

    Args:
        folder: with ``Points/stl`` and ``ObsMask``, as the data set has them; files are looked for in it as well.
        number: of the scan, from 1.

    Raises:
        DataError: a file is missing; the error names it.
    """
    folder = Path(folder)
    return ScanFiles(
        points=_found(folder, "Points/stl", f"stl{number:03d}_total.ply"),
        region=_found(folder, "ObsMask", f"ObsMask{number}_10.mat"),
        plane=_found(folder, "ObsMask", f"Plane{number}.mat"),
    )


def _found(folder: Path, inner: str, name: str) -> Path:
    for path in (folder / inner / name, folder / name):
        if path.is_file():
            return path
    raise DataError(
        f"A file of DTU's evaluation is missing: {name}",
        where=folder,
        why=f"it is neither in {inner} there, nor in the folder itself",
        cure="name the folder of the data set that holds ObsMask and Points (SampleSet's 'MVS Data'), and a scan it has",
    )


def read_region(path: str | Path) -> ObservedRegion:
    """The observability mask of a scan, from ``ObsMask*_10.mat`` of the data set.

    Raises:
        DataError: the file cannot be read or holds something else.
        MissingDependencyError: scipy is not installed.
    """
    seen, box, spacing = _read_matlab(path, "ObsMask", "BB", "Res")
    if seen.ndim != 3 or box.shape != (2, 3) or spacing.size != 1 or not float(spacing.item()) > 0:
        raise DataError(
            "This is no observability mask",
            where=path,
            why=f"ObsMask {seen.shape}, BB {box.shape}, Res {spacing.shape}",
            cure="give ObsMask<scan>_10.mat",
        )
    return ObservedRegion(seen.astype(bool), box[0].astype(np.float64), float(spacing.item()))


def read_plane(path: str | Path) -> Float[np.ndarray, " 4"]:
    """The table that a scan stands on, from ``Plane*.mat`` of the data set: a, b, c, d with the object where
    ax + by + cz + d > 0.

    Raises:
        DataError: the file cannot be read or holds something else.
        MissingDependencyError: scipy is not installed.
    """
    (plane,) = _read_matlab(path, "P")
    if plane.size != 4:
        raise DataError("This is no plane", where=path, why=f"P {plane.shape}", cure="give Plane<scan>.mat")
    return plane.astype(np.float64).reshape(4)


def _read_matlab(path: str | Path, *names: str) -> list[np.ndarray]:
    try:
        values = import_extra("scipy.io", "mesh").loadmat(str(path))
    except MissingDependencyError:
        raise
    except Exception as error:  # scipy's readers fail on a damaged file in many ways.
        raise DataError("Cannot read this MATLAB file", where=path, why=str(error)) from error
    missing = [name for name in names if not isinstance(values.get(name), np.ndarray)]
    if missing:
        raise DataError("A variable is missing in this MATLAB file", where=path, why=", ".join(missing))
    return [values[name] for name in names]
