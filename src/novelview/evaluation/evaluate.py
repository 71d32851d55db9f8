"""How good a method is on views it has not seen, beside what classical means make of the same photographs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.evaluation.baselines import BASELINES, baseline
from novelview.evaluation.metrics import MetricSettings, Region
from novelview.evaluation.report import Report
from novelview.evaluation.results import Contender, Row
from novelview.evaluation.scoring import finished, inference, score_frame
from novelview.export.frames import write_frame
from novelview.methods.method import Method
from novelview.nn.lpips import LPIPS
from novelview.progress import progress_bar
from novelview.types import Frames, Views

Renderer = Callable[[int], Frames]


def evaluate(
    method: Method,
    scene: Scene,
    state: Any = None,
    *,
    name: str | None = None,
    folder: str | Path | None = None,
    baselines: bool | Sequence[str] = True,
    views: Sequence[str] | None = None,
    on: Literal["test", "train"] = "test",
    region: Region = "image",
    lpips: LPIPS | None = None,
    quiet: bool = False,
) -> Report:
    """Render views whose photographs are known and measure the difference; one view at a time is in memory.

    A progress bar is shown where standard error is a terminal.

    Args:
        method: a trained method.
        scene: the scene it was trained on, or is to be conditioned on.
        state: what ``method.condition`` gave; None: it is conditioned on ``scene.train``.
        name: what the report calls the method; None: its class.
        folder: keep every rendered image and photograph as PNG in ``folder/pictures``; None: numbers only.
        baselines: also score the classical baselines, all of them or those named.
        views: names of the views to score; None: all.
        on: "test" scores held-out views. "train" scores views the method has learnt from; the report says so,
            and a baseline is not given the view it has to show.
        region: score the whole image, or only the foreground of the scene's masks.
        lpips: perceptual network; None: LPIPS is not measured.
        quiet: show no progress.

    Raises:
        ConfigError: the scene holds out no view, or an option does not fit it.
        MethodError: the method renders something that is no picture of the right size.
    """
    scored = _scored_views(scene, on, views)
    if region == "mask" and not scored.has_masks:
        raise ConfigError("This scene has no masks to score", where=scene.name, cure="score the whole image")
    chosen = tuple(BASELINES) if baselines is True else tuple(baselines or ())
    pictures = _Pictures(None if folder is None else Path(folder))
    name = name or type(method).__name__
    if name in chosen:
        raise ConfigError(f"A baseline is called {name!r} too", cure="name the method differently")
    with inference(method) as device:
        state = method.condition(scene.train, scene.bounds) if state is None else state
        renderers: dict[str, Renderer] = {name: method.one_by_one(state, scored.cameras.to(device))}
        renderers |= {each: partial(_baseline, each, scene, scored, on) for each in chosen}
        rows, truth = _score_all(renderers, scored, pictures, region, lpips, quiet)
    return Report(
        scene=scene.name,
        method=name,
        on=on,
        train_views=len(scene.train),
        test_views=len(scene.test),
        sizes=tuple((int(w), int(h)) for w, h in scored.cameras.sizes.tolist()),
        settings=MetricSettings(region=region).with_lpips(None if lpips is None else lpips.trunk),
        contenders=tuple(
            Contender(each, "method" if each == name else "baseline", tuple(rows[each])) for each in renderers
        ),
        truth=truth,
        folder=pictures.folder,
        origin=dict(scene.origin),
        notes=scene.notes,
    )


def _scored_views(scene: Scene, on: Literal["test", "train"], names: Sequence[str] | None) -> Views:
    candidates = scene.test if on == "test" else scene.train
    if on == "test" and not len(scene.test):
        raise ConfigError(
            "There is no held-out view to score",
            where=scene.name,
            why="every view of this scene was given to the method",
            cure="train with a split that holds views out, such as every-8; or score the training views, "
            "which says how well the method remembers them and is marked so",
        )
    both = set(scene.train.names) & set(scene.test.names)
    if on == "test" and both:
        raise ConfigError(
            "A held-out view is also a training view", where=scene.name, why=", ".join(sorted(both)[:5])
        )
    if names is None:
        return candidates
    unknown = [each for each in names if each not in candidates.names]
    if unknown or not names:
        raise ConfigError(
            f"There is no view {unknown[0]!r} to score" if unknown else "No view is named to be scored",
            where=scene.name,
            cure=f"name some of: {', '.join(candidates.names[:8])}{' …' if len(candidates) > 8 else ''}",
        )
    return candidates[[candidates.names.index(each) for each in names]]


def _baseline(name: str, scene: Scene, scored: Views, on: str, i: int) -> Frames:
    sources = scene.train
    if on == "train":
        sources = sources[[j for j, each in enumerate(sources.names) if each != scored.names[i]]]
    return baseline(name, sources, scene.bounds, scored.cameras[i])


def _score_all(
    renderers: Mapping[str, Renderer],
    scored: Views,
    pictures: _Pictures,
    region: Region,
    lpips: LPIPS | None,
    quiet: bool,
) -> tuple[dict[str, list[Row]], tuple[str, ...]]:
    """Rows of every contender, and the files of the photographs."""
    rows: dict[str, list[Row]] = {name: [] for name in renderers}
    truth = []
    with progress_bar(Console(stderr=True, quiet=quiet)) as bar:
        task = bar.add_task("scoring", total=len(scored) * len(renderers))
        for i in range(len(scored)):
            photograph = scored.image(i)
            file = pictures.keep(photograph, "photograph", i)
            truth += [file] if file else []
            for contender, (name, render) in enumerate(renderers.items()):
                start = time.perf_counter()
                frame = finished(render(i))
                seconds = time.perf_counter() - start
                scores = score_frame(frame, scored, i, photograph, name=name, region=region, lpips=lpips)
                file = pictures.keep(frame.rgb[0], f"{contender}-{name}", i)
                rows[name].append(Row(scored.names[i], scores, seconds, file))
                bar.advance(task)
    return rows, tuple(truth)


@dataclass(frozen=True)
class _Pictures:
    """Where rendered images are kept, if anywhere."""

    folder: Path | None

    def keep(self, rgb: Float[Tensor, "h w 3"], who: str, i: int) -> str | None:
        """Write an image; gives its path relative to the folder."""
        if self.folder is None:
            return None
        # Names of views may hold slashes, so files are numbered.
        path = Path("pictures", "".join(c if c.isalnum() or c in "-_." else "_" for c in who), f"{i:04d}.png")
        write_frame(self.folder / path, rgb)
        return path.as_posix()
