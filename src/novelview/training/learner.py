"""One update of a method's weights: loss over slices, gradient, optimiser, average."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from novelview.data.ahead import Ahead
from novelview.data.samplers import Sampler
from novelview.errors import MethodError
from novelview.methods.method import Method
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training.average import WeightAverage
from novelview.training.checkpoint import Checkpoint, Progress, check_tensors
from novelview.training.layout import Layout, Replicas, Shards
from novelview.training.optim import (
    build_optimizer,
    gradient_norm,
    keep_state,
    learning_rate,
    load_optimizer_tensors,
    optimizer_tensors,
    parameters_of,
    set_learning_rate,
)
from novelview.training.sharding import gather, whole
from novelview.types import Batch, RayBatch

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_PATIENCE = 100
# Where a step leaves the CPU free to make the next step's batch.
_MADE_AHEAD = ("cuda",)


class Learner:
    """A method and everything that changes with it while it learns.

    Args:
        method: moved to the accelerator's device; with shards, of no use afterwards.
        sampler: gives the batches.
        recipe: checked already.
        accelerator: knows the processes.
        seed: of all random draws.
        shards: keep the weights in shards; ``ConfigError`` where that is impossible.

    Attributes:
        method: what learns.
        unit: what a batch is counted in, "rays" or "samples".
        skipped: number of steps whose gradient was refused so far.
        average: running average of the weights, where the recipe asks for one.
    """

    def __init__(
        self,
        method: Method,
        sampler: Sampler,
        recipe: Recipe,
        accelerator: Accelerator,
        seed: int,
        shards: bool = False,
    ) -> None:
        self._layout: Layout = (Shards if shards else Replicas)(method, accelerator)
        self.method, self.skipped, self.unit = self._layout.method, 0, "samples"
        self._sampler, self._recipe, self._accelerator, self._seed = sampler, recipe, accelerator, seed
        self._slices = tuple(
            (
                accelerator.process_index * recipe.accumulate + piece,
                recipe.accumulate * accelerator.num_processes,
            )
            for piece in range(recipe.accumulate)
        )
        ahead = sampler.concurrent and accelerator.device.type in _MADE_AHEAD
        self._ahead = Ahead(sampler, self._slices) if ahead else None
        self._scaler = torch.amp.GradScaler(accelerator.device.type, enabled=recipe.precision == "float16")
        self._refused_in_a_row = 0
        self._wrap()
        self._optimizer = build_optimizer(self.method.parameter_groups(), recipe)
        self.average = WeightAverage(self.method, recipe.ema) if recipe.ema is not None else None

    def advance(self, step: int) -> None:
        """Let the method grow before ``step``; parameters that it does not replace keep their optimiser state."""
        if not self._layout.advance(step, self._recipe.steps):
            return
        previous = self._optimizer
        del self._module
        self._accelerator.free_memory()
        self._wrap()
        self._optimizer = build_optimizer(self.method.parameter_groups(), self._recipe)
        keep_state(previous, self._optimizer)
        if self.average is not None:
            self.average.restart(self.method)

    def update(self, step: int) -> dict[str, Tensor]:
        """Do step ``step`` and return its scalars: "loss", "gradient_norm" and the parts of the loss."""
        scalars = self._backward(step)
        if self._scaler.is_enabled():
            self._scaler.unscale_(self._optimizer)
        parameters = parameters_of(self._optimizer)
        norm = whole(gradient_norm(parameters))
        if self._acceptable(norm.item(), step):
            if self._recipe.clip_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(parameters, self._recipe.clip_norm, norm)
            set_learning_rate(self._optimizer, learning_rate(step, self._recipe))
            self._scaler.step(self._optimizer)
            if self.average is not None:
                self.average.update(self.method)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return {**scalars, "gradient_norm": norm}

    def checkpoint(self, step: int, seconds: float) -> Checkpoint:
        """The present state on the main process, not copied where it is whole; all processes must call this."""
        main = self._accelerator.is_main_process
        progress = Progress(
            step=step,
            structure=self.method.structure(),
            skipped=self.skipped,
            updates=self.average.updates if self.average is not None else 0,
            seconds=seconds,
            scaler=self._scaler.state_dict(),
        )
        return Checkpoint(
            progress=progress,
            model=gather(self.method.state_dict(), main),
            optimizer=gather(optimizer_tensors(self._optimizer, self.method), main),
            average=gather(self.average.tensors, main) if self.average is not None else None,
        )

    def load(self, checkpoint: Checkpoint) -> None:
        """Continue a checkpoint whose weights the method has already; ``CheckpointError`` if it misfits."""
        self.skipped = checkpoint.progress.skipped
        load_optimizer_tensors(self._optimizer, self.method, checkpoint.optimizer)
        if checkpoint.progress.scaler:
            self._scaler.load_state_dict(checkpoint.progress.scaler)
        if self.average is not None:
            check_tensors(checkpoint.average or {}, self.average.tensors, "average.safetensors")
            self.average.load(checkpoint.average or {}, checkpoint.progress.updates)

    def close(self) -> None:
        """End what still works on batches to come."""
        if self._ahead is not None:
            self._ahead.close()

    def rendering(self) -> AbstractContextManager[Method]:
        """Context with the method in evaluation mode under averaged weights: all processes enter, the main renders."""
        return self._layout.rendering(self.average)

    def finish(self) -> Method:
        """The method, or with shards a whole copy, ready to render, with averaged weights if there are any."""
        return self._layout.finish(self.average)

    def _wrap(self) -> None:
        self._module = self._layout.wrap(_LossModule(self.method, _DTYPES[self._recipe.precision]))

    def _backward(self, step: int) -> dict[str, Tensor]:
        """Gradients of the mean loss over all slices; the last backward pass averages over processes."""
        pieces, device = len(self._slices), self._accelerator.device
        sums: dict[str, Tensor] = {}
        for piece, batch in zip(self._slices, self._batches(step), strict=True):
            if isinstance(batch, RayBatch):
                batch, self.unit = batch.to(device), "rays"
            draws = Draws(generator_for(self._seed, "step", step, device=device), *piece)
            last = piece == self._slices[-1]
            with nullcontext() if last else self._accelerator.no_sync(self._module):
                total, parts = self._module(batch, step, draws)
                self._scaler.scale(total / pieces).backward()
            for name, value in {"loss": total.detach(), **parts}.items():
                sums[name] = sums[name] + value if name in sums else value
        if self._accelerator.num_processes > 1 and not self.method.idle_parameters:
            self._refuse_idle(step)
        return {name: value / pieces for name, value in sums.items()} if pieces > 1 else sums

    def _batches(self, step: int) -> Iterable[Batch]:
        """This process's slices of the global batch of ``step``."""
        if self._ahead is not None:
            return self._ahead.batches(step)
        return (self._sampler.batch(step, *piece) for piece in self._slices)

    def _refuse_idle(self, step: int) -> None:
        """Say which parameter has no gradient, before torch waits for it in the next step."""
        for name, parameter in self.method.named_parameters():
            if parameter.requires_grad and parameter.grad is None:
                raise MethodError(
                    f"Step {step} leaves the parameter {name!r} without a gradient",
                    why="several processes average the gradients of all parameters in every step",
                    cure="set idle_parameters = True in the method, or train with one process",
                )

    def _acceptable(self, norm: float, step: int) -> bool:
        limit = self._recipe.skip_norm if self._recipe.skip_norm is not None else math.inf
        if math.isfinite(norm) and norm <= limit:
            self._refused_in_a_row = 0
            return True
        self.skipped += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row == _PATIENCE:
            raise MethodError(
                f"Training has failed: {_PATIENCE} gradients in a row were refused, up to step {step}",
                why=f"the last gradient norm is {norm:.4g}",
                cure="lower the learning rate, or raise skip_norm where that is what refuses",
            )
        return False


class _LossModule(nn.Module):
    """Makes the loss the ``forward`` of a module, which is what distributed wrappers hook into."""

    def __init__(self, method: Method, autocast: torch.dtype) -> None:
        super().__init__()
        self.method, self._autocast = method, autocast

    def forward(self, batch: Batch, step: int, draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        enabled = self._autocast != torch.float32
        with torch.autocast(draws.generator.device.type, self._autocast, enabled=enabled):
            loss = self.method.loss(batch, step, draws)
        return loss.total.float(), loss.parts
