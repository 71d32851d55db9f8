"""COLMAP's sparse models, binary and text: cameras, images and points. Nothing else of COLMAP is needed.

Layout: colmap.github.io/format.html. Every count in a binary file is held against the bytes that are left
before anything of that size is made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from novelview.data.formats.camera_models import COLMAP_NAMES, camera_model
from novelview.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class ModelCamera:
    """A camera of the model: COLMAP's name of its lens model, image size, parameters in COLMAP's order."""

    model: str
    size: tuple[int, int]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ModelImage:
    """A posed image: world-to-camera quaternion (w, x, y, z) and translation, and the points it sees."""

    name: str
    camera: int
    quaternion: tuple[float, float, float, float]
    translation: tuple[float, float, float]
    points: Int64[np.ndarray, " p"]


@dataclass(frozen=True)
class Model:
    """A sparse model; ``point_ids`` is sorted and belongs to the rows of ``points``."""

    cameras: dict[int, ModelCamera]
    images: list[ModelImage]
    point_ids: Int64[np.ndarray, " p"]
    points: Float64[np.ndarray, "p 3"]


def is_model(folder: Path) -> bool:
    """Whether ``folder`` holds the cameras and images of a sparse model."""
    return any(all((folder / f"{n}{s}").is_file() for n in ("cameras", "images")) for s in (".bin", ".txt"))


def read_model(folder: Path) -> Model:
    """The model in ``folder``, binary files before text files; points are optional.

    Raises:
        DataError: a file is cut short or malformed, or a lens is not supported.
    """
    if (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file():
        cameras = _guarded(folder / "cameras.bin", _binary_cameras)
        images = _guarded(folder / "images.bin", _binary_images)
        points = _guarded(folder / "points3D.bin", _binary_points)
    else:
        cameras = _guarded(folder / "cameras.txt", _text_cameras)
        images = _guarded(folder / "images.txt", _text_images)
        points = _guarded(folder / "points3D.txt", _text_points)
    ids = np.array([i for i, _ in points or []], dtype=np.int64)
    positions = np.array([p for _, p in points or []], dtype=np.float64).reshape(-1, 3)
    order = np.argsort(ids, kind="stable")
    return Model(dict(cameras or []), images or [], ids[order], positions[order])


def _guarded(path: Path, parse: Callable[[Path], Iterator[T]]) -> list[T] | None:
    """What ``parse`` makes of the file, None without a file; its complaints become a ``DataError``."""
    if not path.is_file():
        return None
    try:
        return list(parse(path))
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise DataError(
            "Cannot read a COLMAP model",
            where=path,
            why=str(error),
            cure="export the model again: colmap model_converter --output_type BIN",
        ) from error


class _Bytes:
    """Reads little-endian values one after the other and never past the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def count(self, least: int) -> int:
        """A number of records of at least ``least`` bytes each, which must fit into what is left."""
        (count,) = self.take("Q")
        if count * least > len(self._data) - self._at:
            raise ValueError(f"it announces {count} records at byte {self._at} and ends before them")
        return int(count)

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        text = self._data[self._at : end].decode("utf-8")
        self._at = end + 1
        return text

    def array(self, kind: np.dtype, count: int) -> np.ndarray:
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += count * kind.itemsize
        return values

    def skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise ValueError(f"it ends {size - len(self._data) + self._at} bytes early")
        self._at += size

    def finish(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes follow its last record")


def _binary_cameras(path: Path) -> Iterator[tuple[int, ModelCamera]]:
    data = _Bytes(path.read_bytes())
    for _ in range(data.count(24)):
        number, model, width, height = data.take("IiQQ")
        name = COLMAP_NAMES[model] if 0 <= model < len(COLMAP_NAMES) else f"number {model}"
        parameters = data.take("d" * camera_model(name, path).parameters)
        yield number, ModelCamera(name, (width, height), parameters)
    data.finish()


_POINT2D = np.dtype([("xy", "<f8", 2), ("point", "<i8")])


def _binary_images(path: Path) -> Iterator[ModelImage]:
    data = _Bytes(path.read_bytes())
    for _ in range(data.count(73)):
        _, *pose, camera = data.take("I7dI")
        name = data.text()
        seen = data.array(_POINT2D, data.count(_POINT2D.itemsize))["point"]
        yield _image(name, camera, pose, seen[seen >= 0].astype(np.int64))
    data.finish()


def _binary_points(path: Path) -> Iterator[tuple[int, tuple[float, ...]]]:
    data = _Bytes(path.read_bytes())
    for _ in range(data.count(51)):
        number, x, y, z, *_ = data.take("q3d3Bd")
        data.skip(8 * data.count(8))
        yield number, (x, y, z)
    data.finish()


def _lines(path: Path) -> Iterator[str]:
    """Lines without comments; empty ones are kept, because an image without points has one."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.startswith("#"):
            yield line.strip()


def _text_cameras(path: Path) -> Iterator[tuple[int, ModelCamera]]:
    for line in filter(None, _lines(path)):
        number, name, width, height, *parameters = line.split()
        expected = camera_model(name, path).parameters
        if len(parameters) != expected:
            raise ValueError(f"camera {number} has {len(parameters)} parameters, {name} has {expected}")
        yield int(number), ModelCamera(name, (int(width), int(height)), tuple(map(float, parameters)))


def _text_images(path: Path) -> Iterator[ModelImage]:
    lines = _lines(path)
    for line in lines:
        if not line:
            continue
        _, *pose, camera, name = line.split(maxsplit=9)
        seen = np.array([int(word) for word in next(lines, "").split()[2::3]], dtype=np.int64)
        yield _image(name, int(camera), [float(value) for value in pose], seen[seen >= 0])


def _text_points(path: Path) -> Iterator[tuple[int, tuple[float, ...]]]:
    for line in filter(None, _lines(path)):
        number, x, y, z, *_ = line.split(maxsplit=4)
        yield int(np.int64(int(number))), (float(x), float(y), float(z))


def _image(name: str, camera: int, pose: list[float], points: Int64[np.ndarray, " p"]) -> ModelImage:
    w, x, y, z, *translation = pose
    a, b, c = translation
    return ModelImage(name, camera, (w, x, y, z), (a, b, c), points)
