"""What classical means make of every posed capture below a folder: the values a method has to beat.

    python benchmarks/baselines.py DATA [--out benchmarks/results/baselines.md] [--max-side 128]

Each capture is opened at a small size, with its own split or every 8th view held out. The depth range is what
``open_scene`` finds by itself, as it is for a user who gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import tyro

from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.errors import NovelviewError
from novelview.evaluation.baselines import BASELINES, PLANES, SOURCES, baseline
from novelview.evaluation.metrics import psnr, ssim
from novelview.files import atomic_write_text

HEAD = f"""# Classical baselines on held-out views

Rendered from training views alone by `benchmarks/baselines.py`: the nearest photograph, the mean of a
plane sweep, and the plane sweep's plane of least variance ({PLANES} planes, {SOURCES} nearest views). Cells
are mean PSNR in dB / mean SSIM (11x11 Gaussian window, zero padding) over the held-out views, whole image,
colours sRGB in [0, 1]; where a capture has object masks, the background is one colour first. The few settings
of the sweep were chosen on held-out views of eight of these captures. A method that does not beat the best of
the three has learnt little.

"""


@dataclass(frozen=True)
class Options:
    """Score the classical baselines on every posed capture of a folder."""

    data: tyro.conf.Positional[Path]
    """Folder of capture folders."""
    out: Path = Path("benchmarks/results/baselines.md")
    """Table to write."""
    max_side: int = 128
    """Longest image side in pixels."""


def main(options: Options) -> None:
    """Write the table; a capture that cannot be scored is listed with the reason."""
    lines = ["| scene | split | train / test views | size | " + " | ".join(BASELINES) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(BASELINES))
    left_out = []
    for folder in sorted(path for path in options.data.iterdir() if path.is_dir()):
        try:
            scene = open_scene(folder, max_side=options.max_side)
            if len(scene.test):
                lines.append(_line(scene))
                print(lines[-1], flush=True)
        except NovelviewError as error:
            left_out.append(f"* {folder.name}: {error.what}")
    text = HEAD + "\n".join(lines) + "\n"
    if left_out:
        text += "\nNot scored:\n\n" + "\n".join(left_out) + "\n"
    atomic_write_text(options.out, text)


def _line(scene: Scene) -> str:
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in BASELINES}
    for i in range(len(scene.test)):
        truth = scene.test.image(i)
        for name in BASELINES:
            image = baseline(name, scene.train, scene.bounds, scene.test.cameras[i]).rgb[0]
            scores[name].append((psnr(image, truth), ssim(image, truth, "gaussian11")))
    width, height = scene.test.cameras.sizes[0].tolist()
    cells = [" / ".join(_means(scores[name])) for name in BASELINES]
    counts = f"{len(scene.train)} / {len(scene.test)}"
    start_of_line = [scene.name, scene.origin["split"]["name"], counts, f"{width}x{height}"]
    return f"| {' | '.join([*start_of_line, *cells])} |"


def _means(scores: list[tuple[float, float]]) -> tuple[str, str]:
    return f"{fmean(s[0] for s in scores):.2f}", f"{fmean(s[1] for s in scores):.3f}"


if __name__ == "__main__":
    main(tyro.cli(Options))
