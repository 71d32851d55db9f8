"""Where the weights lie while several processes learn: whole on each of them, or in shards."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn

from novelview.errors import ConfigError
from novelview.methods.method import Method
from novelview.training.average import WeightAverage
from novelview.training.sharding import check_method, check_processes, gather, shard


class Layout(ABC):
    """Abstract; what differs between weights that are whole and weights in shards.

    Attributes:
        method: what learns, on the accelerator's device once it is wrapped.
    """

    method: Method

    @abstractmethod
    def wrap(self, module: nn.Module) -> nn.Module:
        """Make a module that computes the loss of ``method`` average its gradients over the processes."""

    @abstractmethod
    def advance(self, step: int, steps: int) -> bool:
        """:meth:`Method.advance`; ``ConfigError`` where the weights do not allow growth."""

    @abstractmethod
    def rendering(self, average: WeightAverage | None) -> AbstractContextManager[Method]:
        """Context with the method in evaluation mode under averaged weights.

        All processes must enter; the main one may render, without the others.
        """

    @abstractmethod
    def finish(self, average: WeightAverage | None) -> Method:
        """The method, whole on all processes, with averaged weights if there are any."""


class Replicas(Layout):
    """Every process keeps all weights (data parallelism)."""

    def __init__(self, method: Method, accelerator: Accelerator) -> None:
        self.method, self._accelerator = method.to(accelerator.device).train(), accelerator

    def wrap(self, module: nn.Module) -> nn.Module:
        idle = self.method.idle_parameters
        self._accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=idle)
        wrapped: nn.Module = self._accelerator.prepare_model(module)
        return wrapped

    def advance(self, step: int, steps: int) -> bool:
        return self.method.advance(step, steps)

    @contextmanager
    def rendering(self, average: WeightAverage | None) -> Iterator[Method]:
        self.method.eval()
        with average.applied(self.method) if average is not None else nullcontext():
            yield self.method
        self.method.train()

    def finish(self, average: WeightAverage | None) -> Method:
        if average is not None:
            average.apply(self.method)
        return self.method.eval()


class Shards(Layout):
    """Every process keeps its share of the weights, of their gradients and of the optimiser's state.

    A whole copy of the method waits in the CPU's memory, and takes the weights of the method when they are to be
    rendered: a method in shards renders only where all processes render the same. The method stays in shards for good.

    Raises:
        ConfigError: there is one process only, or the method's weights cannot be sharded.
    """

    def __init__(self, method: Method, accelerator: Accelerator) -> None:
        check_processes(accelerator)
        check_method(method)
        # The copy is the one that waits, because a copy is no longer compiled.
        self._whole, self._accelerator = copy.deepcopy(method.cpu()).eval(), accelerator
        self.method = method.train()

    def wrap(self, module: nn.Module) -> nn.Module:
        shard(self.method.shards(), module, self._accelerator)
        return module

    def advance(self, step: int, steps: int) -> bool:
        # The whole method first: on shards, growth could fail in ways that explain nothing.
        if self._whole.advance(step, steps) or self.method.advance(step, steps):
            raise ConfigError(
                "A method that grows cannot be sharded",
                why=f"{type(self._whole).__name__} replaced its parameters before step {step}",
                cure="train without --shards",
            )
        return False

    @contextmanager
    def rendering(self, average: WeightAverage | None) -> Iterator[Method]:
        main = self._accelerator.is_main_process
        self._collect(average, keep=main)
        yield self._whole.to(self._accelerator.device) if main else self._whole
        self._whole.cpu()

    def finish(self, average: WeightAverage | None) -> Method:
        self._collect(average, keep=True)
        return self._whole.to(self._accelerator.device)

    def _collect(self, average: WeightAverage | None, keep: bool) -> None:
        """Give the whole copy the present weights, where they are kept; all processes take part."""
        weights = gather(self.method.state_dict(), keep)
        averaged = gather(average.tensors, keep) if average is not None else {}
        if keep:
            self._whole.load_state_dict(weights)
            self._whole.load_state_dict(averaged, strict=False)
