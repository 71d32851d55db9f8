"""Camera models by the names that COLMAP gave them and other programs took over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from novelview.errors import DataError
from novelview.geometry.lenses import COEFFICIENTS, NAMES, Lens


@dataclass(frozen=True)
class CameraModel:
    """How COLMAP lays out the parameters of a model.

    Attributes:
        lens: our lens of the same formula.
        focals: 1 where fx = fy is stored once.
        coefficients: names of what follows focal lengths and principal point.
    """

    lens: Lens
    focals: int
    coefficients: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return self.focals + 2 + len(self.coefficients)


MODELS = {
    "SIMPLE_PINHOLE": CameraModel(Lens.PINHOLE, 1),
    "PINHOLE": CameraModel(Lens.PINHOLE, 2),
    "SIMPLE_RADIAL": CameraModel(Lens.OPENCV, 1, ("k1",)),
    "RADIAL": CameraModel(Lens.OPENCV, 1, ("k1", "k2")),
    "OPENCV": CameraModel(Lens.OPENCV, 2, ("k1", "k2", "p1", "p2")),
    "FULL_OPENCV": CameraModel(Lens.OPENCV, 2, NAMES[Lens.OPENCV]),
    "SIMPLE_FISHEYE": CameraModel(Lens.FISHEYE, 1),
    "FISHEYE": CameraModel(Lens.FISHEYE, 2),
    "SIMPLE_RADIAL_FISHEYE": CameraModel(Lens.FISHEYE, 1, ("k1",)),
    "RADIAL_FISHEYE": CameraModel(Lens.FISHEYE, 1, ("k1", "k2")),
    "OPENCV_FISHEYE": CameraModel(Lens.FISHEYE, 2, NAMES[Lens.FISHEYE]),
}

# Position = the number that COLMAP's binary files store.
COLMAP_NAMES = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "OPENCV_FISHEYE",
    "FULL_OPENCV",
    "FOV",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "THIN_PRISM_FISHEYE",
    "RAD_TAN_THIN_PRISM_FISHEYE",
    "SIMPLE_DIVISION",
    "DIVISION",
    "SIMPLE_FISHEYE",
    "FISHEYE",
    "EUCM",
    "EQUIRECTANGULAR",
)


def camera_model(name: str, where: Path) -> CameraModel:
    """The model called ``name``; raises ``DataError`` for one whose lens novelview does not have."""
    if name not in MODELS:
        raise DataError(
            f"The camera model {name[:60]!r} is not supported",
            where=where,
            why=f"supported are {', '.join(MODELS)}",
            cure="undistort the photographs first: colmap image_undistorter writes PINHOLE cameras",
        )
    return MODELS[name]


def distortion(lens: Lens, coefficients: dict[str, float]) -> tuple[float, ...]:
    """Eight coefficients in the order of ``lens``; those not given are zero."""
    values = [coefficients.get(name, 0.0) for name in NAMES[lens]]
    return tuple(values + [0.0] * (COEFFICIENTS - len(values)))


def from_colmap(
    model: CameraModel, parameters: Sequence[float]
) -> tuple[tuple[float, float, float, float], tuple[float, ...]]:
    """(fx, fy, cx, cy) and the eight lens coefficients out of COLMAP's parameter list."""
    focal, rest = parameters[: model.focals], parameters[model.focals :]
    coefficients = dict(zip(model.coefficients, rest[2:], strict=True))
    return (focal[0], focal[-1], rest[0], rest[1]), distortion(model.lens, coefficients)
