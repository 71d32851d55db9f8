"""The training loop: one for all methods, one process or many, interrupted or not."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

from novelview.data.samplers import Sampler
from novelview.errors import ConfigError
from novelview.methods.method import Method
from novelview.methods.recipe import Recipe
from novelview.training.checkpoint import latest_step, load_weights, read_checkpoint, save_checkpoint
from novelview.training.interrupts import Interrupted, Interrupts
from novelview.training.learner import Learner
from novelview.training.log import Log, Meter, psnr
from novelview.training.optim import check_recipe, learning_rate
from novelview.training.sharding import forget

Evaluate = Callable[[Method, int], dict[str, float]]


@dataclass(frozen=True)
class Rhythm:
    """How often, in steps, a training does what is not training."""

    save: int = 1000
    """Write a checkpoint; the last step always does."""
    evaluate: int = 1000
    """Render held-out views; the last step always does."""
    log: int = 100
    """Write a line of figures."""
    keep: int = 2
    """Number of checkpoints that are kept."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"A training cannot work with {name} = {value}", cure="give at least 1")


DEFAULT_RHYTHM = Rhythm()


def make_accelerator(device: str | None = None) -> Accelerator:
    """The processes and the device of a training, as ``torchrun`` or ``accelerate launch`` have set them up.

    Args:
        device: "cpu" or "cuda" to insist on one; None takes the best there is.

    Raises:
        ConfigError: the device is not there, or the launcher asks for something other than data parallelism.
    """
    # Several processes find each other on a CPU only where accelerate is told that it is one.
    cpu = device == "cpu" or (device is None and not torch.accelerator.is_available())
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started == 1 and PartialState._shared_state and (PartialState().device.type == "cpu") != cpu:
        # accelerate keeps the first device for the life of the process; a single process may change its mind.
        AcceleratorState._reset_state(reset_partial_state=True)
    if started > 1:
        # Imported later, its default arguments would hold the group, whose threads then outlive leave_processes.
        importlib.import_module("torch.distributed.nn.functional")
    try:
        # Precision belongs to the recipe, and accelerate's own would be fixed for the life of the process.
        accelerator = Accelerator(cpu=cpu, mixed_precision="no")
    except ValueError as error:
        raise ConfigError(f"Cannot train on {device or 'this machine'}", why=str(error)) from error
    if device is not None and accelerator.device.type != device:
        raise ConfigError(
            f"Cannot train on {device}",
            why=f"accelerate offers {accelerator.device}",
            cure="choose another device",
        )
    if accelerator.num_processes != started:
        raise ConfigError(
            f"{started} processes were started but do not work together on {accelerator.device}",
            cure="start one, or train on cpu or cuda",
        )
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ConfigError(
            f"Training under {accelerator.distributed_type.value} is not supported",
            why="novelview distributes the work itself",
            cure="turn it off in accelerate's configuration, or start with torchrun; give --shards to shard the weights",
        )
    return accelerator


def leave_processes() -> None:
    """Leave the group of processes that :func:`make_accelerator` joined, if any, for good; all of them must do so.

    A process that fails alone must not: it would wait here for others, which wait for it in the training.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # One that leaves while another still talks can abort it.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
        # The group's threads end with its last reference; one that lives while Python ends can abort the process.
        forget()
        gc.collect()


def train(
    method: Method,
    sampler: Sampler,
    recipe: Recipe,
    run: Path | None = None,
    *,
    seed: int = 0,
    accelerator: Accelerator | None = None,
    rhythm: Rhythm = DEFAULT_RHYTHM,
    evaluate: Evaluate | None = None,
    quiet: bool = False,
    tensorboard: bool = False,
    shards: bool = False,
) -> Method:
    """Optimise ``method`` in place and return it, ready to render, with averaged weights if there are any.

    Args:
        method: freshly built, or with weights to start from.
        sampler: gives the batches; a global batch is sliced over processes and ``recipe.accumulate``.
        recipe: how to train.
        run: folder for checkpoints and figures; a checkpoint in it is continued, exactly so on a CPU. None
            writes nothing.
        seed: of every random draw.
        accelerator: from :func:`make_accelerator`.
        rhythm: how often to save, evaluate and log.
        evaluate: called on the main process with the method in evaluation mode under averaged weights.
        quiet: print nothing.
        tensorboard: also write TensorBoard files.
        shards: keep weights, gradients and the optimiser's state in shards, one for each of several processes. The
            method must be the same on all of them; a whole copy of it is returned, and ``method`` stays in shards.

    Raises:
        ConfigError: the recipe cannot be followed here, or the weights cannot be sharded.
        CheckpointError: the checkpoint does not fit the method.
        Interrupted: SIGINT or SIGTERM came; all is saved. Only with a ``run``.
        OutputError: something cannot be written; the previous checkpoint is whole.
    """
    accelerator = accelerator or make_accelerator()
    check_recipe(recipe, accelerator.num_processes)
    if recipe.precision == "float16" and accelerator.device.type != "cuda":
        raise ConfigError(
            f"float16 does not train on {accelerator.device.type}",
            cure="use bfloat16 or float32, or a CUDA device",
        )
    learner, start, seconds = _begin(method, sampler, recipe, run, seed, accelerator, shards)
    main, meter = accelerator.is_main_process, Meter()
    with (
        closing(learner),
        Log(run if main else None, recipe.steps, start, quiet or not main, tensorboard and main) as log,
        Interrupts(patient=accelerator.num_processes > 1) if run else nullcontext() as signals,
    ):
        if start:
            log.say(f"continuing after step {start} of {recipe.steps}")
        for step in range(start, recipe.steps):
            began, done = time.perf_counter(), step + 1
            learner.advance(step)
            scalars = learner.update(step)
            lap = time.perf_counter() - began
            seconds += lap
            meter.add(scalars, lap)
            log.advance(done)
            if _due(done, rhythm.log, recipe):
                _record(log, done, meter, learner, recipe, accelerator)
            stop = _signal(signals, accelerator)
            if run and (stop or _due(done, rhythm.save, recipe)):
                checkpoint = learner.checkpoint(done, seconds)
                if main:
                    save_checkpoint(run, checkpoint, rhythm.keep)
                accelerator.wait_for_everyone()
            if run and stop and done < recipe.steps:
                raise Interrupted(stop, done, recipe.steps, run)
            if evaluate is not None and _due(done, rhythm.evaluate, recipe):
                with learner.rendering() as shown:
                    if main:
                        log.record_evaluation(done, evaluate(shown, done))
                accelerator.wait_for_everyone()
    return learner.finish()


def _begin(
    method: Method,
    sampler: Sampler,
    recipe: Recipe,
    run: Path | None,
    seed: int,
    accelerator: Accelerator,
    shards: bool,
) -> tuple[Learner, int, float]:
    """The learner, the steps done and the seconds they took: those of the run's checkpoint, if any."""
    if run is None or latest_step(run) is None:
        return Learner(method, sampler, recipe, accelerator, seed, shards), 0, 0.0
    checkpoint = read_checkpoint(run)
    load_weights(method, checkpoint, averaged=False, where=run)
    learner = Learner(method, sampler, recipe, accelerator, seed, shards)
    learner.load(checkpoint)
    return learner, checkpoint.progress.step, checkpoint.progress.seconds


def _due(done: int, every: int, recipe: Recipe) -> bool:
    return done % every == 0 or done == recipe.steps


def _signal(signals: Interrupts | None, accelerator: Accelerator) -> int | None:
    """The signal that any process got, so that all of them stop after the same step."""
    mine = signals.signal if signals is not None else None
    if signals is None or accelerator.num_processes == 1:
        return mine
    caught = torch.tensor(float(mine is not None), device=accelerator.device)
    return (mine or signal.SIGTERM) if accelerator.reduce(caught, "sum").item() > 0 else None


def _record(
    log: Log, done: int, meter: Meter, learner: Learner, recipe: Recipe, accelerator: Accelerator
) -> None:
    """Keep and show the means since the last time, over all processes."""
    laps, means = meter.read()
    means = accelerator.reduce(means, "mean")
    values = {name: float(value) for name, value in means.items()}
    if "mse" in values:
        values["psnr"] = psnr(values["mse"])
    values["learning_rate"] = learning_rate(done - 1, recipe)
    values["skipped"] = learner.skipped
    values["per_second"] = recipe.batch / laps
    shown = [f"loss {values['loss']:.4g}"]
    shown += [f"PSNR {values['psnr']:.2f}"] if "psnr" in values else []
    shown += [f"lr {values['learning_rate']:.2e}", f"{values['per_second']:,.0f} {learner.unit}/s"]
    shown += [f"skipped {learner.skipped}"] if learner.skipped else []
    log.record(done, values, "  ".join(shown))
