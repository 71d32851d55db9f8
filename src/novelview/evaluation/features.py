"""Features of whole images, by which sets of images are compared, and a network for that which needs no weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import DataError
from novelview.random import generator_for


class FeatureNetwork(nn.Module, ABC):
    """Maps images to vectors.

    Attributes:
        name: for reports; numbers of networks with different names must not be compared.
        dimension: of the vectors.
        side: width and height of the images that the network sees.
    """

    name: str
    dimension: int
    side: int

    @abstractmethod
    def prepare(self, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "3 s s"]:
        """An image of any size, colours in [0, 1], as the network wants it."""

    @abstractmethod
    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features of prepared images."""


@torch.no_grad()
def image_features(
    network: FeatureNetwork, images: Iterable[Float[Tensor, "_ _ 3"]], *, at_once: int = 32
) -> Float[Tensor, "n d"]:
    """Features of images, which may differ in size; so many at once are in memory.

    Raises:
        DataError: there is no image.
    """
    device = next(iter(network.state_dict().values())).device
    parts = [
        network(torch.stack([network.prepare(image.to(device)) for image in some])).cpu()
        for some in _batches(images, at_once)
    ]
    if not parts:
        raise DataError("There is no image to take features of", cure="name folders with images in them")
    return torch.cat(parts)


class RandomConv(FeatureNetwork):
    """Convolutions with random filters that are made from a fixed seed: good for ranking alone.

    Features are the channels' means over the image in four layers, each at half the resolution of the one before. Such
    features tell noise, blur, colours and shapes apart, but their distances have no meaning of their own and are not those
    that are published with Inception's features.
    """

    name = "random-conv (relative only)"
    side = 64
    _WIDTHS = (8, 16, 24, 32)
    dimension = sum(_WIDTHS)

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *self._WIDTHS)
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            filters = torch.randn(outputs, inputs, 3, 3, generator=generator_for(0, "random-conv", i))
            # Variance is kept through the rectifier (He et al. 2015), so that no layer outweighs another.
            self.register_buffer(f"filters_{i}", filters * (2 / (9 * inputs)) ** 0.5)

    def prepare(self, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "3 s s"]:
        channels = image.permute(2, 0, 1)[None]
        size = (self.side, self.side)
        return 2 * F.interpolate(channels, size, mode="bilinear", antialias=True)[0] - 1

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        values, means = images, []
        for filters in self.buffers():
            values = F.relu(F.conv2d(F.pad(values, (1, 1, 1, 1), mode="replicate"), filters))
            means.append(values.mean(dim=(2, 3)))
            values = F.avg_pool2d(values, 2)
        return torch.cat(means, dim=1)


def _batches(images: Iterable[Tensor], count: int) -> Iterator[list[Tensor]]:
    remaining = iter(images)
    while some := list(islice(remaining, count)):
        yield some
