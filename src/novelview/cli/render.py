"""``novelview render RUN``: a video, frames or one picture, from where no camera stood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console

from novelview.cameras import paths
from novelview.cameras.arrangement import looks_inward
from novelview.cameras.cameras import Cameras
from novelview.cli.options import MethodOptions, SceneOptions, Unprefixed, parse
from novelview.cli.runs import cameras_of_file, folder_for, scene_to_show
from novelview.data.scene import Scene
from novelview.errors import ConfigError, MethodError
from novelview.export.colours import colourise_depth, depth_range
from novelview.export.frames import write_frame
from novelview.export.video import write_video
from novelview.files import atomic_write_json
from novelview.methods.method import Method
from novelview.progress import track
from novelview.types import Frames

# Frames that are looked at before all are rendered, and the side of these small squares in pixels: a multiple of the
# patches of 8, 14 and 16 pixels that methods divide images into.
_GLANCES = 16
_GLANCE_SIDE = 112


@dataclass(frozen=True)
class Render:
    """Render a video (.mp4), one picture (.png) or a folder of frames from a trained run."""

    method: Unprefixed[MethodOptions]
    scene: Unprefixed[SceneOptions]
    out: Path | None = None
    """Where to: name.mp4, name.png or a folder. Default: video.mp4, or picture.png for a single camera, in the
    run or in runs/CAPTURE-METHOD."""
    path: Literal["auto", "interpolate", "straight", "orbit", "spiral", "ellipse", "train", "test"] = "auto"
    """Camera path. auto: spiral for forward-facing captures, ellipse where the cameras look at one place from
    several sides, else interpolate between them; straight: from each input view to the next without a curve, as LVSM's
    videos do, for few views; train and test: the capture's own views."""
    loop: bool = False
    """Return to the first view at the end (interpolate and straight)."""
    by_nearness: bool = False
    """Visit the views not in their order, but from the first one always the nearest left (interpolate and straight)."""
    cameras: Path | None = None
    """Cameras from a file instead: a nerfstudio camera path, or a transforms.json-like file with one pose or more."""
    frames: int = 120
    """Number of frames of a path."""
    fps: float | None = None
    """Frames per second of a video. Default: the camera file's, else 30."""
    size: int | None = None
    """Longer image side in pixels. Default: as trained."""
    show: Literal["rgb", "depth", "both"] = "rgb"
    """Colours, depth, or both side by side. Depth is drawn evenly in 1/depth, on one scale for all frames: bright
    yellow is near, dark violet is far (percentiles 2 and 98 along the path), black is unknown."""
    explain: bool = False
    """Also write which photographs each frame was made of, and why, into a .json file beside it."""
    device: str | None = None
    """cpu, cuda, … Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Render, arguments, "render")
    _check(options)
    method, info, run = options.method.load(options.device)
    scene = scene_to_show(run, info, options.scene)
    cameras, fps = _choose_cameras(options, scene)
    cameras = cameras.to(next(method.parameters()).device)
    state = method.condition(scene.train, scene.bounds)
    facts = explained(method, state, cameras) if options.explain else None
    near_far = None if options.show == "rgb" else path_depths(method, state, cameras)
    pictures = (picture(frame, options.show, near_far) for frame in render_frames(method, state, cameras))
    name = "picture.png" if len(cameras) == 1 else "video.mp4"
    out = options.out or folder_for(run, info, scene) / name
    write(out, pictures, len(cameras), options.fps or fps or 30.0)
    console = Console(highlight=False)
    console.print(f"wrote {out}")
    if facts is not None:
        beside = out.with_suffix(".json")
        atomic_write_json(beside, facts)
        console.print(f"wrote {beside}")
    return 0


def _check(options: Render) -> None:
    if options.frames < 1:
        raise ConfigError(f"Bad number of frames: {options.frames}", cure="give --frames 1 or more")
    through_views = options.cameras is None and options.path in ("interpolate", "straight")
    if (options.loop or options.by_nearness) and not through_views:
        raise ConfigError(
            "This path has no order of views to change",
            why="--loop and --by-nearness are about paths from view to view",
            cure="leave them out, or add --path interpolate or --path straight",
        )


def explained(method: Method, state: Any, cameras: Cameras) -> list[dict[str, Any]]:
    """What each frame is made of, above all which input views.

    Raises:
        MethodError: the method makes every frame of all of them.
    """
    facts = [method.explain(state, cameras[i]) for i in range(len(cameras))]
    if not any(facts):
        raise MethodError("This method makes each frame of all photographs", cure="leave out --explain")
    return [{"frame": i, **fact} for i, fact in enumerate(facts)]


def render_frames(method: Method, state: Any, cameras: Cameras) -> Iterator[Frames]:
    """One frame at a time, so that a long video needs no more memory than one picture where the method allows it."""
    frame = method.one_by_one(state, cameras)
    for i in range(len(cameras)):
        with torch.no_grad():
            yield frame(i)


def path_depths(method: Method, state: Any, cameras: Cameras) -> tuple[float, float]:
    """Near and far for the colours of depth in all frames alike, found by a glance at some of them.

    Raises:
        MethodError: the method renders no depth.
    """
    some = cameras[:: math.ceil(len(cameras) / _GLANCES)].resized(_GLANCE_SIDE, _GLANCE_SIDE)
    return depth_range(_depth(frame) for frame in render_frames(method, state, some))


def write(out: Path, pictures: Iterator[torch.Tensor], count: int, fps: float) -> None:
    """Write pictures, (h, w, 3) in [0, 1], as the suffix of ``out`` says: .mp4, .png, or a folder."""
    watched = track(pictures, count, f"rendering {out.name}")
    if out.suffix.lower() == ".mp4":
        write_video(out, watched, fps=fps)
    elif out.suffix.lower() == ".png":
        if count != 1:
            raise ConfigError(
                f"{count} frames do not fit into one picture", where=out, cure="name a folder or .mp4"
            )
        write_frame(out, next(watched))
    elif out.suffix == "":
        for i, shown in enumerate(watched):
            write_frame(out / f"{i:05d}.png", shown)
    else:
        raise ConfigError(
            f"Cannot write {out.suffix} files", where=out, cure="name an .mp4, a .png or a folder"
        )


def picture(frame: Frames, show: str, near_far: tuple[float, float] | None = None) -> torch.Tensor:
    """What is shown of a frame, (h, w, 3) in [0, 1]; depth in the colours of ``colourise_depth``."""
    if show == "rgb":
        return frame.rgb[0]
    depth = colourise_depth(_depth(frame), near_far)
    return depth if show == "depth" else torch.cat([frame.rgb[0], depth], dim=1)


def _depth(frame: Frames) -> torch.Tensor:
    if frame.depth is None:
        raise MethodError("This method renders no depth", cure="leave out --show")
    return frame.depth[0]


def _choose_cameras(options: Render, scene: Scene) -> tuple[Cameras, float | None]:
    fps = None
    if options.cameras is not None:
        cameras, fps = cameras_of_file(options.cameras, scene)
    else:
        cameras = path_cameras(scene, options.path, options.frames, options.loop, options.by_nearness)
    if options.size is not None:
        cameras = _with_long_side(cameras, options.size)
    return cameras, fps


def path_cameras(
    scene: Scene, kind: str, frames: int, loop: bool = False, by_nearness: bool = False
) -> Cameras:
    """Cameras of a named path that suits the scene's own; ``loop`` and ``by_nearness`` as :class:`Render` has them."""
    own = paths.by_nearness(scene.train.cameras) if by_nearness else scene.train.cameras
    if kind == "auto":
        around = "ellipse" if looks_inward(own) else "interpolate"
        kind = "spiral" if scene.bounds.forward_facing else around
    if kind == "interpolate":
        return paths.interpolate(own, frames, loop=loop)
    if kind == "straight":
        return paths.straight(own, frames, loop=loop)
    if kind == "orbit":
        return paths.orbit(own, frames)
    if kind == "spiral":
        return paths.spiral(own, frames, scene.bounds.near, scene.bounds.far)
    if kind == "ellipse":
        return paths.ellipse(own, frames)
    views = scene.train if kind == "train" else scene.test
    if len(views) == 0:
        raise ConfigError("This split holds out no view", cure="choose another --path")
    return views.cameras


def _with_long_side(cameras: Cameras, side: int) -> Cameras:
    if side < 1:
        raise ConfigError(f"Bad --size {side}", cure="give the longer image side in pixels, for example 800")
    width, height = cameras.common_size
    ratio = side / max(width, height)
    return cameras.resized(max(1, round(width * ratio)), max(1, round(height * ratio)))
