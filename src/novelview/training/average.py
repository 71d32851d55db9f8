"""A running average of the weights: smoother than the weights themselves, and what is rendered with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from novelview.training.sharding import lay_like


class WeightAverage:
    """Exponential moving average of all parameters that learn.

    The decay is ramped, ``min(decay, (1 + n) / (10 + n))`` at the n-th update, so that a short training too
    forgets its random beginning.

    Args:
        method: whose weights are averaged; the average starts at its present weights.
        decay: share of the old average in the new one, in (0, 1).
    """

    def __init__(self, method: nn.Module, decay: float) -> None:
        self.decay = decay
        self.restart(method)

    def restart(self, method: nn.Module) -> None:
        """Begin anew at the present weights, for old averages no longer fit after growth."""
        self.updates = 0
        self.tensors = {n: p.detach().clone() for n, p in method.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, method: nn.Module) -> None:
        """Move the average towards the present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        parameters = dict(method.named_parameters())
        torch._foreach_lerp_(
            list(self.tensors.values()), [parameters[name].data for name in self.tensors], 1 - decay
        )

    @contextmanager
    def applied(self, method: nn.Module) -> Iterator[None]:
        """Within the block the method has the averaged weights; afterwards its own, bit by bit."""
        self._swap(method)
        try:
            yield
        finally:
            self._swap(method)

    def apply(self, method: nn.Module) -> None:
        """Give the method the averaged weights for good."""
        for name, parameter in method.named_parameters():
            if name in self.tensors:
                parameter.data.copy_(self.tensors[name])

    def load(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Continue a saved average; names and shapes have been checked."""
        self.updates = updates
        for name, value in self.tensors.items():
            value.copy_(lay_like(tensors[name], value))

    def _swap(self, method: nn.Module) -> None:
        for name, parameter in method.named_parameters():
            if name in self.tensors:
                parameter.data, self.tensors[name] = self.tensors[name], parameter.data
