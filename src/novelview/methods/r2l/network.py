"""The network of R2L: a deep residual multi-layer perceptron from an encoded ray to its colour."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.r2l.config import Activation, NetworkConfig


def activation(name: Activation) -> list[nn.Module]:
    """The module of that name, or none."""
    kinds: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "lrelu": nn.LeakyReLU}
    return [kinds[name](inplace=True)] if name in kinds else []


class Block(nn.Module):
    """Linear layers whose output is added to their input; no norm, and nothing else on the trunk."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(config.block_layers):
            layers += activation(config.inner_activation) if i else []
            layers.append(nn.Linear(config.width, config.width))
        self.body = nn.Sequential(*layers)
        self.outer = nn.Sequential(*activation(config.outer_activation))
        self.scale = config.residual_scale

    def forward(self, x: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
        return self.outer(torch.add(x, self.body(x), alpha=self.scale))


class Network(nn.Module):
    """R2L's multi-layer perceptron (section 3.2 of the paper); parameters are named as in the authors' code.

    Args:
        config: widths, depth and what lies between the layers.
        inputs: width of what it is given.
    """

    def __init__(self, config: NetworkConfig, inputs: int) -> None:
        super().__init__()
        widths = config.layer_widths or (config.width,) * (config.depth - 1)
        self.head = nn.Sequential(nn.Linear(inputs, widths[0]), *activation(config.activation))
        self.body = nn.Sequential(*_body(config, widths))
        self.tail = nn.Sequential(nn.Linear(widths[-1], 3))
        self.global_residual = config.global_residual

    def forward(self, encoded: Float[Tensor, "r n"]) -> Float[Tensor, "r 3"]:
        """Colours in [0, 1]."""
        return self.tail(self.trunk(self.head(encoded))).float().sigmoid()

    def trunk(self, hidden: Float[Tensor, "r c"]) -> Float[Tensor, "r d"]:
        """From the first layer's output to what the last one is given."""
        body = self.body(hidden)
        return body + hidden if self.global_residual else body


def _body(config: NetworkConfig, widths: tuple[int, ...]) -> list[nn.Module]:
    if config.body == "residual":
        count = (config.depth - 2) // 2 if config.blocks is None else config.blocks
        return [Block(config) for _ in range(count)]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), *activation(config.activation)]
    return layers
