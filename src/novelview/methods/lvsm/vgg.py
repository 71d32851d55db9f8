"""The perceptual loss that LVSM trains with: features of VGG-19, whose weights the user supplies.

The authors' weights are MatConvNet's ``imagenet-vgg-verydeep-19.mat`` (vlfeat.org); torchvision's
``vgg19-dcbb9e9d.pth`` has the same layers and does as well (LagerNVS trains with it).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import DataError, MissingDependencyError
from novelview.methods.official import as_tensors, read_file

# Outputs of each convolution; "pool" halves the size. Indices in torchvision's list count ReLUs and poolings too.
_LAYERS: tuple[int | str, ...] = (
    *(64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool"),
    *(512, 512, 512, 512, "pool", 512, 512),
)
# relu1_2, relu2_2, relu3_2, relu4_2 and relu5_2, by torchvision's index, with their weights.
_TAPS = {3: 1 / 2.6, 8: 1 / 4.8, 13: 1 / 3.7, 22: 1 / 5.6, 31: 10 / 1.5}
_MEAN = (123.68, 116.779, 103.939)
_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"


@cache
def perceptual_loss(path: str) -> PerceptualLoss:
    """The loss with a file's weights; a file is read once."""
    return PerceptualLoss.from_file(path)


class PerceptualLoss(nn.Module):
    """Weighted mean absolute differences of pixels and of five layers of VGG-19, in float32 (LVSM, section 3.4)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        channels, index = 3, 0
        for layer in _LAYERS:
            if isinstance(layer, int):
                self.features[str(index)] = nn.Conv2d(channels, layer, 3, padding=1)
                channels = layer
            index += 2 if isinstance(layer, int) else 1
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)

    @staticmethod
    def from_file(path: str | Path) -> PerceptualLoss:
        """With the weights of a ``.mat``, ``.pth`` or ``.safetensors`` file; nothing in it is run.

        Raises:
            MissingDependencyError: there is no such file; says where to get one. Or scipy is missing, for ``.mat``.
            DataError: it does not hold VGG-19.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingDependencyError(
                "The perceptual loss needs the weights of VGG-19",
                where=path,
                why="there is no such file",
                cure=f"download {_URL} and name the file, or train without: --config.vgg ''",
            )
        found = _from_matconvnet(path) if path.suffix == ".mat" else as_tensors(read_file(path), path)
        loss = PerceptualLoss()
        with torch.no_grad():
            for name, parameter in loss.named_parameters():
                if name not in found or found[name].shape != parameter.shape:
                    why = "is missing" if name not in found else f"has shape {tuple(found[name].shape)}"
                    raise DataError(
                        "This file does not hold VGG-19", where=path, why=f"{name} {why}", cure=f"take {_URL}"
                    )
                parameter.copy_(found[name])
        return loss.requires_grad_(False).eval()

    def errors(
        self, found: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]
    ) -> list[Float[Tensor, ""]]:
        """Mean absolute differences, not weighted yet: of pixels from 0 to 255, then of the five layers."""
        both = 255 * torch.cat([found, wanted]).float() - self.get_buffer("mean").to(found.device)
        errors, index = [_difference(both)], 0
        for layer in _LAYERS:
            if isinstance(layer, int):
                both = F.relu(self.features[str(index)].to(both.device)(both))
                if index + 1 in _TAPS:
                    errors.append(_difference(both))
            else:
                both = F.avg_pool2d(both, 2)
            index += 2 if isinstance(layer, int) else 1
        return errors

    def forward(self, found: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        """The loss of images in [0, 1]."""
        with torch.autocast(found.device.type, enabled=False):
            pixels, *layers = self.errors(found, wanted)
            weighted = [weight * error for weight, error in zip(_TAPS.values(), layers, strict=True)]
            return (pixels + torch.stack(weighted).sum()) / 255


def _difference(both: Tensor) -> Float[Tensor, ""]:
    found, wanted = both.chunk(2)
    return (found - wanted).abs().mean()


def _from_matconvnet(path: Path) -> dict[str, Tensor]:
    """Weights of MatConvNet's file under torchvision's names."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingDependencyError(
            "Reading MatConvNet files needs scipy", where=path, cure="pip install scipy"
        ) from error
    try:
        layers = loadmat(path, squeeze_me=True, struct_as_record=False)["layers"]
        found = {}
        for index, layer in enumerate(layers):
            # Its list has one entry per convolution, ReLU and pooling, as torchvision's has.
            weights = getattr(layer, "weights", ())
            if layer.type == "conv" and str(layer.name).startswith("conv"):
                kernel, bias = (torch.from_numpy(part.astype("float32")) for part in weights)
                found[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1)
                found[f"features.{index}.bias"] = bias
        return found
    except Exception as error:  # A damaged file can fail anywhere in the decoder.
        raise DataError(
            "This MatConvNet file cannot be read", where=path, why=str(error), cure="download it again"
        ) from error
