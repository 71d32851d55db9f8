"""Frames per second of trained light fields and of their teachers, rendered here and on their exported pages.

    python benchmarks/r2l_frames.py RUN [RUN ...] [--write]

RUN are run folders of any methods. Held-out views are rendered by one thread and by more, all runs taking turns. Those
that can be exported to a page are also measured in a headless Chromium without a graphics card, where there is one.
``--write`` keeps the table in ``benchmarks/results/r2l_frames.md``.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from novelview.allocator import tune_allocator

tune_allocator()  # before torch

import torch  # noqa: E402
import tyro  # noqa: E402

from lvsm_speed import processor  # noqa: E402
from novelview.cli.export_light_field import LightFieldOptions, WebOptions, make_web  # noqa: E402
from novelview.errors import MissingDependencyError  # noqa: E402
from novelview.export.variants import Variant  # noqa: E402
from novelview.export.web.runtime import runtime_folder  # noqa: E402
from novelview.files import atomic_write_text  # noqa: E402
from r2l_contenders import has_onnxruntime  # noqa: E402
from turns import Trained, taking_turns  # noqa: E402

# The tests' own driver of a browser.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "export"))
import browser  # noqa: E402

RESULT = Path(__file__).parent / "results" / "r2l_frames.md"
VARIANTS: tuple[Variant, ...] = ("float32", "int8")
# A network of the paper's size takes its time without threads.
browser.PATIENCE = 600.0
HEAD = """# Light fields: frames per second

Made by `benchmarks/r2l_frames.py`: {size}x{size} pixels, torch {torch}, {processor}. "render" is `Method.render` in float32
of {views} held-out views, the median of {rounds} rounds in which all runs take turns. "page" is the exported page with
`?bench={frames}` in headless Chromium, WebAssembly on the CPU: one thread, and all cores, which browsers allow
where the server sends the headers for it.{missing}

| run | {columns} |
|---|{rules}
"""


@dataclass(frozen=True)
class Options:
    """Measure frames per second."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of students and teachers."""
    size: int = 200
    """Width and height of the pictures."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of CPU threads of "render"."""
    views: int = 3
    """Held-out views that a round renders."""
    rounds: int = 5
    """Turns that count."""
    frames: int = 10
    """Frames that the page draws."""
    runtime: Path | None = None
    """Folder dist of the npm package onnxruntime-web. Default: fetched once with npm."""
    write: bool = False
    """Keep the table."""


def main(options: Options) -> None:
    """Print the table, and keep it if asked to."""
    runs = {run: Trained.open(run) for run in options.runs}
    columns = [f"render, threads {count}" for count in options.threads]
    cells = [rendered(runs, options, count) for count in options.threads]
    missing = why_no_page(options)
    if not missing:
        columns += [
            f"page, {variant}, {what}" for variant in VARIANTS for what in ("one thread", "all cores")
        ]
        cells += [
            {run: drawn(trained, options, variant, isolated) for run, trained in runs.items()}
            for variant in VARIANTS
            for isolated in (False, True)
        ]
    page = head(options, columns, missing)
    for run, trained in runs.items():
        found = [each[run] for each in cells]
        page += f"| {trained.name} | {' | '.join('-' if fps is None else f'{fps:.2f}' for fps in found)} |\n"
    print(page)
    if options.write:
        atomic_write_text(RESULT, page)


def rendered(runs: dict[Path, Trained], options: Options, threads: int) -> dict[Path, float]:
    """Frames per second of every run."""
    torch.set_num_threads(threads)
    calls, counts = {}, {}
    for run, trained in runs.items():
        cameras = trained.cameras(options.views, options.size, options.size)
        calls[str(run)] = partial(trained.method.render, trained.state, cameras)
        counts[run] = len(cameras)
    seconds = taking_turns(calls, options.rounds)
    return {run: count / seconds[str(run)] for run, count in counts.items()}


def drawn(trained: Trained, options: Options, variant: Variant, isolated: bool) -> float | None:
    """Frames per second on the exported page; None where the method makes none."""
    if "web" not in trained.info.spec.traits.exports:
        return None
    size = f"{options.size}x{options.size}"
    web, kept = WebOptions(size, options.runtime), LightFieldOptions(variant)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page"
        make_web(trained.method, trained.state, trained.scene, out, kept, web)
        with (
            browser.chromium(Path(folder) / "profile") as page,
            browser.served(out, isolated=isolated) as address,
        ):
            page.open(f"{address}/?bench={options.frames}&size={size}")
            html = "document.documentElement.dataset"
            found = page.wait_for(f"{html}.fps || ({html}.state === 'error' && 'error')")
            if found == "error":
                raise SystemExit(f"{trained.name}: {page.evaluate('document.body.innerText')}")
            assert page.evaluate(f"{html}.backend") == "wasm"
    return float(found)


def why_no_page(options: Options) -> str:
    """A sentence for the page where no browser can be asked, else nothing."""
    if browser.find_chromium() is None:
        return " No page was measured: there is no Chromium here."
    if not has_onnxruntime():
        return " No page was measured: the extra onnx is not installed here."
    try:
        runtime_folder(options.runtime)
    except MissingDependencyError as error:
        return f" No page was measured: {error.what}."
    return ""


def head(options: Options, columns: list[str], missing: str) -> str:
    """What was measured, and how."""
    return HEAD.format(
        size=options.size,
        torch=torch.__version__,
        processor=processor(),
        views=options.views,
        rounds=options.rounds,
        frames=options.frames,
        missing=missing,
        columns=" | ".join(columns),
        rules="---|" * len(columns),
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
