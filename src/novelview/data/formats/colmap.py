"""A folder with photographs and COLMAP's sparse model of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from novelview.cameras import conventions
from novelview.data.capture import Capture, ImageFiles
from novelview.data.formats.camera_models import camera_model, from_colmap
from novelview.data.formats.colmap_model import Model, ModelImage, is_model, read_model
from novelview.data.formats.paths import IMAGE_SUFFIXES, Folder, listed
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import PosedView, assemble, missing_images_note
from novelview.errors import DataError
from novelview.geometry.rigid import invert

_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
_FILES = ("cameras.bin", "images.bin", "points3D.bin", "cameras.txt", "images.txt", "points3D.txt")
_PERCENTILES = (1.0, 99.0)  # Sparse points have outliers on both ends.
_FEWEST_POINTS = 8  # Fewer say little about what a view sees.


class ColmapReader(Reader):
    """Reads COLMAP's sparse models."""

    name = "colmap"
    title = "COLMAP"
    looks_for = "cameras.bin and images.bin (or .txt) in sparse/0, sparse or colmap/sparse/0"

    def detect(self, path: Path) -> bool:
        return _model_folder(path) is not None

    def read(self, path: Path) -> Capture:
        """The capture of a folder with ``images/`` and a model, of a model's folder, or of one of its files.

        Depth ranges are percentiles 1 and 99 of the depths of the points that each view sees. Which these are is kept
        as well.
        """
        folder = _model_folder(path)
        if folder is None:
            raise DataError("There is no COLMAP model", where=path, why=f"looked for {self.looks_for}")
        root = _root(folder)
        model = read_model(folder)
        found, notes = _images(model, root, folder)
        return assemble(
            path,
            self.name,
            [_view(model, image, file, folder) for image, file in found],
            points=model.points if len(model.points) else None,
            notes=[*notes, *_other_models(folder), *_unposed(root, [file for _, file in found])],
        )


def _model_folder(path: Path) -> Path | None:
    if path.is_file():
        return path.parent if path.name in _FILES and is_model(path.parent) else None
    return next((path / place for place in _PLACES if is_model(path / place)), None)


def _root(folder: Path) -> Path:
    """The nearest folder above the model that has ``images/`` in it."""
    above = [folder.resolve(), *folder.resolve().parents][:4]
    for candidate in above:
        if (candidate / "images").is_dir():
            return candidate
    raise DataError(
        "The photographs of a COLMAP model are missing",
        where=folder,
        why=f"there is no folder 'images' beside it, up to {above[-1]}",
        cure="put the photographs into a folder named 'images' beside 'sparse'",
    )


def _images(model: Model, root: Path, folder: Path) -> tuple[list[tuple[ModelImage, Path]], list[str]]:
    """Posed images that exist, in the order of their names, and a note about those that do not."""
    capture = Folder(root)
    found, missing = [], []
    for image in sorted(model.images, key=lambda image: image.name):
        file = capture.find(f"images/{image.name}", folder)
        if file is None:
            missing.append(image.name)
        else:
            found.append((image, file))
    return found, [missing_images_note(missing, len(model.images), folder)] if missing else []


def _view(model: Model, image: ModelImage, file: Path, folder: Path) -> PosedView:
    camera = model.cameras.get(image.camera)
    if camera is None:
        raise DataError(
            f"The camera of {listed([image.name])} is missing",
            where=folder,
            why=f"the image uses camera {image.camera}, the model has {listed([str(c) for c in model.cameras])}",
            cure="export the model again",
        )
    lens_model = camera_model(camera.model, folder)
    intrinsics, distortion = from_colmap(lens_model, camera.parameters)
    camera_to_world = _pose(image, folder)
    seen = _seen(model, image)
    return PosedView(
        files=ImageFiles(file),
        camera_to_world=camera_to_world.numpy(),
        intrinsics=intrinsics,
        size=camera.size,
        lens=lens_model.lens,
        distortion=distortion,
        near_far=_depth_range(model, seen, invert(camera_to_world).numpy()),
        seen=seen,
    )


def _pose(image: ModelImage, folder: Path) -> Float64[Tensor, "3 4"]:
    quaternion = np.array(image.quaternion)
    length = float(np.linalg.norm(quaternion))
    if not abs(length - 1) < 1e-2:
        raise DataError(
            f"The rotation of {listed([image.name])} is not a unit quaternion",
            where=folder,
            why=f"its length is {length:g}",
            cure="export the model again",
        )
    translation = torch.tensor([image.translation], dtype=torch.float64)
    return conventions.from_colmap(torch.from_numpy(quaternion)[None], translation)[0]


def _seen(model: Model, image: ModelImage) -> Int64[np.ndarray, " _"]:
    """Rows of the points that an image sees, without those that the model lacks."""
    rows = np.searchsorted(model.point_ids, image.points)
    known = rows < len(model.point_ids)
    known[known] = model.point_ids[rows[known]] == image.points[known]
    return rows[known].astype(np.int64)


def _depth_range(
    model: Model, seen: Int64[np.ndarray, " _"], world_to_camera: Float64[np.ndarray, "3 4"]
) -> tuple[float, float] | None:
    """Depths along z of the points a view sees; of all points in front of it when it sees hardly any."""
    for points in (model.points[seen], model.points):
        depths = points @ world_to_camera[2, :3] + world_to_camera[2, 3]
        depths = depths[np.isfinite(depths) & (depths > 0)]
        if len(depths) >= _FEWEST_POINTS:
            near, far = np.percentile(depths, _PERCENTILES).tolist()
            return (near, far) if near < far else None
    return None


def _other_models(folder: Path) -> list[str]:
    if not folder.name.isdecimal():
        return []
    others = sorted(f.name for f in folder.parent.iterdir() if f != folder and f.name.isdecimal())
    return [f"{folder.parent.name} holds other models too, which were not read: {listed(others)}."] * bool(
        others
    )


def _unposed(root: Path, posed: list[Path]) -> list[str]:
    known = set(posed)
    files = [file for file in (root / "images").rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES]
    unposed = sorted(file.name for file in files if file not in known and not file.name.startswith("."))
    if not unposed:
        return []
    return [f"{len(unposed)} of {len(files)} photographs have no pose and were left out: {listed(unposed)}."]
