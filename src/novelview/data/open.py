"""From a capture on disk to a scene: one call, with every decision it took written into the scene."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch

from novelview.cameras.cameras import Cameras
from novelview.data import formats
from novelview.data.bounds import focus_point
from novelview.data.capture import Capture
from novelview.data.images import ByteCache, FileImages, ImagePlan, MaskUse, system_memory
from novelview.data.scene import Scene
from novelview.data.splits import default_rule, make_split
from novelview.errors import ConfigError
from novelview.geometry.rigid import Similarity
from novelview.types import Bounds, Views


def open_scene(
    path: str | Path,
    *,
    format: str | None = None,
    split: str | None = None,
    scale: float = 1.0,
    normalise: bool = True,
    near: float | None = None,
    far: float | None = None,
    memory: int | None = None,
    masks: MaskUse = "object",
) -> Scene:
    """Open a capture of any known format (first version; see the documentation of each argument below)."""
    capture = formats.read_capture(Path(path), format=format)
    return scene_of(
        capture, split=split, scale=scale, normalise=normalise, near=near, far=far, memory=memory, masks=masks
    )


def scene_of(
    capture: Capture,
    *,
    split: str | None = None,
    scale: float = 1.0,
    normalise: bool = True,
    near: float | None = None,
    far: float | None = None,
    memory: int | None = None,
    masks: MaskUse = "object",
) -> Scene:
    """The scene of a capture that was read already."""
    if not 0 < scale <= 1:
        raise ConfigError(f"Bad scale {scale}", why="images can only be made smaller", cure="0 < scale <= 1")
    cameras = resized(capture.cameras, scale)
    rule = split or default_rule(capture.partition, len(cameras))
    parts = make_split(rule, capture.names, capture.partition)
    frame = _frame(cameras) if normalise else Similarity.identity()
    has_masks = masks != "ignore" and any(files.mask is not None for files in capture.files)
    plans = [
        ImagePlan(f, False, (int(w), int(h)))
        for f, (w, h) in zip(capture.files, cameras.sizes.tolist(), strict=True)
    ]
    background = capture.background or (1.0, 1.0, 1.0)
    cache = ByteCache(memory if memory is not None else system_memory() // 8)
    images = FileImages(plans, background, masks, has_masks, frame.scale, cache)
    moved = replace(cameras, camera_to_world=frame.poses(cameras.camera_to_world))
    views = Views(moved, capture.names, images, tuple(range(len(moved))))
    position = {name: i for i, name in enumerate(capture.names)}
    return Scene(
        name=capture.path.resolve().name,
        train=views[[position[name] for name in parts.train]],
        test=views[[position[name] for name in parts.test]],
        bounds=_bounds(capture, moved, frame, near, far, has_masks),
        to_input=frame.inverse(),
        origin={"path": str(capture.path.resolve()), "format": capture.format, "split": rule, "scale": scale},
        notes=capture.notes,
    )


def resized(cameras: Cameras, scale: float) -> Cameras:
    """Cameras of images ``scale`` times as large; each axis is scaled by what rounding made of it."""
    sizes = (cameras.sizes * scale).round().long().clamp(min=1)
    ratio = (sizes / cameras.sizes).to(cameras.intrinsics)
    return replace(cameras, intrinsics=cameras.intrinsics * ratio.repeat(1, 2), sizes=sizes)


def _frame(cameras: Cameras) -> Similarity:
    centre = focus_point(cameras)
    radius = float((cameras.centres - centre).norm(dim=-1).max())
    scale = 1 / radius if radius > 0 else 1.0
    return Similarity(scale, torch.eye(3), -centre * scale)


def _bounds(
    capture: Capture,
    cameras: Cameras,
    frame: Similarity,
    near: float | None,
    far: float | None,
    bounded: bool,
) -> Bounds:
    centre = focus_point(cameras)
    distance = (cameras.centres - centre).norm(dim=-1)
    found_near, found_far = float(distance.min()) * 0.1, float(distance.max()) * 4
    if capture.near_far is not None:
        found_near = float(capture.near_far[:, 0].min()) * frame.scale
        found_far = float(capture.near_far[:, 1].max()) * frame.scale
    half = float(distance.mean()) * math.tan(0.4)
    corner = centre.tolist()
    return Bounds(
        near=found_near if near is None else near * frame.scale,
        far=found_far if far is None else far * frame.scale,
        box_min=(corner[0] - half, corner[1] - half, corner[2] - half),
        box_max=(corner[0] + half, corner[1] + half, corner[2] + half),
        unbounded=not bounded and capture.background is None,
        background=capture.background or ((1.0, 1.0, 1.0) if bounded else None),
    )
