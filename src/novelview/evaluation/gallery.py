"""Results to look at: tables of scores, and rendered images beside their photographs and errors, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from html import escape
from pathlib import Path

import torch
from jaxtyping import UInt8
from numpy import asarray, ndarray
from PIL import Image

from novelview.evaluation.metrics import Scores
from novelview.evaluation.page import figure, table
from novelview.evaluation.results import Contender
from novelview.export.colours import colourise
from novelview.export.frames import to_bytes

SHOWN_VIEWS = 12
# Mean absolute colour difference that has the brightest colour of an error map.
ERROR_SCALE = 0.25

# Title, digits, and whether more is better.
_COLUMNS = {
    "psnr": ("PSNR (dB) ↑", 2, True),
    "ssim_gaussian11": ("SSIM, Gaussian 11 ↑", 4, True),
    "ssim_gaussian11_valid": ("SSIM, Gaussian 11 valid ↑", 4, True),
    "ssim_uniform7": ("SSIM, uniform 7 ↑", 4, True),
    "lpips": ("LPIPS ↓", 4, False),
    "depth_abs_rel": ("depth abs. rel. ↓", 4, False),
    "depth_rmse": ("depth RMSE ↓", 4, False),
}


def mean_table(contenders: Sequence[Contender]) -> str:
    """Means of every contender, the best of each column marked; the first contender is the main one."""
    metrics = _measured([contender.mean for contender in contenders])
    means = [[getattr(contender.mean, m) for m in metrics] for contender in contenders]
    columns = list(zip(*means, strict=True))
    rows, best = [], []
    for contender, values in zip(contenders, means, strict=True):
        name = contender.name + (" (baseline)" if contender.kind == "baseline" else "")
        shown = [_shown(value, m) for value, m in zip(values, metrics, strict=True)]
        rows.append([name, *shown, f"{contender.seconds:.2f}" if contender.seconds >= 0.01 else "< 0.01"])
        flags = [_is_best(v, column, m) for v, column, m in zip(values, columns, metrics, strict=True)]
        best.append([False, *flags, False])
    head = ["", *(_COLUMNS[m][0] for m in metrics), "seconds per image"]
    return table(head, rows, best=best, main=0)


def view_table(contenders: Sequence[Contender]) -> str:
    """Scores of every view, one line per contender."""
    metrics = _measured([row.scores for contender in contenders for row in contender.rows])
    rows = [
        [row.view, contender.name, *(_shown(getattr(row.scores, m), m) for m in metrics)]
        for same_view in zip(*(contender.rows for contender in contenders), strict=True)
        for contender, row in zip(contenders, same_view, strict=True)
    ]
    return table(["view", "", *(_COLUMNS[m][0] for m in metrics)], rows)


def gallery(contenders: Sequence[Contender], truth: Sequence[str], folder: Path) -> str:
    """Pictures and errors of at most ``SHOWN_VIEWS`` views, from the first contender's worst to its best.

    Args:
        contenders: whose rows name pictures.
        truth: files of the photographs, one per row.
        folder: what the files are relative to.
    """
    main = contenders[0]
    order = sorted(range(len(truth)), key=lambda i: main.rows[i].scores.psnr)
    count = min(SHOWN_VIEWS, len(order))
    places = sorted({round(k * (len(order) - 1) / max(count - 1, 1)) for k in range(count)})
    which = "all views" if count == len(order) else f"{count} of {len(order)} views, evenly over the ranking"
    explained = (
        f"From the worst to the best view of {main.name} by PSNR: {which}. Under each picture is its error, "
        "the mean absolute colour difference, in the same colours for all."
    )
    views = [_view(contenders, truth, folder, order[place], place + 1) for place in places]
    return f'<h2>Pictures</h2><p class="soft">{escape(explained)}</p>{"".join(views)}'


def _view(contenders: Sequence[Contender], truth: Sequence[str], folder: Path, i: int, rank: int) -> str:
    photograph = _read(folder / truth[i])
    cells = [figure(photograph, "photograph", ""), _error_legend()]
    for contender in contenders:
        row = contender.rows[i]
        assert row.picture is not None
        picture = _read(folder / row.picture)
        detail = f"{_shown(row.scores.psnr, 'psnr')} dB, SSIM {row.scores.ssim_gaussian11:.3f}"
        cells += [figure(picture, contender.name, detail), figure(_error_map(picture, photograph))]
    name = escape(contenders[0].rows[i].view)
    place = f"<small>rank {rank} of {len(truth)}</small>"
    grid = f'<div class="grid">{"".join(cells)}</div>'
    return f'<section class="view"><header><h3>{name}</h3>{place}</header>{grid}</section>'


def _error_map(picture: UInt8[ndarray, "h w 3"], truth: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h w 3"]:
    error = (torch.from_numpy(picture).float() - torch.from_numpy(truth).float()).abs().mean(dim=-1) / 255
    return to_bytes(colourise(error / ERROR_SCALE, "inferno"))


def _error_legend() -> str:
    stops = (colourise(torch.linspace(0, 1, 11), "inferno") * 255).round().int().tolist()
    gradient = ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops)
    return (
        f'<div class="scale"><div style="background: linear-gradient(to right, {gradient})"></div>'
        f"<div><span>0</span><span>error</span><span>≥ {ERROR_SCALE}</span></div></div>"
    )


def _read(path: Path) -> UInt8[ndarray, "h w 3"]:
    with Image.open(path) as image:
        return asarray(image.convert("RGB")).copy()


def _measured(scores: list[Scores]) -> list[str]:
    """Metrics that at least one of ``scores`` has."""
    return [f.name for f in fields(Scores) if any(getattr(each, f.name) is not None for each in scores)]


def _shown(value: float | None, metric: str) -> str:
    return "–" if value is None else f"{value:.{_COLUMNS[metric][1]}f}"


def _is_best(value: float | None, column: Sequence[float | None], metric: str) -> bool:
    known = [other for other in column if other is not None]
    return value is not None and value == (max(known) if _COLUMNS[metric][2] else min(known))
