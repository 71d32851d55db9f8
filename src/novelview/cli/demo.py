"""``novelview demo``: from nothing to new views of a scene, on the machine at hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from novelview.cli.eval import print_means
from novelview.cli.options import parse
from novelview.cli.render import path_cameras, render_frames, write
from novelview.data.procedural import demo_scene
from novelview.data.scene import Scene
from novelview.errors import OutputError
from novelview.evaluation.evaluate import evaluate
from novelview.export.frames import write_frame
from novelview.methods.discovery import discover
from novelview.methods.method import Method
from novelview.training import Evaluate, Rhythm, fit
from novelview.training.run import load_method

# The first picture comes early, so that one sees that something happens.
_FIRST_LOOK = 200


@dataclass(frozen=True)
class Demo:
    """See an embedded scene at once by what needs no training, then train on it; leaves videos, a report and a still."""

    out: Path = Path("demo")
    """Folder for everything; must be empty or absent."""
    method: str = "grid"
    """Per-scene method."""
    preset: str = "fast"
    """Its preset."""
    size: int = 100
    """Image width and height in pixels."""
    frames: int = 90
    """Frames of the video."""
    seed: int = 0
    """Determines every random draw."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    options = parse(Demo, arguments, "demo")
    console = Console(highlight=False, soft_wrap=True)
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise OutputError(
            "The demo's folder is not empty",
            where=options.out,
            cure=f"remove it, or name another: novelview demo --out {options.out}-2",
        )
    start = time.perf_counter()
    scene = demo_scene(options.size)
    console.print(
        f"scene: {len(scene.train)} views of {options.size}x{options.size}, {len(scene.test)} held out"
    )
    for name in (spec.name for spec in discover().values() if spec.weights is not None):
        _show_at_once(name, scene, options, start, console)
    method = fit(
        options.method,
        scene,
        preset=options.preset,
        out=options.out / "run",
        seed=options.seed,
        rhythm=Rhythm(evaluate=_FIRST_LOOK),
        evaluate=_first_look(scene, options.out / "preview.png", start, console),
    )
    trained = time.perf_counter() - start
    report = evaluate(method, scene, name=options.method, folder=options.out / "report")
    report.write(options.out / "report")
    write_frame(options.out / "still.png", _beside_truth(method, scene))
    _write_video(options.out / "video.mp4", method, scene, options.frames)
    print_means(report)
    console.print(f"trained in {trained:.0f} s; all in {time.perf_counter() - start:.0f} s")
    for name, what in (
        ("video.mp4", "the scene from where no camera stood"),
        ("still.png", "held-out view: photograph left, rendering right"),
        ("report/report.html", "every held-out view, scores and baselines"),
    ):
        console.print(f"  {options.out / name}  {what}")
    console.print("your own: novelview train grid --data CAPTURE", markup=False)
    return 0


def _show_at_once(name: str, scene: Scene, options: Demo, start: float, console: Console) -> None:
    """What a method that was trained on other scenes makes of this one."""
    method, _ = load_method(name)
    write_frame(options.out / "preview.png", _beside_truth(method, scene))
    console.print(f"{name}, without training: first picture after {time.perf_counter() - start:.0f} s")
    video = options.out / f"{name}.mp4"
    _write_video(video, method, scene, options.frames)
    mean = evaluate(method, scene, baselines=False).mean
    console.print(f"  {video}  {mean.psnr:.2f} dB on held-out views")


def _write_video(path: Path, method: Method, scene: Scene, frames: int) -> None:
    cameras = path_cameras(scene, "orbit", frames)
    state = method.condition(scene.train, scene.bounds)
    pictures = (frame.rgb[0] for frame in render_frames(method, state, cameras))
    write(path, pictures, len(cameras), 30.0)


def _first_look(scene: Scene, path: Path, start: float, console: Console) -> Evaluate:
    """Keeps a picture of a held-out view up to date during training."""
    shown = False

    def look(method: Method, step: int) -> dict[str, float]:
        nonlocal shown
        write_frame(path, _beside_truth(method, scene))
        if not shown:
            console.print(f"first picture after {time.perf_counter() - start:.0f} s: {path}")
            shown = True
        report = evaluate(method, scene, baselines=False, views=scene.test.names[:3], quiet=True)
        return {"held-out psnr": report.mean.psnr}

    return look


def _beside_truth(method: Method, scene: Scene) -> torch.Tensor:
    view = scene.test[0]
    with torch.no_grad():
        state = method.condition(scene.train, scene.bounds)
        device = next((p.device for p in method.parameters()), torch.device("cpu"))
        rendered = method.render(state, view.cameras.to(device)).rgb[0].cpu()
    return torch.cat([view.image(0), rendered], dim=1)
