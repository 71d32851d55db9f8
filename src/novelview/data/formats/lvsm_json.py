"""LVSM's scenes: one JSON file each, with OpenCV world-to-camera poses and intrinsics in pixels of the stored images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import read_header
from novelview.data.formats.reader import Reader, only_one
from novelview.data.formats.views import PosedView, assemble, missing_images_note
from novelview.errors import DataError
from novelview.fields import Fields, read_json_object
from novelview.geometry.rigid import invert


class LvsmReader(Reader):
    """Reads one scene of LVSM's data."""

    name = "lvsm-json"
    title = "LVSM"
    looks_for = "one .json with fxfycxcy and w2c"

    def detect(self, path: Path) -> bool:
        return _defining_file(path) is not None

    def read(self, path: Path) -> Capture:
        """The capture of such a file, or of a folder that holds exactly one.

        Images may be anywhere: these files name them by absolute paths, or by paths relative to the file.
        """
        file = _defining_file(path)
        if file is None:
            raise DataError(
                "There is no scene of LVSM's format", where=path, why=f"looked for {self.looks_for}"
            )
        data = read_json_object(file, DataError)
        frames = list(data.objects("frames"))
        views, missing = [], []
        for frame in frames:
            text = frame.text("image_path")
            if text is None:
                raise frame.wrong("image_path", None, "the path of an image")
            image = _image(file, text)
            if image is None:
                missing.append(text)
            else:
                views.append(_view(frame, image))
        notes = [missing_images_note(missing, len(frames), file)] if missing else []
        return replace(assemble(path, self.name, views, notes=notes), name=_scene_name(path))


def _defining_file(path: Path) -> Path | None:
    return only_one(path, ".json", lambda file, beginning: b'"fxfycxcy"' in beginning)


def _scene_name(path: Path) -> str | None:
    """What a file is called; a folder has its own name, as has one whose file is called as all are."""
    return None if path.is_dir() or path.stem == "scene" else path.stem


def _image(file: Path, text: str) -> Path | None:
    found = file.parent / text.replace("\\", "/")
    try:
        return found.resolve() if found.is_file() else None
    except OSError:  # A name no file can have.
        return None


def _view(frame: Fields, image: Path) -> PosedView:
    focal_x, focal_y, centre_x, centre_y = _intrinsics(frame)
    return PosedView(
        files=ImageFiles(image),
        camera_to_world=_pose(frame),
        intrinsics=(focal_x, focal_y, centre_x, centre_y),
        size=read_header(image).size,
    )


def _intrinsics(frame: Fields) -> list[float]:
    value = frame.values.get("fxfycxcy")
    row = replace(frame, values={"fxfycxcy": [value]}, fallback=None).matrix("fxfycxcy")
    if row is None or row.shape != (1, 4):
        raise frame.wrong("fxfycxcy", value, "four numbers in pixels")
    numbers: list[float] = row[0].tolist()
    return numbers


def _pose(frame: Fields) -> Float64[np.ndarray, "3 4"]:
    matrix = frame.matrix("w2c")
    if matrix is None or matrix.shape != (4, 4) or not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise frame.wrong("w2c", frame.values.get("w2c"), "a matrix of 4x4 numbers with last row 0 0 0 1")
    return invert(torch.from_numpy(matrix[:3])).numpy()
