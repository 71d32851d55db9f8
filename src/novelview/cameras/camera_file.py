"""Files of cameras to render from: nerfstudio's camera paths, and lists of cameras in the manner of transforms.json.

Both hold OpenGL camera-to-world poses in the coordinates of the user's capture; the caller carries them into a
scene. Sources: docs.nerf.studio, "Camera paths" and "Data conventions".
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from novelview.cameras.cameras import LONGEST_SIDE, Cameras
from novelview.cameras.conventions import focal_from_fov, fov_from_focal, from_opengl, to_opengl
from novelview.errors import CameraError
from novelview.fields import Fields, read_json_object
from novelview.files import atomic_write_json
from novelview.geometry.lenses import COEFFICIENTS, NAMES, Lens

_LENSES = {
    **dict.fromkeys(("SIMPLE_PINHOLE", "PINHOLE"), Lens.PINHOLE),
    **dict.fromkeys(("SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"), Lens.OPENCV),
    **dict.fromkeys(("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE"), Lens.FISHEYE),
}


def read_cameras(
    path: str | Path, default_size: tuple[int, int] | None = None
) -> tuple[Cameras, float | None]:
    """Cameras of a file, and its frames per second where it has any.

    Either ``camera_path`` with ``render_width`` and ``render_height``; each entry has ``camera_to_world`` (16
    numbers, row by row) and ``fov`` (vertical, degrees). Or ``frames``, each with ``transform_matrix`` and a camera
    (``fl_x`` or ``camera_angle_x``, ``w``, ``h``, …) of its own or of the whole file; a file with one
    ``transform_matrix`` and no frames is one camera.

    Args:
        path: JSON file.
        default_size: width and height where the file has none.

    Raises:
        CameraError: the file cannot be read, or holds no camera that makes sense.
    """
    path = Path(path)
    data = read_json_object(path, CameraError)
    if data.values.get("camera_path") is not None:
        parts = _camera_path(data, default_size)
    elif data.values.get("frames") is not None:
        parts = [_frame(frame, default_size) for frame in _entries(data, "frames")]
    elif data.values.get("transform_matrix") is not None:
        parts = [_frame(data, default_size)]
    else:
        raise CameraError(
            "This file holds no cameras",
            where=path,
            why="it has neither 'camera_path' nor 'frames' nor 'transform_matrix'",
            cure="export a camera path from a viewer, or list poses as in transforms.json",
        )
    cameras = Cameras.concatenate(parts)
    names = [f"camera {i} of {path}" for i in range(len(cameras))]
    return cameras.validated(names), data.number("fps", above=0.0, below=1e6)


def write_cameras(path: str | Path, cameras: Cameras, fps: float | None = None) -> None:
    """Write cameras, in the coordinates they have, to a JSON file that :func:`read_cameras` reads.

    With ``fps``, a camera path that nerfstudio's viewer opens as well; without, a list in the manner of
    transforms.json, which can hold any camera.

    Raises:
        CameraError: a camera path was asked for, and cameras differ in size, have distortion, or a principal
            point or pixels off the standard.
        OutputError: the file cannot be written.
    """
    if not len(cameras):
        raise CameraError("There is no camera to write", where=path)
    cameras = cameras.validated().to("cpu")
    poses = torch.eye(4, dtype=torch.float64).repeat(len(cameras), 1, 1)
    poses[:, :3] = to_opengl(cameras.camera_to_world)
    if fps is None:
        values: dict[str, Any] = {"frames": [_described(cameras[i], poses[i]) for i in range(len(cameras))]}
    else:
        values = _described_path(path, cameras, poses, fps)
    atomic_write_json(path, values)


def _size(data: Fields, keys: tuple[str, str]) -> tuple[int, int] | None:
    """Width and height in pixels; None when both are absent."""
    sides = [data.number(key, 0.0, LONGEST_SIDE + 1.0) for key in keys]
    if sides == [None, None]:
        return None
    for key, side in zip(keys, sides, strict=True):
        if side is None or side != int(side):
            raise data.wrong(key, side, "a whole number of pixels, for width and height")
    return int(sides[0] or 0), int(sides[1] or 0)


def _pose(data: Fields, key: str) -> list[float]:
    """Three or four rows of four numbers as one list of 12, nested or not."""
    value = data.get(key)
    rows = value if isinstance(value, list) else []
    flat = [entry for row in rows for entry in (row if isinstance(row, list) else [row])]
    numeric = all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in flat)
    if not numeric or len(flat) not in (12, 16) or not all(abs(entry) < 1e12 for entry in flat):
        raise data.wrong(key, value, "a matrix of 4x4 numbers, row by row")
    numbers = [float(entry) for entry in flat]
    last = zip(numbers[12:], (0, 0, 0, 1), strict=False)
    if any(abs(found - expected) > 1e-6 for found, expected in last):
        raise data.wrong(key, value, "a matrix whose last row is 0 0 0 1: written row by row")
    return numbers[:12]


def _entries(data: Fields, key: str) -> list[Fields]:
    """The objects of a list that has at least one."""
    entries = list(data.objects(key))
    if not entries:
        raise data.wrong(key, [], "a list of at least one object")
    return entries


def _camera_path(data: Fields, default_size: tuple[int, int] | None) -> list[Cameras]:
    kind = data.get("camera_type") or "perspective"
    if kind != "perspective":
        raise CameraError(
            "This kind of camera path is not supported",
            where=data.path,
            why=f"'camera_type' is {repr(kind)[:60]}",
            cure="export the path with camera_type 'perspective'",
        )
    size = _size(data, ("render_width", "render_height")) or default_size
    if size is None:
        raise data.wrong("render_width", None, "the width of the images in pixels")
    return [_keyframe(entry, size) for entry in _entries(data, "camera_path")]


def _keyframe(entry: Fields, size: tuple[int, int]) -> Cameras:
    fov = entry.number("fov", above=0.0, below=180.0)
    if fov is None:
        raise entry.wrong("fov", None, "the vertical field of view in degrees")
    focal = focal_from_fov(math.radians(fov), size[1])
    return _camera(_pose(entry, "camera_to_world"), (focal, focal, size[0] / 2, size[1] / 2), size)


def _frame(frame: Fields, default_size: tuple[int, int] | None) -> Cameras:
    stated = _size(frame, ("w", "h"))
    size = stated or default_size
    if size is None:
        raise frame.wrong("w", None, "the width of the image in pixels")
    cx, cy = frame.number("cx"), frame.number("cy")
    in_pixels = [key for key in ("fl_x", "fl_y", "cx", "cy") if frame.get(key) is not None]
    if in_pixels and stated is None:
        raise CameraError(
            f"{in_pixels[0]!r} is in pixels of an image of unknown size",
            where=frame.path,
            why="'w' and 'h' are missing",
            cure="add 'w' and 'h', or give 'camera_angle_x' instead",
        )
    focal_x, focal_y = _focal(frame, "x", size[0]), _focal(frame, "y", size[1])
    fx, fy = focal_x or focal_y, focal_y or focal_x
    if fx is None or fy is None:
        raise frame.wrong("fl_x", None, "the focal length in pixels (or give camera_angle_x in radians)")
    middle = (size[0] / 2 if cx is None else cx, size[1] / 2 if cy is None else cy)
    lens, distortion = _lens(frame)
    return _camera(_pose(frame, "transform_matrix"), (fx, fy, *middle), size, lens, distortion)


def _focal(frame: Fields, axis: str, side: int) -> float | None:
    focal = frame.number(f"fl_{axis}", above=0.0)
    angle = frame.number(f"camera_angle_{axis}", above=0.0, below=math.pi)
    return focal if focal is not None or angle is None else focal_from_fov(angle, side)


def _lens(frame: Fields) -> tuple[Lens, list[float]]:
    name = frame.get("camera_model") or "OPENCV"
    lens = _LENSES.get(name) if isinstance(name, str) else None
    if lens is None:
        raise frame.wrong("camera_model", name, f"one of {', '.join(_LENSES)}")
    # Files of pinhole cameras still carry coefficients, and other programs obey them.
    lens = Lens.OPENCV if lens == Lens.PINHOLE else lens
    values = [frame.number(name) or 0.0 for name in NAMES[lens]]
    kind = lens if lens == Lens.FISHEYE or any(values) else Lens.PINHOLE
    return kind, values + [0.0] * (COEFFICIENTS - len(values))


def _camera(
    pose: list[float],
    intrinsics: tuple[float, float, float, float],
    size: tuple[int, int],
    lens: Lens = Lens.PINHOLE,
    distortion: list[float] | None = None,
) -> Cameras:
    poses = from_opengl(torch.tensor(pose, dtype=torch.float64).reshape(1, 3, 4)).float()
    camera = Cameras.pinhole(poses, torch.tensor(intrinsics), *size)
    if distortion is None:
        return camera
    return replace(camera, lens=torch.tensor([int(lens)]), distortion=torch.tensor([distortion]))


def _described(camera: Cameras, pose: torch.Tensor) -> dict[str, Any]:
    """One camera in the manner of transforms.json."""
    (width, height), lens = camera.common_size, Lens(int(camera.lens[0]))
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    model = {Lens.PINHOLE: "PINHOLE", Lens.OPENCV: "FULL_OPENCV", Lens.FISHEYE: "OPENCV_FISHEYE"}[lens]
    bends = dict(zip(NAMES[lens], camera.distortion[0].tolist(), strict=False))
    return {
        "camera_model": model,
        "w": width,
        "h": height,
        "fl_x": fx,
        "fl_y": fy,
        "cx": cx,
        "cy": cy,
        **bends,
        "transform_matrix": pose.tolist(),
    }


def _described_path(path: str | Path, cameras: Cameras, poses: torch.Tensor, fps: float) -> dict[str, Any]:
    width, height = cameras.common_size
    fx, fy, cx, cy = cameras.intrinsics.double().unbind(dim=-1)
    off = torch.stack([fx / fy - 1, cx / width - 0.5, cy / height - 0.5]).abs().amax(dim=0)
    plain = (cameras.lens == Lens.PINHOLE) & (off < 1e-3)
    if not bool(plain.all()) or not 0 < fps < math.inf:
        raise CameraError(
            "These cameras do not fit into a camera path",
            where=path,
            why=f"camera {int(plain.int().argmin())} has distortion, pixels that are not square or a principal point"
            " off the centre"
            if not bool(plain.all())
            else f"{fps} frames per second",
            cure="leave out fps: a list of cameras holds them all",
        )
    angles = [math.degrees(fov_from_focal(focal, height)) for focal in fy.tolist()]
    flat = [pose.flatten().tolist() for pose in poses]
    views = list(zip(flat, angles, strict=True))
    return {
        "camera_type": "perspective",
        "render_width": width,
        "render_height": height,
        "fps": fps,
        "seconds": len(cameras) / fps,
        "is_cycle": False,
        "smoothness_value": 0.0,
        "default_fov": angles[0],
        "default_transition_sec": 1 / fps,
        "keyframes": [{"matrix": pose, "fov": fov, "aspect": width / height} for pose, fov in views],
        "camera_path": [
            {"camera_to_world": pose, "fov": fov, "aspect": width / height} for pose, fov in views
        ],
    }
