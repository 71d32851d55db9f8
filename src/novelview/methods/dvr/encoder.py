"""What shape a photograph shows, as a code: ResNet-18 and one layer (He et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

# Width and height of the photographs that the network sees, pixels.
SIDE = 224
_GROUPS = 16
# Makes a normalisation of so many channels.
Norm: TypeAlias = Callable[[int], nn.Module]
# Of the photographs that the authors' weights began with (ImageNet).
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Block(nn.Module):
    """Two convolutions around a shortcut; names are those of known weights."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet18(nn.Module):
    """The trunk of ResNet-18: a vector of 512 numbers out of an image."""

    def __init__(self, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        self.layer1, self.layer2 = _layer(64, 64, 1, norm), _layer(64, 128, 2, norm)
        self.layer3, self.layer4 = _layer(128, 256, 2, norm), _layer(256, 512, 2, norm)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 512"]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean(dim=(2, 3))


class Encoder(nn.Module):
    """A code for each photograph.

    Args:
        code: numbers in the code.
        batch_norm: as published; False: groups of each image's own channels, which need no batch.
    """

    def __init__(self, code: int = 256, batch_norm: bool = True) -> None:
        super().__init__()
        self.features = ResNet18(nn.BatchNorm2d if batch_norm else partial(nn.GroupNorm, _GROUPS))
        self.fc = nn.Linear(512, code)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Codes of photographs in [0, 1], best on a white background."""
        mean, spread = (
            torch.tensor(values, device=images.device)[:, None, None] for values in (MEAN, SPREAD)
        )
        return self.fc(self.features((images - mean) / spread))


def prepared(image: Float[Tensor, "h w 3"], side: int = SIDE) -> Float[Tensor, "3 side side"]:
    """A photograph as the encoder sees it; one that is not square is squeezed, as the authors do with free images."""
    return F.interpolate(
        image.permute(2, 0, 1)[None],
        (side, side),
        mode="bilinear",
        align_corners=False,
        antialias=side < max(image.shape[:2]),
    )[0].clamp(0, 1)


def _layer(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(_Block(inputs, outputs, stride, norm), _Block(outputs, outputs, 1, norm))
