"""From a capture on disk to a scene: one call, with every decision it took written into the scene."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from novelview.data import formats
from novelview.data.bounds import Evidence, find_extent, scene_bounds, scene_frame
from novelview.data.capture import Capture
from novelview.data.fitting import Fitted, MaskUse, fit_images
from novelview.data.images import WHITE, ByteCache, FileImages, system_memory
from novelview.data.scene import Scene
from novelview.data.splits import Split, default_rule, make_split
from novelview.errors import ConfigError, DataError
from novelview.geometry.rigid import Similarity
from novelview.types import Bounds, Views

Colour = tuple[float, float, float]

CACHE_SHARE = 8  # Decoded images may fill one part in this many of the memory, unless told otherwise.


def open_scene(
    path: str | Path | Capture,
    *,
    format: str | None = None,
    split: str | None = None,
    scale: float = 1.0,
    max_side: int | None = None,
    normalise: bool = True,
    near: float | None = None,
    far: float | None = None,
    masks: MaskUse = "object",
    background: Colour | None = None,
    memory: int | None = None,
) -> Scene:
    """Open posed photographs of any known format.

    Args:
        path: folder or file of the capture, or a capture that was read already.
        format: name of a reader; None: detected.
        split: see :func:`~novelview.data.splits.make_split`; None: the format's own, else every 8th view is
            held out.
        scale: make images and cameras smaller by this factor.
        max_side: alternatively, longest side of the largest image in pixels.
        normalise: move the scene to a frame with z up, centred on what the cameras look at, cameras within
            the unit ball (:func:`~novelview.data.bounds.scene_frame`); False keeps the frame of the input.
        near: smallest depth along z that a camera sees, in units of the input; None: found out.
        far: largest such depth.
        masks: see :class:`~novelview.data.images.FileImages`.
        background: colour of what masks and transparency leave out; None: the format's, else white.
        memory: bytes of decoded images kept in memory; None: an eighth of the memory there is.

    Raises:
        DataError: the capture cannot be read, or an image is missing or does not fit its camera.
        ConfigError: an option has a value that cannot work.
    """
    capture = path if isinstance(path, Capture) else formats.read_capture(Path(path), format=format)
    stated = _depth_range(capture, near, far)
    fitted = fit_images(capture, scale=scale, max_side=max_side, masks=masks)
    rule = split or default_rule(capture.partition, len(capture.names))
    parts = make_split(rule, capture.names, capture.partition)
    pixels = _Pixels.of(capture, fitted, masks, background, memory)
    views = Views(fitted.cameras, capture.names, pixels.images, tuple(range(len(capture.names))))
    train = views[[capture.names.index(name) for name in parts.train]]
    extent = find_extent(train, points=capture.points, near_far=stated, object=pixels.object)
    extent = replace(extent, near=near or extent.near, far=far or extent.far)
    frame = scene_frame(fitted.cameras, extent) if normalise else Similarity.identity()
    moved = replace(fitted.cameras, camera_to_world=frame.poses(fitted.cameras.camera_to_world))
    bounds = scene_bounds(
        moved, extent, frame, box=capture.box, background=pixels.background, object=pixels.object
    )
    options = {
        "path": str(capture.path.resolve()),
        "format": capture.format,
        "scale": scale,
        "max_side": max_side,
        "masks": masks,
        "background": background,
    }
    notes = (*capture.notes, *fitted.notes, *pixels.notes, *_notes(parts, capture, extent.evidence))
    return _assemble(capture, fitted, pixels, parts, frame, bounds, options, notes)


def reopen_scene(
    origin: dict[str, Any], folder: str | Path | None = None, memory: int | None = None
) -> Scene:
    """The scene that ``Scene.origin`` describes: same views, split, frame and bounds.

    Args:
        origin: as a scene holds it, or as :func:`portable_origin` wrote it.
        folder: where the portable origin lies; used when the absolute path leads nowhere any more.
        memory: see :func:`open_scene`.

    Raises:
        DataError: the capture is gone, or lacks views that the scene had.
    """
    capture = formats.read_capture(_find(origin, folder), format=origin["format"])
    masks: MaskUse = origin["masks"]
    fitted = fit_images(capture, scale=origin["scale"], max_side=origin["max_side"], masks=masks)
    background = None if origin["background"] is None else tuple(origin["background"])
    parts = Split.from_json(origin["split"], capture.names, where=capture.path)
    frame = Similarity.from_json(origin["to_input"]).inverse()
    pixels = _Pixels.of(capture, fitted, masks, background, memory)
    bounds = Bounds.from_json(origin["bounds"])
    notes = (*capture.notes, *fitted.notes, *pixels.notes)
    return _assemble(capture, fitted, pixels, parts, frame, bounds, origin, notes)


def portable_origin(scene: Scene, folder: str | Path) -> dict[str, Any]:
    """The scene's origin for a file in ``folder``: also finds the capture when both are moved together."""
    try:
        relative = Path(os.path.relpath(scene.origin["path"], Path(folder).resolve())).as_posix()
    except ValueError:  # Another drive on Windows.
        return scene.origin
    return {**scene.origin, "relative": relative}


@dataclass(frozen=True)
class _Pixels:
    """Pixels of a capture, and what they mean.

    Attributes:
        images: in units of the input.
        background: colour behind everything, if there is one.
        object: whether everything outside the masks shows the background.
        notes: what is worth telling.
    """

    images: FileImages
    background: Colour | None
    object: bool
    notes: tuple[str, ...]

    @staticmethod
    def of(
        capture: Capture, fitted: Fitted, masks: MaskUse, background: Colour | None, memory: int | None
    ) -> _Pixels:
        colour = background or capture.background or WHITE
        images = FileImages(
            fitted.plans,
            ByteCache(system_memory() // CACHE_SHARE if memory is None else memory),
            background=colour,
            masks=masks,
            has_masks=fitted.has_masks,
        )
        painted = any(plan.files.mask for plan in fitted.plans) and masks == "object"
        cut_out = fitted.has_masks and (painted or not any(plan.files.mask for plan in fitted.plans))
        shown = ", ".join(f"{channel:g}" for channel in colour)
        notes = (f"Everything outside the masks is painted ({shown}).",) if painted else ()
        return _Pixels(images, colour if cut_out else None, cut_out, notes)


def _assemble(
    capture: Capture,
    fitted: Fitted,
    pixels: _Pixels,
    parts: Split,
    frame: Similarity,
    bounds: Bounds,
    options: dict[str, Any],
    notes: tuple[str, ...],
) -> Scene:
    cameras = replace(fitted.cameras, camera_to_world=frame.poses(fitted.cameras.camera_to_world))
    images = pixels.images.with_depth_unit(frame.scale)
    views = Views(cameras, capture.names, images, tuple(range(len(capture.names))))
    position = {name: i for i, name in enumerate(capture.names)}
    to_input = frame.inverse()
    facts = {"split": parts.to_json(), "to_input": to_input.to_json(), "bounds": bounds.to_json()}
    return Scene(
        name=capture.path.resolve().stem,
        train=views[[position[name] for name in parts.train]],
        test=views[[position[name] for name in parts.test]],
        bounds=bounds,
        to_input=to_input,
        origin={**options, **facts},
        notes=notes,
    )


def _depth_range(capture: Capture, near: float | None, far: float | None) -> tuple[float, float] | None:
    """The depth range that user or format state, in units of the input."""
    if near is not None and near <= 0:
        raise ConfigError(
            f"Bad near depth {near}", why="it must be positive", cure="give a depth in input units"
        )
    found = None
    if capture.near_far is not None:
        found = float(capture.near_far[:, 0].min()), float(capture.near_far[:, 1].max())
    if near is not None and far is not None:
        found = near, far
    elif found is not None:
        found = near or found[0], far or found[1]
    if found is not None and not 0 < found[0] < found[1] <= math.inf:
        raise ConfigError(
            f"Bad depth range {found[0]:g} to {found[1]:g}",
            where=capture.path,
            why="near must be positive and smaller than far",
            cure="give near and far as depths along z, in units of the input",
        )
    return found


def _notes(parts: Split, capture: Capture, evidence: Evidence) -> tuple[str, ...]:
    notes = []
    left_out = len(capture.names) - len(parts.train) - len(parts.test)
    if not parts.test:
        notes.append("No view is held out: quality on new views cannot be measured.")
    if left_out:
        notes.append(f"{left_out} views belong to neither training nor test in this split.")
    if evidence == "cameras":
        notes.append("The depth range is a guess from the cameras alone: give near and far if you know them.")
    return tuple(notes)


def _find(origin: dict[str, Any], folder: str | Path | None) -> Path:
    tried = [Path(origin["path"])]
    if folder is not None and "relative" in origin:
        tried.append(Path(folder) / origin["relative"])
    for path in tried:
        if path.exists():
            return path
    raise DataError(
        "The capture of this scene is gone",
        where=tried[0],
        why="it was moved or deleted since",
        cure="put it back, or name its new place",
    )
