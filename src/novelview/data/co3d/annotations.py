"""CO3Dv2's annotations: which sequences a category has, and camera, image and mask of every frame.

A data set is a folder with one folder per category, each with ``frame_annotations.jgz`` and ``sequence_annotations.jgz``;
paths in these are relative to the data set's folder. (Reizenstein et al., Common Objects in 3D, ICCV 2021, version 2.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import from_pytorch3d
from novelview.data.co3d.streaming import stream_objects
from novelview.errors import CameraError, ConfigError, DataError
from novelview.fields import Fields, read_json_object

FRAMES, SEQUENCES = "frame_annotations.jgz", "sequence_annotations.jgz"
_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_LARGEST_SIDE = 1e6


@dataclass(frozen=True)
class SequenceRecord:
    """What the annotations say of a sequence.

    Attributes:
        name: of its folder.
        viewpoint_quality: how good its cameras are, larger is better, where anybody said.
        cloud: path of its point cloud, relative to the data set, where it has one.
        cloud_quality: how good the point cloud is, larger is better, where anybody said.
    """

    name: str
    viewpoint_quality: float | None
    cloud: str | None
    cloud_quality: float | None


@dataclass(frozen=True)
class FrameRecord:
    """What the annotations say of a frame; the camera is PyTorch3D's, its numbers may be anything.

    Attributes:
        number: of the frame in its sequence.
        image: path of the photograph, relative to the data set.
        size: width and height in pixels.
        mask: path of the mask, relative to the data set, where there is one.
        rotation: R, for row vectors.
        translation: T.
        focal: of an NDC in which half the SHORT side of the image is 1.
        principal: likewise.
    """

    number: int
    image: str
    size: tuple[int, int]
    mask: str | None
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, " 3"]
    focal: Float64[np.ndarray, " 2"]
    principal: Float64[np.ndarray, " 2"]

    def camera(self) -> Cameras | None:
        """The camera in double precision, world frame of the sequence; None where its numbers make none."""
        values = (self.rotation, self.translation, self.focal, self.principal)
        rotation, translation, focal, principal = (torch.from_numpy(value)[None] for value in values)
        camera = from_pytorch3d(rotation, translation, focal, principal, *self.size)
        try:
            return camera.validated()
        except CameraError:
            return None


def categories_of(root: Path) -> list[str]:
    """The categories of a data set: its folders with frame annotations, sorted.

    Raises:
        DataError: there is none.
    """
    found = sorted(file.parent.name for file in root.glob(f"*/{FRAMES}")) if root.is_dir() else []
    if not found:
        raise DataError(
            "There is no CO3D data set here",
            where=root,
            why=f"no folder in it holds {FRAMES}",
            cure="name the folder that holds one folder per category, such as apple",
        )
    return found


def read_sequences(category: Path) -> list[SequenceRecord]:
    """The sequences of a category, in the order of ``sequence_annotations.jgz``.

    Raises:
        DataError: the file is missing, damaged or malformed.
    """
    return [_sequence(data) for data in stream_objects(category / SEQUENCES, "sequence")]


def read_frames(category: Path, wanted: Collection[str]) -> dict[str, list[FrameRecord]]:
    """The frames of some sequences of a category, by sequence, in the order of their numbers.

    Raises:
        DataError: ``frame_annotations.jgz`` is missing, damaged or malformed.
    """
    found: dict[str, list[FrameRecord]] = {name: [] for name in wanted}
    for data in stream_objects(category / FRAMES, "frame"):
        name = _required(data, "sequence_name")
        if name in found:
            found[name].append(_frame(data))
    return {name: sorted(frames, key=lambda frame: frame.number) for name, frames in found.items()}


def read_set(category: Path, name: str, part: str) -> dict[str, set[int]]:
    """The frames that one of CO3D's lists names, by sequence: ``set_lists/set_lists_NAME.json``.

    Args:
        category: folder.
        name: of the list, for example "fewview_dev".
        part: "train", "val" or "test".

    Raises:
        DataError: the file cannot be read or is malformed.
        ConfigError: it has no such part.
    """
    file = category / "set_lists" / f"set_lists_{name}.json"
    data = read_json_object(file, DataError)
    if part not in data.values:
        raise ConfigError(
            f"This list has no part {part!r}", where=file, cure=f"choose one of: {', '.join(data.values)}"
        )
    entries, chosen = data.get(part), dict[str, set[int]]()
    for entry in entries if isinstance(entries, list) else [entries]:
        if not (
            isinstance(entry, list) and len(entry) >= 2 and isinstance(entry[0], str) and _whole(entry[1])
        ):
            raise data.wrong(part, entry, "a list of [sequence, frame number, path]")
        chosen.setdefault(entry[0], set()).add(entry[1])
    return chosen


def _sequence(data: Fields) -> SequenceRecord:
    name = _required(data, "sequence_name")
    if not _NAME.fullmatch(name):
        raise data.wrong("sequence_name", name, "a name of letters and digits")
    cloud = _inside(data, "point_cloud")
    return SequenceRecord(
        name=name,
        viewpoint_quality=data.number("viewpoint_quality_score"),
        cloud=cloud.text("path") if cloud else None,
        cloud_quality=cloud.number("quality_score") if cloud else None,
    )


def _frame(data: Fields) -> FrameRecord:
    number, image, viewpoint = data.get("frame_number"), _inside(data, "image"), _inside(data, "viewpoint")
    if not _whole(number):
        raise data.wrong("frame_number", number, "a whole number")
    if image is None or viewpoint is None:
        raise data.wrong("image" if image is None else "viewpoint", None, "an object")
    mask, size = _inside(data, "mask"), _size(image)
    scale = _isotropic(viewpoint, size)
    return FrameRecord(
        number=number,
        image=_required(image, "path"),
        size=size,
        mask=mask.text("path") if mask else None,
        rotation=_numbers(viewpoint, "R", (3, 3)),
        translation=_numbers(viewpoint, "T", (3,)),
        focal=_numbers(viewpoint, "focal_length", (2,)) * scale,
        principal=_numbers(viewpoint, "principal_point", (2,)) * scale,
    )


def _isotropic(viewpoint: Fields, size: tuple[int, int]) -> Float64[np.ndarray, " 2"]:
    """What brings the NDC of the annotation to one in which half the short side is 1, along x and y.

    In "ndc_norm_image_bounds", CO3D's first format and its default, each axis has its own unit: half its own side.
    """
    kind = viewpoint.text("intrinsics_format") or "ndc_norm_image_bounds"
    if kind == "ndc_isotropic":
        return np.ones(2)
    if kind == "ndc_norm_image_bounds":
        return np.array(size, dtype=np.float64) / min(size)
    raise viewpoint.wrong("intrinsics_format", kind, '"ndc_isotropic" or "ndc_norm_image_bounds"')


def _size(image: Fields) -> tuple[int, int]:
    """Width and height; the file has height first."""
    value = image.get("size")
    sides: Sequence[Any] = value if isinstance(value, list) else ()
    if len(sides) != 2 or not all(_whole(side) and 1 <= side <= _LARGEST_SIDE for side in sides):
        raise image.wrong("size", value, "height and width in pixels")
    return sides[1], sides[0]


def _numbers(data: Fields, key: str, shape: tuple[int, ...]) -> Float64[np.ndarray, "*shape"]:
    """Numbers of a given shape, which may be NaN: a camera that was not found is no reason to refuse the others."""
    value = data.get(key)
    rows = value if len(shape) == 2 else [value]
    lengths = [len(row) if isinstance(row, list) else 0 for row in rows] if isinstance(rows, list) else []
    flat = [each for row in rows for each in row] if all(lengths) and lengths else []
    if lengths != [shape[-1]] * len(lengths) or len(flat) != int(np.prod(shape)) or not all(map(_real, flat)):
        raise data.wrong(key, value, f"numbers of shape {'x'.join(map(str, shape))}")
    return np.array(flat, dtype=np.float64).reshape(shape)


def _inside(data: Fields, key: str) -> Fields | None:
    """The object of a field, None when absent."""
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise data.wrong(key, value, "an object")
    return replace(data, values=value, label=f"{data.label}: {key}", fallback=None)


def _required(data: Fields, key: str) -> str:
    value = data.text(key)
    if not value:
        raise data.wrong(key, value, "a string")
    return value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    # Whole numbers out of files may be too large for a float.
    return isinstance(value, float) or (_whole(value) and abs(value) < 1 << 53)
