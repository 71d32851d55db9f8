"""Light fields as folders that any static web server shows: a page, a network and a runtime. See docs/web.md."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from html import escape
from importlib.resources import as_file, files
from pathlib import Path

from novelview.cameras.cameras import Cameras
from novelview.config import to_json
from novelview.errors import OutputError
from novelview.export.onnx import OnnxCard, write_onnx
from novelview.export.variants import Variant
from novelview.export.web.navigation import Navigation, navigation
from novelview.export.web.runtime import FILES, runtime_folder
from novelview.files import atomic_folder, atomic_write_json, atomic_write_text, require_new
from novelview.light_field import LightField, Subject

FORMAT = 1
_LONGEST_SIDE = 4096
_PAGE = files("novelview.export.web").joinpath("page")


@dataclass(frozen=True)
class _View:
    camera_to_world: tuple[tuple[float, ...], ...]
    intrinsics: tuple[float, float, float, float]
    size: tuple[int, int]


@dataclass(frozen=True)
class _Scene:
    name: str
    factor: int
    size: tuple[int, int]
    intrinsics: tuple[float, float, float, float]
    near: float
    far: float | None
    variant: Variant
    psnr: float
    navigation: Navigation
    views: tuple[_View, ...]
    model: str = "model.onnx"
    format: int = FORMAT


def write_web(
    folder: str | Path,
    light_field: LightField,
    subject: Subject,
    *,
    check: Cameras,
    size: tuple[int, int] | None = None,
    variant: Variant = "float32",
    runtime: Path | None = None,
) -> OnnxCard:
    """Write a folder with a page in which a light field can be turned; whole or not at all.

    Args:
        folder: new.
        light_field, subject: in the user's coordinates.
        check: cameras whose pictures measure what the variant costs; they become the page's ``?view=`` poses.
        size: width and height in pixels of the picture at rest; None: those of the photographs.
        variant: as for :func:`~novelview.export.onnx.write_onnx`.
        runtime: a folder with the files ``FILES`` of onnxruntime-web; None: fetched once by npm and kept.

    Raises:
        MissingDependencyError: packages for ONNX, or the runtime's files, are missing.
        OutputError: the folder has something in it, the size is impossible, or the network cannot be written.
    """
    require_new(Path(folder))
    shown = _fitted(subject.cameras[:1].undistorted(), size)
    files_of_runtime = runtime_folder(runtime)
    with atomic_folder(folder) as temporary:
        card = write_onnx(temporary / "model.onnx", light_field, subject, check=check, variant=variant)
        with as_file(_PAGE) as page:
            shutil.copytree(page, temporary, dirs_exist_ok=True)
        index = temporary / "index.html"
        atomic_write_text(index, index.read_text(encoding="utf-8").replace("{{name}}", escape(subject.name)))
        (temporary / "runtime").mkdir()
        for name in FILES:
            shutil.copyfile(files_of_runtime / name, temporary / "runtime" / name)
        atomic_write_json(temporary / "scene.json", to_json(_scene(subject, shown, check, card)))
    return card


def _fitted(camera: Cameras, size: tuple[int, int] | None) -> Cameras:
    """The camera with pictures of ``size``: its field of view, less what does not fit into another aspect ratio."""
    if size is None:
        return camera
    width, height = size
    if not 0 < min(size) <= max(size) <= _LONGEST_SIDE:
        raise OutputError(
            f"A page cannot have pictures of {width}x{height}",
            cure=f"give sides of 1 to {_LONGEST_SIDE} pixels",
        )
    old_width, old_height = camera.common_size
    ratio = max(width / old_width, height / old_height)
    grown = camera.resized(math.ceil(old_width * ratio), math.ceil(old_height * ratio))
    left, top = ((a - b) // 2 for a, b in zip(grown.common_size, size, strict=True))
    return grown.cropped(left, top, width, height)


def _scene(subject: Subject, shown: Cameras, check: Cameras, card: OnnxCard) -> _Scene:
    (view,) = _views(shown)
    return _Scene(
        name=subject.name,
        factor=card.factor,
        size=view.size,
        intrinsics=view.intrinsics,
        near=card.near,
        far=card.far,
        variant=card.variant,
        psnr=card.psnr,
        navigation=navigation(subject),
        views=_views(check),
    )


def _views(cameras: Cameras) -> tuple[_View, ...]:
    poses, intrinsics = cameras.camera_to_world.tolist(), cameras.intrinsics.tolist()
    return tuple(
        _View(tuple(tuple(row) for row in pose), (fx, fy, cx, cy), (width, height))
        for pose, (fx, fy, cx, cy), (width, height) in zip(
            poses, intrinsics, cameras.sizes.tolist(), strict=True
        )
    )
