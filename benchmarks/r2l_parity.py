"""How far R2L here is from the authors' code: the largest absolute error of every recorded quantity.

    python benchmarks/r2l_parity.py FIXTURES [--write]

FIXTURES is the folder with ``config.json``, ``rays.npz``, the recorded networks and their outputs; ``--write`` keeps the
table in ``benchmarks/results/r2l_parity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import from_opengl
from novelview.geometry.rays import Rays
from novelview.methods.official import SYNTHETIC, as_tensors
from novelview.methods.r2l.config import HardConfig, NetworkConfig, PointsConfig, R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.plain import PlainStudent
from novelview.methods.r2l.presets import PAPER, PRESETS
from novelview.methods.r2l.students import make_student
from novelview.nn.encodings import grouped_frequency_encoding
from novelview.training.optim import build_optimizer, learning_rate, set_learning_rate
from novelview.types import RayBatch
from parity import Row, arrays, command, error, table

RESULT = Path(__file__).parent / "results" / "r2l_parity.md"
# The schedules that were recorded, by their names there.
SCHEDULES = {
    "r2l_blender_warmup": PAPER,
    "r2l_llff_warmup": replace(PAPER, final_fraction=1e-8),
    "nerf_blender_no_warmup": replace(PAPER, warmup_steps=0, decay_steps=2_000_000),
}


def rows(folder: Path) -> list[Row]:
    """Errors of every case in ``folder``."""
    settings = json.loads((folder / "config.json").read_text())
    cases = [name for name in settings if (folder / f"{name}_io.npz").is_file()]
    found = [row for name in cases for row in _student(folder, name, settings)]
    return [
        *_rays(folder, settings["camera"]),
        *found,
        *_training(folder, settings),
        *_schedules(folder),
        *_encoding(folder),
    ]


def _rays(folder: Path, camera: dict[str, float]) -> Iterator[Row]:
    """Rays of both images: the second is zoomed in."""
    recorded = arrays(folder / "rays.npz")
    zoomed = {**camera, "focal": float(recorded["focal2"])}
    cameras = [_cameras(recorded["c2w"], camera), _cameras(recorded["c2w2"], zoomed)]
    rays = [each.through_pixels(0.0).rays().reshape(-1) for each in cameras]
    yield Row("rays", "rays_o", error(torch.cat([each.origins for each in rays]), recorded["rays_o"]), 1e-6)
    yield Row(
        "rays", "rays_d", error(torch.cat([each.directions for each in rays]), recorded["rays_d"]), 1e-6
    )


def _student(folder: Path, name: str, settings: dict[str, Any]) -> Iterator[Row]:
    recorded, inputs = arrays(folder / f"{name}_io.npz"), arrays(folder / "rays.npz")
    method = _method(_config(settings[name]), settings["camera"], folder / f"{name}_state.pt")
    student, rays = method.student, Rays(inputs["rays_o"], inputs["rays_d"])
    assert isinstance(student, PlainStudent)
    with torch.no_grad():
        points = student.coordinates(rays)
        encoded = student.encoded(points)[:8]
        head = student.network.head(encoded)
        found = {
            "pts_eval": points,
            "emb_eval_first8": encoded,
            "head_first8": head,
            "body_first8": student.network.body(head),
            "rgb_eval": student(rays),
            "rgb_image": method.render(None, _cameras(inputs["c2w"], settings["camera"])).rgb[0],
        }
        if student.jitter_samples:
            found["z_vals"] = student.depths
            found["pts_train"] = student.coordinates(rays, recorded["t_rand"])
            found["rgb_train"] = student(rays, recorded["t_rand"])
    for quantity, value in found.items():
        yield Row(name, quantity, error(value, recorded[quantity]), 1e-5)


def _config(options: dict[str, Any], hard: tuple[float, float, float] = (0.0, 0.0, 20.0)) -> R2LConfig:
    """Our options for the authors'; ``hard``: what is added to a batch, what is kept of it, and of all, in its parts."""
    trial = options["trial"]
    widths = tuple(int(width) for width in options["layerwise_netwidths"].split(",") if width)
    network = NetworkConfig(
        width=options["width"],
        depth=options["depth"],
        body="residual" if trial["body_arch"] == "resmlp" else "plain",
        global_residual=options["use_residual"],
        residual_scale=trial["res_scale"],
        block_layers=trial["n_learnable"],
        blocks=None if trial["n_block"] == -1 else trial["n_block"],
        activation=options["act"],
        inner_activation=trial["inact"],
        outer_activation=trial["outact"],
        layer_widths=widths,
    )
    points = PointsConfig(options["n_sample_per_ray"], options["multires"], options["plucker"])
    return R2LConfig(network=network, points=points, hard=HardConfig(*hard), pixel_centre=0.0)


def _method(config: R2LConfig, camera: dict[str, float], weights: Path) -> R2L:
    method = R2L(config, replace(SYNTHETIC, near=camera["near"], far=camera["far"]))
    tensors = as_tensors(torch.load(weights, weights_only=True), weights)
    method.student.network.load_state_dict(tensors)
    return method


def _cameras(pose: Tensor, camera: dict[str, float]) -> Cameras:
    width, height, focal = int(camera["W"]), int(camera["H"]), camera["focal"]
    intrinsics = torch.tensor([focal, focal, width / 2, height / 2])
    return Cameras.pinhole(from_opengl(pose[None, :3]), intrinsics, width, height)


def _training(folder: Path, settings: dict[str, Any]) -> Iterator[Row]:
    """The recorded steps, with the recorded batches and random numbers, by our recipe's optimiser and schedule."""
    recorded, case, options = arrays(folder / "train_trace.npz"), "train_trace", settings["train_trace"]
    kept, added = _shares(options["hard_ratio"])
    network = {**settings["student"], **{name: options[name] for name in ("width", "depth", "multires")}}
    config = _config({**network, "n_sample_per_ray": options["K"]}, (added, kept, float(options["hard_mul"])))
    method = _method(config, options, folder / "train_init_state.pt")
    replay = _replay(method, recorded, arrays(folder / "rays.npz"), options["iterations"])
    full = torch.tensor([size >= config.hard.capacity * options["batch"] for size in replay.sizes])
    yield Row(case, "loss", error(_doubles(replay.losses), recorded["loss"]), 1e-5)
    yield Row(case, "lr", error(_doubles(replay.rates), recorded["lr"]), 1e-9)
    yield Row(case, "pool_size", error(torch.tensor(replay.sizes), recorded["pool_size"]), 0.0)
    yield Row(case, "pool_full_after", float((full != recorded["pool_full_after"]).sum()), 0.0)
    yield Row(case, "hard_rows (rays of the pool that differ, over all steps)", float(replay.unlike), 0.0)
    yield Row(case, "pool_final", error(method.pool.rows, recorded["pool_final"]), 0.0)
    weights = torch.load(folder / "train_final_state.pt", weights_only=True)
    for name, value in method.student.network.state_dict().items():
        yield Row(case, name, error(value, weights[name]), 1e-5)


@dataclass
class Replay:
    """What a training went through, step by step.

    Attributes:
        losses: of each step.
        rates: learning rates.
        sizes: rays in the pool after each step.
        unlike: rays of the pool, over all steps, that the recorded choice of hard rays would not have put there.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    unlike: int = 0


def _replay(method: R2L, recorded: dict[str, Tensor], inputs: dict[str, Tensor], steps: int) -> Replay:
    """Train for so many steps with the recorded batches and random numbers."""
    replay, pool = Replay(), torch.zeros(0, 9)
    optimizer = build_optimizer(method.parameter_groups(), PAPER)
    for step in range(steps):
        batch = _batch(recorded, inputs, step)
        picked = recorded["picked"][step][recorded["picked"][step] >= 0]
        chosen = picked if len(picked) else None
        rate = learning_rate(step, PAPER)
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad()
        jitter = recorded["t_rand"][step, : len(batch) + len(picked)]
        loss = method.learn(batch, step, jitter, chosen).total
        loss.backward()
        optimizer.step()
        pool = _pool_after(pool, batch, recorded["hard_rows"][step], chosen)
        same = len(pool) == len(method.pool)
        replay.unlike += int((method.pool.rows != pool).any(dim=-1).sum()) if same else len(pool)
        replay.losses.append(float(loss.detach()))
        replay.rates.append(rate)
        replay.sizes.append(len(method.pool))
    return replay


def _doubles(values: Iterable[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def _shares(ratio: float | str | list[float]) -> tuple[float, float]:
    """Parts of a batch that enter the pool and that leave it."""
    parts = ratio.split(",") if isinstance(ratio, str) else ratio if isinstance(ratio, list) else [ratio]
    return float(parts[0]), float(parts[-1])


def _batch(recorded: dict[str, Tensor], inputs: dict[str, Tensor], step: int) -> RayBatch:
    chosen = recorded["idx"][step]
    rays = Rays(inputs["rays_o"][chosen], inputs["rays_d"][chosen])
    return RayBatch(rays, recorded["target"][step], torch.zeros_like(chosen), 1)


def _pool_after(pool: Tensor, batch: RayBatch, hard: Tensor, picked: Tensor | None) -> Tensor:
    """The pool that follows from the rays that were recorded as hard."""
    fresh = torch.cat([batch.rays.origins, batch.rays.directions, batch.rgb], dim=-1)[hard]
    if picked is None:
        return torch.cat([pool, fresh])
    return pool.index_copy(0, picked[: len(fresh)], fresh)


def _schedules(folder: Path) -> Iterator[Row]:
    """Learning rates; errors in parts of the recorded ones."""
    recorded = json.loads((folder / "lr_schedule.json").read_text())
    for name, recipe in SCHEDULES.items():
        # Without warm-up the authors' first step has decayed already.
        first = 1 if recipe.warmup_steps else 0
        found = _doubles(learning_rate(step - first, recipe) for step in recorded["steps"])
        relative = found / _doubles(recorded[name])
        yield Row("lr_schedule", name, error(relative, torch.ones_like(found)), 1e-6)


def _encoding(folder: Path) -> Iterator[Row]:
    recorded = arrays(folder / "functions.npz")
    found = grouped_frequency_encoding(recorded["embed_in"], 5)
    yield Row("functions", "r2l_embed5", error(found, recorded["r2l_embed5"]), 1e-6)


def costs() -> str:
    """Parameters and arithmetic of the published networks, counted from the modules."""
    lines = ["| network | parameters | MFLOP per ray |", "| --- | --- | --- |"]
    for name in ("W256D88", "W181D88", "W256D44", "W363D22"):
        with torch.device("meta"):
            student = make_student(PRESETS[name].config, SYNTHETIC)
        parameters = sum(p.numel() for p in student.parameters())
        lines.append(f"| {name} | {parameters:,} | {student.flops_per_ray / 1e6:.2f} |")
    return "\n".join(lines)


def page(folder: Path) -> str:
    """The table of a folder."""
    return (
        "# R2L against the authors' code\n\n"
        "Same weights, rays and random numbers; float32 on a CPU. Made by `benchmarks/r2l_parity.py`. Rows of the "
        "training are after its last step;\nlearning rates of `lr_schedule` are compared in parts of the recorded ones, "
        "counts of rays as they are.\n\n"
        f"{table(rows(folder))}\n\n{costs()}\n"
    )


if __name__ == "__main__":
    command(__doc__, RESULT, page)
