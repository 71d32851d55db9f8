"""The frames of a ``transforms`` file: what nerfstudio, instant-ngp and Blender's exporters write per image.

Keys: docs.nerf.studio, "Data conventions"; instant-ngp, docs/nerf_dataset_tips.md.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from novelview.cameras.conventions import from_opengl
from novelview.data.capture import ImageFiles
from novelview.data.formats.intrinsics import CAMERA_KEYS, image_size, intrinsics_of, lens_of
from novelview.data.formats.paths import Folder, listed
from novelview.data.formats.views import PosedView, depth_range, missing_images_note
from novelview.errors import DataError
from novelview.fields import Fields

DEPTH_UNIT = 1e-3  # nerfstudio's default: depth maps in millimetres of a world in metres.
PARTITIONS = {"train": "train_filenames", "val": "val_filenames", "test": "test_filenames"}
_DEPTH_SUFFIXES = (".png", ".npy", ".tif", ".tiff")
_DEPTH_KEYS = {"depth_unit_scale_factor", "integer_depth_scale", "enable_depth_loading"}
_OWN_KEY = "novelview"  # Facts that data preparation writes for itself, about the capture and about frames.
# Keys that are used, or carry nothing that changes where a camera stands or what it sees.
_KNOWN = (
    CAMERA_KEYS
    | _DEPTH_KEYS
    | {"frames", "near_far", "aabb", "ply_file_path", "applied_transform", *PARTITIONS.values()}
    | {"applied_scale", "aabb_scale", "scale", "offset", "orientation_override", "auto_scale_poses_override"}
    | {"n_frames", "scale_mat", _OWN_KEY}
)
_KNOWN_IN_FRAME = (
    CAMERA_KEYS
    | _DEPTH_KEYS
    | {"file_path", "transform_matrix", "mask_path", "depth_file_path", "depth_path", "near_far"}
    | {"sharpness", "rotation", "colmap_im_id", "name", "timestamp", "time", "camera_label", _OWN_KEY}
)


@dataclass(frozen=True)
class Frames:
    """The frames of one file whose images exist.

    Attributes:
        views: in the order of the file.
        listed_as: how the file writes each view's image, normalised.
        notes: what was noticed.
    """

    views: tuple[PosedView, ...]
    listed_as: tuple[str, ...]
    notes: tuple[str, ...]


def read_frames(data: Fields, folder: Folder, default_angle: float | None = None) -> Frames:
    """The frames of one ``transforms`` object.

    Args:
        data: the object.
        folder: where its files are.
        default_angle: horizontal field of view in radians for frames that state no focal length.

    Raises:
        DataError: a frame is malformed, or hardly any image is there.
    """
    entries = list(data.objects("frames"))
    ranges = _shared_ranges(data, len(entries))
    views, listed_as, missing = [], [], []
    for i, frame in enumerate(entries):
        text = frame.text("file_path")
        if text is None:
            raise frame.wrong("file_path", None, "the path of an image")
        image = folder.find(text, data.path)
        if image is None:
            missing.append(text)
            continue
        views.append(_view(frame, image, folder, default_angle, None if ranges is None else ranges[i]))
        listed_as.append(normal_path(text))
    notes = [missing_images_note(missing, len(entries), data.path)] if missing else []
    return Frames(
        tuple(views), tuple(listed_as), (*notes, *_depth_notes(data, entries), *_unknown_keys(data, entries))
    )


def normal_path(text: str) -> str:
    """One spelling for paths that differ in slashes and dots only."""
    return posixpath.normpath(text.replace("\\", "/"))


def _view(
    frame: Fields,
    image: Path,
    folder: Folder,
    default_angle: float | None,
    near_far: tuple[float, float] | None,
) -> PosedView:
    size = image_size(frame, image)
    lens, coefficients = lens_of(frame)
    own = replace(frame, fallback=None).get("near_far")
    return PosedView(
        files=_files(frame, image, folder),
        camera_to_world=from_opengl(torch.from_numpy(_pose(frame))[None])[0].numpy(),
        intrinsics=intrinsics_of(frame, size, default_angle),
        size=size,
        lens=lens,
        distortion=coefficients,
        near_far=near_far if own is None else _range(own, frame),
    )


def _pose(frame: Fields) -> Float64[np.ndarray, "3 4"]:
    matrix = frame.matrix("transform_matrix")
    if matrix is None or matrix.shape not in ((3, 4), (4, 4)):
        raise frame.wrong(
            "transform_matrix", frame.values.get("transform_matrix"), "a matrix of 3x4 or 4x4 numbers"
        )
    if matrix.shape == (4, 4) and not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise frame.wrong("transform_matrix", matrix[3].tolist(), "a matrix whose last row is 0 0 0 1")
    return matrix[:3]


def _files(frame: Fields, image: Path, folder: Folder) -> ImageFiles:
    mask = _named(frame, "mask_path", folder)
    key = "depth_file_path" if frame.text("depth_file_path") else "depth_path"
    if not _is_depth(frame.text(key) or ""):
        return ImageFiles(image, mask)
    unit = frame.number("depth_unit_scale_factor") or frame.number("integer_depth_scale") or DEPTH_UNIT
    if unit < 0:
        raise frame.wrong("depth_unit_scale_factor", unit, "a positive number")
    return ImageFiles(image, mask, _named(frame, key, folder), unit)


def _named(frame: Fields, key: str, folder: Folder) -> Path | None:
    text = frame.text(key)
    if not text:
        return None
    found = folder.find(text, frame.path)
    if found is None:
        raise DataError(
            f"A file named by {frame.label} is missing",
            where=frame.path,
            why=f"{key} {listed([text])} does not exist",
            cure="restore it, or remove its name from the file",
        )
    return found


def _shared_ranges(data: Fields, count: int) -> list[tuple[float, float]] | None:
    """Depth ranges for all frames out of the top-level ``near_far``: one pair, or one per frame."""
    value = data.get("near_far")
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list):
        return [_range(value, data)] * count
    if not isinstance(value, list) or len(value) != count:
        raise data.wrong("near_far", value, f"a pair of numbers, or {count} pairs: one for each frame")
    return [_range(pair, data) for pair in value]


def _range(pair: object, where: Fields) -> tuple[float, float]:
    matrix = replace(where, values={"near_far": [pair]}, fallback=None).matrix("near_far")
    if matrix is None or matrix.shape != (1, 2):
        raise where.wrong("near_far", pair, "two numbers")
    near, far = matrix[0].tolist()
    return depth_range(near, far, where.label or "all", where.path)


def _depth_notes(data: Fields, frames: list[Fields]) -> list[str]:
    named = [text for frame in frames if (text := frame.text("depth_file_path") or frame.text("depth_path"))]
    usable = [text for text in named if _is_depth(text)]
    notes = []
    if len(usable) < len(named):
        notes.append(
            f"{len(named) - len(usable)} depth maps were left out: only PNG, TIFF and .npy are read."
        )
    if (
        usable
        and data.number("depth_unit_scale_factor") is None
        and data.number("integer_depth_scale") is None
    ):
        notes.append(
            f"Depth maps are read as {DEPTH_UNIT:g} world units per stored unit, nerfstudio's default."
        )
    return notes


def _is_depth(text: str) -> bool:
    return text.lower().endswith(_DEPTH_SUFFIXES)


def _unknown_keys(data: Fields, frames: list[Fields]) -> list[str]:
    in_frames = {key for frame in frames for key in frame.values}
    notes = []
    for known, keys, place in (
        (_KNOWN, set(data.values), ""),
        (_KNOWN_IN_FRAME, in_frames, " of the frames"),
    ):
        unknown = sorted(keys - known)
        if unknown:
            notes.append(f"Unknown keys{place} were ignored: {listed(unknown)}.")
    return notes
