"""How far NeRF here is from the authors' code: the largest absolute error of every recorded quantity.

    python benchmarks/nerf_parity.py FIXTURES [--write]

FIXTURES is the folder with ``config.json``, ``rays.npz`` and the recorded ``nerf_*.npz``; ``--write`` keeps
the table in ``benchmarks/results/nerf_parity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.methods.nerf.checkpoint import load_official
from novelview.methods.nerf.config import NeRFConfig
from novelview.methods.nerf.model import Look, NeRF, Randomness
from novelview.methods.nerf.ndc import MARGIN
from novelview.methods.official import SYNTHETIC
from novelview.rendering.volume import disparity
from novelview.types import Bounds, FrontView
from parity import Row, arrays, command, error, table

RESULT = Path(__file__).parent / "results" / "nerf_parity.md"


def rows(folder: Path) -> list[Row]:
    """Errors of every case in ``folder``, coarse before fine."""
    settings = json.loads((folder / "config.json").read_text())
    cases = [name for name in settings if name.startswith("nerf_")]
    return [row for name in cases for row in _case(folder, name, settings)]


def _case(folder: Path, name: str, settings: dict) -> Iterator[Row]:
    nerf, options = settings["nerf"], settings[name]
    recorded = arrays(folder / f"{name}.npz")
    rays = arrays(folder / "rays.npz") if "rays_o" not in recorded else recorded
    config = NeRFConfig(
        coarse_samples=nerf["N_samples"],
        fine_samples=nerf["N_importance"],
        lindisp=options.get("lindisp", False),
        ndc=options.get("ndc", False),
    )
    bounds = _bounds(settings, options, recorded)
    method = load_official(folder / "ckpt_nerf_official.tar", config=config, bounds=bounds)
    randomness = Randomness()
    if "t_rand" in recorded:
        noise = options["raw_noise_std"]
        randomness = Randomness(
            jitter=recorded["t_rand"],
            coarse_noise=noise * recorded["noise_coarse"],
            importance=recorded["u_fine"],
            fine_noise=noise * recorded["noise_fine"],
        )
    with torch.no_grad():
        coarse, fine = method(Rays(rays["rays_o"], rays["rays_d"]), randomness)
    if method.front is not None:
        bent = method.front.ndc(method.front(Rays(rays["rays_o"], rays["rays_d"])))
        yield Row(name, "ndc_o", error(bent.origins, recorded["ndc_o"]), 1e-5)
        yield Row(name, "ndc_d", error(bent.directions, recorded["ndc_d"]), 1e-5)
    yield from _look(name, coarse, recorded, "_coarse", 1e-5)
    yield from _look(name, fine, recorded, "", 2e-4)


def _look(case: str, look: Look, recorded: dict[str, Tensor], suffix: str, tolerance: float) -> Iterator[Row]:
    label = suffix or "_fine"
    found = {
        f"z{label}": look.samples,
        f"w{label}": look.weights,
        f"rgb{suffix}": look.rgb,
        f"acc{suffix}": look.opacity,
        f"depth{suffix}": (look.weights * look.samples).sum(dim=-1),
        f"disp{suffix}": disparity(look.weights, look.samples),
    }
    for name, value in found.items():
        yield Row(case, name, error(value, recorded[name]), tolerance)


def _bounds(settings: dict, options: dict, recorded: dict[str, Tensor]) -> Bounds:
    camera = settings["camera"]
    bounds = replace(
        SYNTHETIC,
        near=camera["near"],
        far=camera["far"],
        background=(1.0, 1.0, 1.0) if options["white_bkgd"] else None,
    )
    if not options.get("ndc"):
        return bounds
    # The authors' world is that of the mean camera, with OpenGL's axes and the near plane at 1.
    axes = ((1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0))
    focal = float(recorded["focal"])
    half_size = (camera["W"] / 2 / focal, camera["H"] / 2 / focal)
    return replace(bounds, near=1 / MARGIN, forward_facing=True, front=FrontView(axes, half_size))


def costs() -> str:
    """Parameters and arithmetic of the paper's two settings, counted from the modules."""
    lines = ["| samples | parameters per network | MFLOP per ray |", "| --- | --- | --- |"]
    for fine in (128, 64):
        method = NeRF(NeRFConfig(fine_samples=fine), SYNTHETIC)
        parameters = sum(p.numel() for p in method.coarse.parameters())
        lines.append(f"| 64 + {fine} | {parameters:,} | {method.flops_per_ray / 1e6:.2f} |")
    return "\n".join(lines)


def page(folder: Path) -> str:
    """The table of a folder."""
    return (
        "# NeRF against the authors' code\n\n"
        "Same weights, rays and random numbers; float32 on a CPU. Made by `benchmarks/nerf_parity.py`.\n\n"
        f"{table(rows(folder))}\n\n{costs()}\n"
    )


if __name__ == "__main__":
    command(__doc__, RESULT, page)
