"""From a capture on disk to a scene: one call, with every decision it took written into the scene."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from novelview.cameras.cameras import Cameras
from novelview.data import formats
from novelview.data.bounds import Evidence, find_extent, scene_bounds, scene_frame
from novelview.data.captions import captions_beside
from novelview.data.capture import Capture
from novelview.data.fitting import MaskUse, fit_images
from novelview.data.images import WHITE, ByteCache, FileImages, system_memory
from novelview.data.scene import Scene
from novelview.data.sparse import KeyPoints
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
    measure: bool = True,
) -> Scene:
    """Open posed photographs of any known format, with the captions of a ``captions.json`` beside them.

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
        measure: find the depth range in the photographs where nothing else tells, which takes seconds; False guesses
            it from the cameras.

    Raises:
        DataError: the capture cannot be read, or an image is missing or does not fit its camera.
        ConfigError: an option has a value that cannot work.
    """
    capture = path if isinstance(path, Capture) else formats.read_capture(Path(path), format=format)
    stated = _depth_range(capture, near, far)
    reading = _read(capture, scale, max_side, masks, background, memory)
    rule = split or default_rule(capture.partition, len(capture.names))
    parts = make_split(rule, capture.names, capture.partition)
    train = reading.views[[capture.names.index(name) for name in parts.train]]
    extent = find_extent(
        train,
        points=capture.points,
        near_far=stated,
        object=reading.object,
        box=capture.box,
        measure=measure,
    )
    nearest, farthest = _ordered(near or extent.near, far or extent.far)
    extent = replace(extent, near=nearest, far=farthest)
    cameras = reading.views.cameras
    frame = scene_frame(cameras, extent) if normalise else Similarity.identity()
    moved = cameras.moved(frame)
    bounds = scene_bounds(
        moved, extent, frame, box=capture.box, background=reading.background, object=reading.object
    )
    origin = {
        "path": str(capture.path.resolve()),
        "format": capture.format,
        "split": parts.to_json(),
        "scale": scale,
        "max_side": max_side,
        "normalise": normalise,
        "near": near,
        "far": far,
        "masks": masks,
        "background": background,
    }
    notes = (*reading.notes, *_notes(parts, capture, extent.evidence))
    return _scene(reading, parts, frame, bounds, origin, notes)


def reopen_scene(
    origin: dict[str, Any],
    bounds: Bounds,
    to_input: Similarity,
    *,
    folder: str | Path | None = None,
    memory: int | None = None,
) -> Scene:
    """The very scene that something was trained on: same views, split, frame and bounds, nothing measured anew.

    Args:
        origin: ``Scene.origin``, or what :func:`portable_origin` made of it.
        bounds: ``Scene.bounds``.
        to_input: ``Scene.to_input``.
        folder: where a portable origin lies; used when the absolute path leads nowhere any more.
        memory: see :func:`open_scene`.

    Raises:
        DataError: the capture is gone, or lacks views that the scene had.
    """
    capture = formats.read_capture(_find(origin, folder), format=origin["format"])
    background = None if origin["background"] is None else tuple(origin["background"])
    reading = _read(capture, origin["scale"], origin["max_side"], origin["masks"], background, memory)
    parts = Split.from_json(origin["split"], capture.names, where=capture.path)
    return _scene(reading, parts, to_input.inverse(), bounds, origin, reading.notes)


def portable_origin(scene: Scene, folder: str | Path) -> dict[str, Any]:
    """The scene's origin for a file in ``folder``, which still finds the capture when both are moved together."""
    try:
        relative = Path(os.path.relpath(scene.origin["path"], Path(folder).resolve())).as_posix()
    except ValueError:  # Another drive on Windows.
        return scene.origin
    return {**scene.origin, "relative": relative}


@dataclass(frozen=True)
class _Reading:
    """A capture with its pixels, before it is split.

    Attributes:
        capture: as its files describe it.
        images: the pixels.
        views: all of them, in the frame of the input.
        background: colour behind everything, if there is one.
        object: whether everything outside the masks shows the background.
        notes: what was noticed so far.
    """

    capture: Capture
    images: FileImages
    views: Views
    background: Colour | None
    object: bool
    notes: tuple[str, ...]


def _read(
    capture: Capture,
    scale: float,
    max_side: int | None,
    masks: MaskUse,
    background: Colour | None,
    memory: int | None,
) -> _Reading:
    fitted = fit_images(capture, scale=scale, max_side=max_side, masks=masks)
    colour = background or capture.background or WHITE
    images = FileImages(
        fitted.plans,
        ByteCache(system_memory() // CACHE_SHARE if memory is None else memory),
        background=colour,
        masks=masks,
        has_masks=fitted.has_masks,
        key_points=_key_points(capture, fitted.cameras),
    )
    mask_files = any(plan.files.mask for plan in fitted.plans)
    cut_out = fitted.has_masks and (masks == "object" or not mask_files)
    shown = ", ".join(f"{channel:g}" for channel in colour)
    painted = (f"Everything outside the masks is painted ({shown}).",) if mask_files and cut_out else ()
    return _Reading(
        capture=capture,
        images=images,
        views=Views(fitted.cameras, capture.names, images, tuple(range(len(capture.names)))),
        background=colour if cut_out else None,
        object=cut_out,
        notes=(*capture.notes, *fitted.notes, *painted),
    )


def _key_points(capture: Capture, cameras: Cameras) -> KeyPoints | None:
    """The capture's sparse points, where it says which view sees which."""
    if capture.points is None or capture.seen is None:
        return None
    return KeyPoints(cameras, capture.points, capture.seen)


def _scene(
    reading: _Reading,
    parts: Split,
    frame: Similarity,
    bounds: Bounds,
    origin: dict[str, Any],
    notes: tuple[str, ...],
) -> Scene:
    cameras = reading.views.cameras
    views = replace(
        reading.views,
        cameras=cameras.moved(frame),
        source=reading.images.with_depth_unit(frame.scale),
    )
    position = {name: i for i, name in enumerate(views.names)}
    return Scene(
        name=reading.capture.name or _name(reading.capture.path.resolve()),
        train=views[[position[name] for name in parts.train]],
        test=views[[position[name] for name in parts.test]],
        bounds=bounds,
        to_input=frame.inverse(),
        origin=origin,
        notes=notes,
        captions=captions_beside(reading.capture.path),
    )


def _name(path: Path) -> str:
    # A file is called transforms.json in every capture; its folder is what people named.
    return path.name if path.is_dir() else path.parent.name


def _depth_range(capture: Capture, near: float | None, far: float | None) -> tuple[float, float] | None:
    """The depth range that user or format state, in units of the input."""
    if capture.near_far is not None:
        near = float(capture.near_far[:, 0].min()) if near is None else near
        far = float(capture.near_far[:, 1].max()) if far is None else far
    for name, depth in (("near", near), ("far", far)):
        if depth is not None and not depth > 0:
            raise ConfigError(f"Bad {name} depth {depth:g}", why="depths along z are positive")
    return None if near is None or far is None else _ordered(near, far)


def _ordered(near: float, far: float) -> tuple[float, float]:
    if not near < far:
        raise ConfigError(
            f"Bad depth range {near:g} to {far:g}",
            why="near must be smaller than far",
            cure="give near and far as depths along z, in units of the input",
        )
    return near, far


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
