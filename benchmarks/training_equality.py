"""Is a training the same when it is killed and resumed, cut into slices, or shared by two processes? What does it cost?

    python benchmarks/training_equality.py [--methods nerf grid] [--steps 60]

Every method trains its "tiny" preset, with averaged weights, on one procedural scene; the weights at the end are
compared with those of a training that ran straight through in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
import tyro
from torch import Tensor

from novelview.data.procedural import make_scene
from novelview.data.samplers import Sampler
from novelview.data.scene import Scene
from novelview.errors import ConfigError
from novelview.files import atomic_write_text
from novelview.geometry.rays import Rays
from novelview.methods.discovery import find
from novelview.methods.method import Method, MethodSpec
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training import Rhythm, fit, train
from novelview.training.checkpoint import latest_step, read_checkpoint
from novelview.training.optim import build_optimizer, keep_state, learning_rate, set_learning_rate
from novelview.training.sharding import check_method
from novelview.types import RayBatch

HEAD = """# Equality of trainings, and the engine's overhead

Made by `benchmarks/training_equality.py` on {machine}. Each method trains its "tiny" preset
with averaged weights for {steps} steps on one procedural scene. "Largest difference" is over all weights,
averaged weights and optimiser states at the end, divided by the largest magnitude in the same tensor; 0 means
the same bits. The second row of a method is the yardstick for two processes: one process that sums the same slices.
What differs there is the order of a sum, that is its rounding, which training then amplifies: the last rows tell
the largest difference of the weights after one step and after all, in two precisions.

| method | compared with one straight training | largest difference | mean difference |
|---|---|---|---|
"""

COST = """
The engine's own time per step: a step of `train` less a step of the loop `sampler.batch`, `loss`, `backward`,
`optimizer.step` written out, with batches of 16 rays so that the engine's share shows. CPU time;
medians over {rounds} rounds of {steps} steps that take turns, and the range of the difference between turns.

| method | written out, ms | engine, ms | overhead, ms |
|---|---|---|---|
"""

TIMED_STEPS = 300
ROUNDS = 9


@dataclass(frozen=True)
class Options:
    """Measure equality and overhead of trainings."""

    methods: tuple[str, ...] = ("nerf", "grid")
    """Per-scene methods to train."""
    steps: int = 60
    """Steps of each training."""
    out: Path = Path("benchmarks/results/training_equality.md")
    """Table to write."""
    child: Path | None = None
    """Only train into this folder; used by the benchmark itself."""
    shards: bool = False
    """With --child: keep the weights in shards."""


def main(options: Options) -> None:
    """Write the tables."""
    scene = make_scene("object", 0, views=12, size=32)
    if options.child is not None:
        spec = find(options.methods[0])
        _train(spec, scene, _recipe(spec, options.steps), options.child, options.shards)
        return
    machine = f"{os.cpu_count()} CPU cores, PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s)"
    text = HEAD.format(machine=machine, steps=options.steps)
    for name in options.methods:
        text += "".join(f"{line}\n" for line in _equality(name, scene, options.steps))
    text += COST.format(rounds=ROUNDS, steps=TIMED_STEPS)
    for name in options.methods:
        text += _overhead(find(name), scene) + "\n"
    atomic_write_text(options.out, text)
    print(text)


def _recipe(spec: MethodSpec, steps: int) -> Recipe:
    return replace(spec.presets["tiny"].recipe, steps=steps, ema=0.95)


def _train(spec: MethodSpec, scene: Scene, recipe: Recipe, folder: Path, shards: bool = False) -> None:
    rhythm = Rhythm(save=10, log=10)
    fit(
        spec,
        scene,
        preset="tiny",
        recipe=recipe,
        out=folder,
        resume=True,
        device="cpu",
        rhythm=rhythm,
        quiet=True,
        shards=shards,
    )


def _equality(name: str, scene: Scene, steps: int) -> list[str]:
    spec = find(name)
    recipe = _recipe(spec, steps)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        _train(spec, scene, recipe, root / "straight")
        killed_at = _train_and_kill(name, steps, root / "killed")
        _train(spec, scene, recipe, root / "killed")
        _train(spec, scene, replace(recipe, accumulate=2), root / "sliced")
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        subprocess.run(_command(name, steps, root / "shared", launcher), check=True)
        rows = {
            f"killed after a checkpoint at step {killed_at}, resumed": "killed",
            "batches cut in two slices": "sliced",
            "two processes (torchrun, gloo)": "shared",
        }
        if _can_be_sharded(spec, scene):
            command = [*_command(name, steps, root / "shards", launcher), "--shards"]
            subprocess.run(command, check=True)
            rows["two processes with shards (torchrun, gloo)"] = "shards"
        equal = [
            f"| {name} | {text} | {_difference(root / f, root / 'straight')} |" for text, f in rows.items()
        ]
    for dtype in (torch.float32, torch.float64):
        whole, sliced = (_weights(spec, scene, recipe, slices, dtype) for slices in (1, 2))
        for done in (1, steps):
            found = _gap(sliced[done], whole[done])
            equal.append(f"| {name} | in two slices, {str(dtype)[6:]}, after step {done} | {found} |")
    return equal


def _can_be_sharded(spec: MethodSpec, scene: Scene) -> bool:
    try:
        check_method(spec.build(spec.presets["tiny"].config, scene.bounds))
    except ConfigError:
        return False
    return True


def _command(name: str, steps: int, folder: Path, launcher: list[str]) -> list[str]:
    options = ["--methods", name, "--steps", str(steps), "--child", str(folder)]
    return [sys.executable, *launcher, __file__, *options]


def _train_and_kill(name: str, steps: int, folder: Path) -> int:
    process = subprocess.Popen(_command(name, steps, folder, []))
    while (latest_step(folder) or 0) < steps // 3:
        if process.poll() is not None:
            raise SystemExit("the training ended before it could be killed; give it more --steps")
        time.sleep(0.001)
    process.kill()
    process.wait()
    return latest_step(folder) or 0


def _difference(folder: Path, reference: Path) -> str:
    ours, theirs = _tensors(folder), _tensors(reference)
    assert ours.keys() == theirs.keys()
    return _gap(ours, theirs)


def _gap(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> str:
    scaled = [
        (ours[key].double() - theirs[key].double()).abs() / theirs[key].double().abs().max().clamp(min=1e-30)
        for key in ours
        if ours[key].numel()
    ]
    joined = torch.cat([difference.flatten() for difference in scaled])
    return f"{float(joined.max()):.2g} | {float(joined.mean()):.2g}"


def _tensors(folder: Path) -> dict[str, Tensor]:
    found = read_checkpoint(folder)
    parts = {"model": found.model, "optimizer": found.optimizer, "average": found.average or {}}
    return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def _weights(
    spec: MethodSpec, scene: Scene, recipe: Recipe, slices: int, dtype: torch.dtype
) -> dict[int, dict[str, Tensor]]:
    """The method's weights after the first and the last step of a loop without the engine."""
    preset = spec.presets["tiny"]
    # As the engine seeds it: another start may never learn, and amplify nothing.
    torch.default_generator.set_state(generator_for(0, "weights").get_state())
    method, sampler = spec.build(preset.config, scene.bounds), spec.sampler([scene], preset.config, recipe, 0)
    found: dict[int, dict[str, Tensor]] = {}
    for done in _bare_steps(method.to(dtype), sampler, recipe, slices, dtype):
        if done in (1, recipe.steps):
            found[done] = {name: each.detach().clone() for name, each in method.named_parameters()}
    return found


def _bare_steps(
    method: Method, sampler: Sampler, recipe: Recipe, slices: int = 1, dtype: torch.dtype = torch.float32
) -> Iterator[int]:
    """Train without the engine, and tell after every step how many are done."""
    optimizer = build_optimizer(method.parameter_groups(), recipe)
    for step in range(recipe.steps):
        if method.advance(step, recipe.steps):
            before, optimizer = optimizer, build_optimizer(method.parameter_groups(), recipe)
            keep_state(before, optimizer)
        set_learning_rate(optimizer, learning_rate(step, recipe))
        for index in range(slices):
            batch = sampler.batch(step, index, slices)
            assert isinstance(batch, RayBatch)
            draws = Draws(generator_for(0, "step", step), index, slices)
            (method.loss(_cast(batch, dtype), step, draws).total / slices).backward()
        optimizer.step()
        optimizer.zero_grad()
        yield step + 1


def _cast(batch: RayBatch, dtype: torch.dtype) -> RayBatch:
    rays = Rays(batch.rays.origins.to(dtype), batch.rays.directions.to(dtype))
    mask = None if batch.mask is None else batch.mask.to(dtype)
    return replace(batch, rays=rays, rgb=batch.rgb.to(dtype), mask=mask)


def _overhead(spec: MethodSpec, scene: Scene) -> str:
    recipe = replace(spec.presets["tiny"].recipe, steps=TIMED_STEPS, batch=16)
    bare, engine = [], []
    for _ in range(ROUNDS):
        bare.append(_time_bare(spec, scene, recipe))
        engine.append(_time_engine(spec, scene, recipe))
    more = [b - a for a, b in zip(bare, engine, strict=True)]
    extra = f"{median(more):.2f} ({min(more):.2f} to {max(more):.2f})"
    return f"| {spec.name} | {median(bare):.2f} | {median(engine):.2f} | {extra} |"


def _time_bare(spec: MethodSpec, scene: Scene, recipe: Recipe) -> float:
    preset = spec.presets["tiny"]
    method, sampler = spec.build(preset.config, scene.bounds), spec.sampler([scene], preset.config, recipe, 0)
    began = time.process_time()
    for _ in _bare_steps(method, sampler, recipe):
        pass
    return (time.process_time() - began) / recipe.steps * 1e3


def _time_engine(spec: MethodSpec, scene: Scene, recipe: Recipe) -> float:
    preset = spec.presets["tiny"]
    method, sampler = spec.build(preset.config, scene.bounds), spec.sampler([scene], preset.config, recipe, 0)
    began = time.process_time()
    train(method, sampler, recipe, quiet=True)
    return (time.process_time() - began) / recipe.steps * 1e3


if __name__ == "__main__":
    main(tyro.cli(Options))
