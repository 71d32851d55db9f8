"""``novelview generate "a red torus"``: views, a video and a mesh of what words or pictures describe."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console

from novelview.cameras.cameras import Cameras
from novelview.cli.export_mesh import MeshOptions
from novelview.cli.generate_mesh import STEPS, check_meshes, make_surface, write_meshes
from novelview.cli.options import MethodOptions, Positional, Unprefixed, parse
from novelview.config import to_json
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.write import write_scene
from novelview.errors import ConfigError
from novelview.export.frames import write_frame
from novelview.export.sheet import enlarged, sheet
from novelview.export.video import write_video
from novelview.files import atomic_folder, atomic_write_json, require_new
from novelview.generation import Studio
from novelview.methods.discovery import discover
from novelview.methods.method import Method
from novelview.progress import progress_bar
from novelview.subjects import (
    Trajectory,
    cameras_of_file,
    check_generative,
    generate_scene,
    given_views,
)
from novelview.training.folder import RunInfo
from novelview.types import Frames, Views

_PREVIEW = "preview.png"
# A preview costs at most one part in this many of the time.
_PREVIEW_SHARE = 10
# Shorter side of a video in pixels, at least: players blur what is smaller.
_VIDEO_SIDE = 256
_NAME_LENGTH = 40


@dataclass(frozen=True)
class Generate:
    """Generate views of a subject from words, from a picture of it, or from both, as a capture that all other verbs read.
    The folder has images, masks, cameras (transforms.json) and the words (captions.json), besides a sheet of all views
    (views.png), a video of them (orbit.mp4) and how they came about (generation.json). While they are made, preview.png in
    it shows how far they are."""

    prompt: Positional[str] = ""
    """What is to be seen, in words; may be left out where there is a picture."""
    trajectory: Unprefixed[Trajectory] = field(default_factory=Trajectory)
    model: str = "viewdiff"
    """Name of a generative method that comes with weights, or a run folder of one."""
    adjust: tuple[str, ...] = ()
    """Settings that shall differ from the run's, where the method allows it, for example steps=20."""
    image: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A picture of the subject, which is cut out by its alpha channel, else by its background of one colour, and taken to
    have been seen from the first camera of the path; repeat it for more, which need --image-cameras."""
    image_mask: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Mask of a picture, white where the subject is; one for each --image, in their order."""
    image_cameras: Path | None = None
    """Cameras that took the pictures, in the file formats of --cameras, one for each --image, in their order."""
    cameras: Path | None = None
    """Cameras from a file instead of a path: a nerfstudio camera path, or a transforms.json-like file with one pose or more.
    Coordinates are the model's: z up, the subject around the origin."""
    seed: int = 0
    """Determines every random draw."""
    count: int = 1
    """Number of samples, with seeds from --seed on; several are in folders 0000, 0001 and so on."""
    out: Path | None = None
    """Folder for everything; must be empty or absent. Default: generated/WORDS-SEED."""
    overwrite: bool = False
    """Replace a folder that has something in it, when the new one is done; nothing of the old one stays."""
    video: bool = True
    """Write a video of the views."""
    fps: float = 8.0
    """Frames per second of the video."""
    to: tyro.conf.UseAppendAction[tuple[Literal["glb", "ply", "obj"], ...]] = ()
    """Also make a mesh of the views: learn the surface from them with dvr, in half a minute to a minute, and export it."""
    surface_steps: int = STEPS
    """glb, ply and obj: steps in which the surface is learnt."""
    mesh: Unprefixed[MeshOptions] = field(default_factory=lambda: MeshOptions(resolution=128, check=True))
    device: str | None = None
    """cpu, cuda, … Default: cuda where there is one."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Generate, arguments, "generate")
    console = Console(highlight=False, soft_wrap=True)
    _check(options)
    out = options.out or Path("generated") / f"{_slug(options)}-{options.seed}"
    _require_new(out, options.overwrite)
    method, info = _loaded(options)
    studio = method.studio()
    asked = _asked(options, studio)
    for i in range(options.count):
        folder = out if options.count == 1 else out / f"{i:04d}"
        _make(method, info, asked, options, options.seed + i, folder, console)
    if options.count > 1 and options.overwrite:
        _remove_others(out, options.count)
    return 0


def _remove_others(out: Path, count: int) -> None:
    """What a folder of samples still holds of an earlier call."""
    for each in out.iterdir():
        if each.name not in {f"{i:04d}" for i in range(count)}:
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


@dataclass(frozen=True)
class _Asked:
    """What is generated.

    Attributes:
        cameras: of the views that are made.
        known: views that are given.
        along: whether the given views are part of the trajectory.
    """

    cameras: Cameras
    known: Views | None
    along: bool


def _check(options: Generate) -> None:
    if not options.prompt.strip() and not options.image:
        raise ConfigError(
            "Nothing says what is to be seen",
            cure='describe it, novelview generate "a red torus", or give a picture with --image',
        )
    if options.count < 1 or options.surface_steps < 1:
        raise ConfigError("--count and --surface-steps begin at 1")
    if options.fps <= 0:
        raise ConfigError(f"A video cannot have {options.fps:g} frames per second", cure="give --fps 8")
    if options.to:
        check_meshes(options.to, options.mesh)
    if options.cameras is not None and options.trajectory != Trajectory():
        raise ConfigError(
            "Cameras come from a file or along a path",
            cure="leave out --cameras, or the options of the path",
        )
    if len(options.image) > 1 and options.image_cameras is None:
        raise ConfigError(
            "Only one picture can be taken to be seen from the first camera",
            why=f"{len(options.image)} are given",
            cure="say with --image-cameras FILE where each was taken, or give one",
        )
    if not options.image and (options.image_mask or options.image_cameras is not None):
        raise ConfigError("There is no picture for this mask or camera", cure="add --image FILE")


def _slug(options: Generate) -> str:
    words = options.prompt.strip() or options.image[0].stem
    return re.sub(r"[^a-z0-9]+", "-", words.lower())[:_NAME_LENGTH].strip("-") or "generated"


def _require_new(out: Path, overwrite: bool) -> None:
    """Refuse what may not be replaced; a preview that a run left behind that was killed may be."""
    left_behind = out.is_dir() and [each.name for each in out.iterdir()] == [_PREVIEW]
    require_new(out, overwrite=overwrite or left_behind)


def _loaded(options: Generate) -> tuple[Method, RunInfo]:
    named = discover().get(options.model)
    if named is not None:
        check_generative(named)
    method, info, _ = MethodOptions(options.model, options.adjust).load(options.device)
    check_generative(info.spec)
    return method, info


def _asked(options: Generate, studio: Studio) -> _Asked:
    if options.cameras is None:
        cameras = options.trajectory.cameras(studio)
    else:
        cameras = cameras_of_file(options.cameras, studio)
    if not options.image:
        return _Asked(cameras, None, along=False)
    taken = options.image_cameras is not None
    theirs = cameras[0] if options.image_cameras is None else cameras_of_file(options.image_cameras, studio)
    known = given_views(studio, options.image, theirs, masks=options.image_mask, taken=taken)
    return _Asked(cameras if taken else cameras[1:], known, along=not taken)


def _make(
    method: Method,
    info: RunInfo,
    asked: _Asked,
    options: Generate,
    seed: int,
    folder: Path,
    console: Console,
) -> None:
    """One sample: its views, and then perhaps its meshes."""
    start = time.perf_counter()
    preview = _Preview(folder / _PREVIEW, asked)
    try:
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task("denoising", total=None)

            def watch(done: int, steps: int, now: Callable[[], Frames]) -> None:
                bar.update(task, completed=done, total=steps)
                preview.show(done, steps, now)

            scene = generate_scene(
                method,
                options.prompt,
                asked.cameras,
                known=asked.known,
                seed=seed,
                name=folder.name,
                watch=watch,
            )
        seconds = time.perf_counter() - start
        preview.remove()
        with atomic_folder(folder, overwrite=options.overwrite) as temporary:
            _write(temporary, scene, asked, options)
            atomic_write_json(temporary / "generation.json", _facts(info, options, seed, seconds))
    finally:
        preview.remove()
    for note in scene.notes:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"note: {note}", markup=False)
    console.print(f"wrote {folder}: {len(scene.train)} views in {seconds:.1f} s")
    if options.to:
        _surface(folder, options, console)


def _write(folder: Path, scene: Scene, asked: _Asked, options: Generate) -> None:
    write_scene(folder, scene)
    images = scene.train.images()
    write_frame(folder / "views.png", sheet(images))
    if options.video:
        first = 0 if asked.along or asked.known is None else len(asked.known)
        shown = images[first:]
        shown = shown[list(options.trajectory.video(len(shown)))]
        write_video(folder / "orbit.mp4", enlarged(shown, _VIDEO_SIDE), fps=options.fps)


def _facts(info: RunInfo, options: Generate, seed: int, seconds: float) -> dict[str, Any]:
    """What tells how views came about."""
    path = {"file": str(options.cameras)} if options.cameras is not None else asdict(options.trajectory)
    return {
        "model": options.model,
        "method": info.spec.name,
        "prompt": options.prompt.strip(),
        "images": [str(path) for path in options.image],
        "image_masks": [str(path) for path in options.image_mask],
        "image_cameras": None if options.image_cameras is None else str(options.image_cameras),
        "seed": seed,
        "cameras": path,
        "settings": to_json(info.config),
        "seconds": round(seconds, 2),
    }


def _surface(folder: Path, options: Generate, console: Console) -> None:
    start = time.perf_counter()
    scene = open_scene(folder, split="none")
    surface = make_surface(scene, folder / "surface", options.surface_steps, options.seed, options.device)
    console.print(f"learnt the surface in {time.perf_counter() - start:.1f} s: {folder / 'surface'}")
    for file, said, seconds in write_meshes(surface, scene, folder, options.to, options.mesh):
        console.print(f"wrote {file}{said} in {seconds:.1f} s", markup=False)


class _Preview:
    """A sheet of the views as they are now, in a file that is replaced as they become clearer."""

    def __init__(self, path: Path, asked: _Asked) -> None:
        self._path = path
        self._known = asked.known.images() if asked.known is not None else None
        self._cost, self._last = 0.0, 0.0
        self._made_folder = not path.parent.exists()

    def show(self, done: int, steps: int, now: Callable[[], Frames]) -> None:
        """Look, unless looking would take too large a part of the time."""
        begin = time.perf_counter()
        if done < steps and begin - self._last < _PREVIEW_SHARE * self._cost:
            return
        images = now().rgb.float().cpu().clamp(0, 1)
        if self._known is not None:
            images = torch.cat([self._known, images])
        write_frame(self._path, sheet(images))
        self._last = time.perf_counter()
        self._cost = self._last - begin

    def remove(self) -> None:
        """Leave nothing behind."""
        self._path.unlink(missing_ok=True)
        if self._made_folder and self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()
