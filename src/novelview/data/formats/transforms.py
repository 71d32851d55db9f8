"""``transforms.json`` as nerfstudio and instant-ngp write it: OpenGL camera-to-world poses, one object per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from novelview.data.capture import Capture
from novelview.data.formats.frames import PARTITIONS, normal_path, read_frames
from novelview.data.formats.paths import Folder, listed
from novelview.data.formats.ply import read_points
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import assemble
from novelview.errors import DataError
from novelview.fields import Fields, read_json_object


class TransformsReader(Reader):
    """Reads ``transforms.json``."""

    name = "transforms"
    title = "nerfstudio / instant-ngp"
    looks_for = "transforms.json"

    def detect(self, path: Path) -> bool:
        return _defining_file(path).is_file()

    def read(self, path: Path) -> Capture:
        """The capture of a folder with ``transforms.json``, or of a JSON file of that kind.

        Poses are taken as they are written: nerfstudio's ``applied_transform`` is noted, not undone.
        """
        file = _defining_file(path)
        data, folder = read_json_object(file, DataError), Folder(file.parent)
        frames = read_frames(data, folder)
        points, point_notes = _points(data, folder)
        return assemble(
            path,
            self.name,
            frames.views,
            points=points,
            box=_box(data),
            partition=_partition(data, frames.listed_as),
            notes=(*frames.notes, *point_notes, *_applied(data)),
        )


def _defining_file(path: Path) -> Path:
    return path if path.suffix.lower() == ".json" else path / "transforms.json"


def _points(data: Fields, folder: Folder) -> tuple[Float64[np.ndarray, "p 3"] | None, list[str]]:
    """Points of the PLY file that is named, and a note when it is missing."""
    text = data.text("ply_file_path")
    if not text:
        return None, []
    found = folder.find(text, data.path)
    if found is None:
        return None, [f"The point cloud {listed([text])} is missing."]
    return read_points(found), []


def _box(data: Fields) -> Float64[np.ndarray, "2 3"] | None:
    """The region of interest, unless it is in instant-ngp's own unit cube, which "scale" and "offset" give away."""
    box = data.matrix("aabb")
    if box is None or "scale" in data.values or "offset" in data.values:
        return None
    if box.shape != (2, 3):
        raise data.wrong("aabb", box.tolist(), "two corners of three numbers")
    return box


def _partition(data: Fields, listed_as: tuple[str, ...]) -> dict[str, tuple[int, ...]] | None:
    position = {name: i for i, name in enumerate(listed_as)}
    parts = {}
    for part, key in PARTITIONS.items():
        names = data.texts(key)
        if names is not None:
            parts[part] = tuple(position[normal_path(n)] for n in names if normal_path(n) in position)
    return parts or None


def _applied(data: Fields) -> list[str]:
    stated = data.get("applied_transform") is not None
    return ["The poses contain nerfstudio's applied_transform; it was left in."] * stated
