"""LPIPS (Zhang et al. 2018, version 0.1): distance of two images in the features of an ImageNet network.

The networks are a dozen layers each and written out here; their weights are two public files that the user
supplies, because their licences are not ours to pass on:

* the trunk, torchvision's ``alexnet-owt-7be5be79.pth`` or ``vgg16-397923af.pth``
  (keys ``features.N.weight`` and ``features.N.bias``);
* the linear layers, ``lpips/weights/v0.1/alex.pth`` or ``vgg.pth`` of the authors' repository
  richzhang/PerceptualSimilarity (keys ``lin0.model.1.weight`` to ``lin4.model.1.weight``).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from novelview.errors import DataError, MissingDependencyError

Trunk = Literal["alex", "vgg"]


@dataclass(frozen=True)
class _Convolution:
    """One convolution of a trunk, followed by ReLU; ``index`` is its place in torchvision's ``features``."""

    index: int
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pooled: bool = False
    """A max pooling comes before it."""
    tapped: bool = False
    """Its activation is compared."""


_ALEX = (
    _Convolution(0, 3, 64, kernel=11, stride=4, padding=2, tapped=True),
    _Convolution(3, 64, 192, kernel=5, padding=2, pooled=True, tapped=True),
    _Convolution(6, 192, 384, pooled=True, tapped=True),
    _Convolution(8, 384, 256, tapped=True),
    _Convolution(10, 256, 256, tapped=True),
)
_VGG = (
    _Convolution(0, 3, 64),
    _Convolution(2, 64, 64, tapped=True),
    _Convolution(5, 64, 128, pooled=True),
    _Convolution(7, 128, 128, tapped=True),
    _Convolution(10, 128, 256, pooled=True),
    _Convolution(12, 256, 256),
    _Convolution(14, 256, 256, tapped=True),
    _Convolution(17, 256, 512, pooled=True),
    _Convolution(19, 512, 512),
    _Convolution(21, 512, 512, tapped=True),
    _Convolution(24, 512, 512, pooled=True),
    _Convolution(26, 512, 512),
    _Convolution(28, 512, 512, tapped=True),
)
_LAYERS: dict[str, tuple[_Convolution, ...]] = {"alex": _ALEX, "vgg": _VGG}
_POOLING = {"alex": 3, "vgg": 2}
_PUBLIC_FILES = {
    "alex": (
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/alex.pth",
    ),
    "vgg": (
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
    ),
}


class LPIPS(nn.Module):
    """Learned perceptual distance of images with values in [0, 1]; 0 for identical images.

    Args:
        trunk: "alex", the version's recommendation and what papers usually report, or "vgg".
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: Trunk = "alex") -> None:
        super().__init__()
        self.trunk: Trunk = trunk
        self._layers = _LAYERS[trunk]
        self.features = nn.ModuleDict(
            {
                str(layer.index): nn.Conv2d(
                    layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding
                )
                for layer in self._layers
            }
        )
        tapped = [layer.outputs for layer in self._layers if layer.tapped]
        self.weights = nn.ParameterList([nn.Parameter(torch.zeros(channels)) for channels in tapped])
        # ImageNet normalisation as the authors apply it to images in [-1, 1].
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[:, None, None], persistent=False)

    @staticmethod
    def from_files(trunk: Trunk, trunk_file: str | Path | None, linear_file: str | Path | None) -> LPIPS:
        """The network with the weights of two files, ``.pth`` or ``.safetensors``; nothing in them is run.

        Raises:
            MissingDependencyError: a file is not given or does not exist; says where to get it.
            DataError: a file is not a state dict or does not fit the trunk.
        """
        network = LPIPS(trunk)
        features = _read_weights(trunk_file, trunk, 0)
        linear = _read_weights(linear_file, trunk, 1)
        with torch.no_grad():
            for layer in network._layers:
                convolution = network.features[str(layer.index)]
                assert isinstance(convolution, nn.Conv2d)
                assert convolution.bias is not None
                _copy(convolution.weight, features, f"features.{layer.index}.weight", trunk_file)
                _copy(convolution.bias, features, f"features.{layer.index}.bias", trunk_file)
            for i, weight in enumerate(network.weights):
                _copy(weight, linear, f"lin{i}.model.1.weight", linear_file)
        return network.requires_grad_(False).eval()

    def forward(self, image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> Float[Tensor, ""]:
        """The distance of two images; ``DataError`` when they are smaller than 32x32 pixels."""
        if min(image.shape[:2]) < 32:
            raise DataError(
                "The image is too small for LPIPS",
                why=f"{image.shape[1]}x{image.shape[0]} pixels, and its network needs 32x32",
                cure="evaluate at a larger scale",
            )
        distance = torch.zeros((), device=image.device)
        pairs = zip(self._activations(image), self._activations(truth), self.weights, strict=True)
        for a, b, weight in pairs:
            difference = (_unit(a) - _unit(b)).square()
            distance = distance + (difference * weight[:, None, None]).sum(dim=0).mean()
        return distance

    def _activations(self, image: Float[Tensor, "h w 3"]) -> list[Float[Tensor, "c mh mw"]]:
        values = ((2 * image.permute(2, 0, 1) - 1) - self.shift) / self.scale
        found = []
        for layer in self._layers:
            if layer.pooled:
                values = F.max_pool2d(values, kernel_size=_POOLING[self.trunk], stride=2)
            values = F.relu(self.features[str(layer.index)](values))
            if layer.tapped:
                found.append(values)
        return found


def _unit(features: Tensor) -> Tensor:
    # The root of a sum of squares would have no gradient where all features are zero.
    return features / (torch.linalg.vector_norm(features, dim=0, keepdim=True) + 1e-10)


def _copy(target: Tensor, state: dict[str, Tensor], key: str, where: str | Path | None) -> None:
    if key not in state or state[key].numel() != target.numel():
        why = f"it has no {key!r}"
        if key in state:
            why = f"{key!r} has shape {tuple(state[key].shape)}, expected {tuple(target.shape)}"
        raise DataError(
            "These weights do not fit the LPIPS network",
            where=where,
            why=why,
            cure="give the trunk's file and the linear layers' file of the same trunk, in this order",
        )
    target.copy_(state[key].reshape(target.shape))


def _read_weights(path: str | Path | None, trunk: Trunk, which: int) -> dict[str, Tensor]:
    role, url = ("trunk", "linear layers")[which], _PUBLIC_FILES[trunk][which]
    if path is None or not Path(path).is_file():
        raise MissingDependencyError(
            f"LPIPS needs the weights of its {role}",
            where=path,
            why="they are not part of this program" if path is None else "there is no such file",
            cure=f"download {url} and name the file",
        )
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise DataError(
            f"Cannot read the LPIPS {role}", where=path, why=why, cure=f"download {url}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"The LPIPS {role} is not a state dict", where=path, cure=f"download {url}")
    return state
