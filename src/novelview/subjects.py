"""From words and pictures to a scene: what is asked of a generative method, and what is made of its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from novelview.cameras.camera_file import read_cameras
from novelview.cameras.cameras import Cameras
from novelview.cameras.studio_paths import Tripod, arc, once_around, orbit, spiral, tour
from novelview.data.foreground import with_foregrounds
from novelview.data.portrait import Portrait, before, cut_out, middle_square, read_portrait
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError, MethodError
from novelview.generation import Request, Studio, Watch
from novelview.methods.method import Method, MethodSpec
from novelview.types import Frames, Views

GIVEN = "given_"
"""How names of pictures begin that were given and not generated."""
# Differences of proportions that are rounding of sizes.
_SAME_PROPORTIONS = 0.01


@dataclass(frozen=True)
class Trajectory:
    """From where a subject is seen; z is up, and the subject around the origin."""

    views: int = 8
    """Number of views along the path, a given picture at its first camera included; tour: of each of its eight parts."""
    path: Literal["orbit", "spiral", "arc", "tour"] = "orbit"
    """orbit: a full ring; spiral: two rising turns; arc: a part of a ring; tour: a ring, then arcs from the front on,
    on both sides in turn, as ViewDiff makes many views (--adjust order=tour). The first camera is on the x axis."""
    elevation: float | None = None
    """Degrees above the horizon, of a spiral's first camera. Default: the model's own."""
    distance: float | None = None
    """From the subject's middle, in the model's units. Default: the one that the model knows best."""
    rise: float = 30.0
    """spiral: degrees that the last camera is above the first."""
    sweep: float = 120.0
    """arc: degrees from the first camera to the last, counterclockwise as seen from above."""

    def cameras(self, studio: Studio) -> Cameras:
        """The cameras in a studio; raises ``CameraError`` where a number cannot be."""
        tripod = Tripod(
            distance=studio.distance if self.distance is None else self.distance,
            field_of_view=studio.field_of_view,
            width=studio.width,
            height=studio.height,
        )
        elevation = studio.elevation if self.elevation is None else self.elevation
        if self.path == "orbit":
            return orbit(tripod, self.views, elevation)
        if self.path == "arc":
            return arc(tripod, self.views, elevation, self.sweep)
        if self.path == "tour":
            return tour(tripod, self.views, elevation)
        return spiral(tripod, self.views, elevation, self.rise)

    def video(self, count: int) -> Sequence[int]:
        """Which of ``count`` cameras of this path a video shows, one after the other."""
        return once_around(count) if self.path == "tour" else range(count)


def cameras_of_file(path: Path, studio: Studio) -> Cameras:
    """Cameras that a file gives in the studio's coordinates, with pictures of the studio's size.

    Raises:
        CameraError: the file cannot be read.
        ConfigError: its cameras have other proportions.
    """
    cameras, _ = read_cameras(path, (studio.width, studio.height))
    ratio = cameras.sizes[:, 0] / cameras.sizes[:, 1] * (studio.height / studio.width)
    if bool(((ratio - 1).abs() > _SAME_PROPORTIONS).any()):
        raise ConfigError(
            "The cameras of a file do not fit the model",
            where=path,
            why=f"the first has {cameras.sizes[0].tolist()} pixels, the model makes {studio.width}x{studio.height}",
            cure="give cameras of the same proportions",
        )
    parts = [cameras[i].undistorted().resized(studio.width, studio.height) for i in range(len(cameras))]
    return Cameras.concatenate(parts)


def given_views(
    studio: Studio,
    pictures: Sequence[Path],
    cameras: Cameras,
    *,
    masks: Sequence[Path] = (),
    taken: bool = False,
) -> Views:
    """Pictures of the subject as views in the studio.

    Args:
        studio: whose background they get, where it has one.
        pictures: files.
        cameras: of the studio's size, one for each.
        masks: files, one for each; none: alpha channels, else what stands out from a background of one colour.
        taken: whether the cameras took these very pictures; else the subject is cut out and put before its camera as large
            as the studio's subjects are.

    Raises:
        ConfigError: numbers of files and cameras differ.
        DataError: a file cannot be read, no subject is found in it, or it does not fit its camera.
    """
    if len(cameras) != len(pictures) or (masks and len(masks) != len(pictures)):
        raise ConfigError(
            "Pictures, their masks and cameras do not fit together",
            why=f"{len(pictures)} pictures, {len(masks)} masks, {len(cameras)} cameras",
            cure="give one camera, and one mask or no masks at all, for each picture",
        )
    files: Sequence[Path | None] = masks or [None] * len(pictures)
    portraits = [read_portrait(path, mask) for path, mask in zip(pictures, files, strict=True)]
    placed = [_as_taken(each, studio) if taken else _placed(each, studio) for each in portraits]
    covered = [each.mask for each in placed if each.mask is not None]
    return Views.from_tensors(
        cameras,
        torch.stack([each.rgb for each in placed]),
        torch.stack(covered) if len(covered) == len(placed) else None,
        names=[f"{GIVEN}{i:04d}" for i in range(len(placed))],
    )


def _placed(portrait: Portrait, studio: Studio) -> Portrait:
    bounds, side = studio.bounds, min(studio.width, studio.height)
    if studio.width != studio.height:
        raise ConfigError(
            "Pictures can only be placed before square cameras", cure="give the cameras that took them"
        )
    if bounds.background is None:
        return middle_square(portrait, side)
    extent = max(high - low for low, high in zip(bounds.box_min, bounds.box_max, strict=True))
    seen = 2 * studio.distance * math.tan(math.radians(studio.field_of_view / 2))
    return cut_out(portrait, side, min(extent / seen, 0.95), bounds.background)


def _as_taken(portrait: Portrait, studio: Studio) -> Portrait:
    width, height = portrait.size
    if abs(width * studio.height / (height * studio.width) - 1) > _SAME_PROPORTIONS:
        raise DataError(
            "A picture does not fit its camera",
            where=portrait.name,
            why=f"the picture has {width}x{height} pixels, the model's cameras {studio.width}x{studio.height}",
            cure="crop the picture, and move the principal point of its camera with it",
        )
    return before(portrait, studio.width, studio.height, studio.bounds.background)


def check_generative(spec: MethodSpec) -> None:
    """Raise :class:`MethodError` when a method does not make views of its own."""
    if spec.traits.regime != "generative":
        raise MethodError(
            f"{spec.title} generates nothing",
            why="it shows what photographs show",
            cure="name a generative method or a run of one: see novelview methods",
        )


def generate_scene(
    method: Method,
    prompt: str,
    cameras: Cameras,
    *,
    known: Views | None = None,
    seed: int = 0,
    name: str = "generated",
    watch: Watch | None = None,
) -> Scene:
    """Views of a subject as a scene, masked where the subject can be told from what is behind it.

    Args:
        method: generative.
        prompt: the subject in words; may be empty where views are known.
        cameras: from where it is seen, in the method's studio.
        known: views that are given; they are the scene's first ones.
        seed: of all that is drawn.
        name: of the scene.
        watch: see :data:`~novelview.generation.Watch`.

    Raises:
        ConfigError: neither words nor views say what the subject is, or no view is asked for.
    """
    prompt = prompt.strip()
    if not prompt and known is None:
        raise ConfigError(
            "Nothing says what is to be seen", cure="describe it in words, or give a picture of it"
        )
    if not len(cameras):
        raise ConfigError("No view is to be generated", cure="ask for more views than are given")
    made = _views(method.generate(Request(prompt, cameras, known, seed), watch), cameras)
    parts, notes = [made] if known is None else [known, made], []
    try:
        parts = [part if part.has_masks else with_foregrounds(part) for part in parts]
    except DataError as error:
        notes.append(f"The views have no masks. {error.what}: {error.where}.")
    return Scene(
        name=name,
        train=_joined(parts),
        test=made[[]],
        bounds=method.studio().bounds,
        origin={"generated": {"prompt": prompt, "seed": seed}},
        notes=tuple(notes),
        captions=(prompt,) if prompt else (),
    )


def _views(frames: Frames, cameras: Cameras) -> Views:
    opacity = None if frames.opacity is None else frames.opacity.cpu().clamp(0, 1)
    names = [f"view_{i:04d}" for i in range(len(cameras))]
    return Views.from_tensors(cameras.to("cpu"), frames.rgb.cpu().clamp(0, 1), opacity, names=names)


def _joined(parts: Sequence[Views]) -> Views:
    """Views in memory one after the other, with masks where all have them."""
    masks = [part.masks() for part in parts if part.has_masks]
    return Views.from_tensors(
        Cameras.concatenate([part.cameras for part in parts]),
        torch.cat([part.images() for part in parts]),
        torch.cat(masks) if len(masks) == len(parts) else None,
        names=[name for part in parts for name in part.names],
    )
