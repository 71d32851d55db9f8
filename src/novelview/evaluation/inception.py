"""The Inception-v3 of published FID and KID values, with weights that the user supplies.

The network of Szegedy et al. (Rethinking the Inception Architecture, 2016) as TensorFlow's model of 2015-12-05 has it:
average poolings leave the padding out of their means, and the last one is a maximum. Weights are those of the package
pytorch-fid, whose names are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.errors import MissingDependencyError
from novelview.evaluation.features import FeatureNetwork
from novelview.methods.official import as_tensors, fill, read_file

_URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"

Pool = Literal["average", "maximum", "halving"]
# Name, outputs, height and width of the kernel.
Step = tuple[str, int, tuple[int, int]]
# Steps one after another; those of an inner tuple, always last, look at the same input side by side.
Branch = tuple[Step | tuple[Step, ...], ...]

_1x1, _3x3, _1x7, _7x1, _1x3, _3x1 = (1, 1), (3, 3), (1, 7), (7, 1), (1, 3), (3, 1)

_FINE: tuple[Branch, ...] = (
    (("branch1x1", 64, _1x1),),
    (("branch5x5_1", 48, _1x1), ("branch5x5_2", 64, (5, 5))),
    (("branch3x3dbl_1", 64, _1x1), ("branch3x3dbl_2", 96, _3x3), ("branch3x3dbl_3", 96, _3x3)),
)
_TO_MIDDLE: tuple[Branch, ...] = (
    (("branch3x3", 384, _3x3),),
    (("branch3x3dbl_1", 64, _1x1), ("branch3x3dbl_2", 96, _3x3), ("branch3x3dbl_3", 96, _3x3)),
)
_TO_COARSE: tuple[Branch, ...] = (
    (("branch3x3_1", 192, _1x1), ("branch3x3_2", 320, _3x3)),
    (
        ("branch7x7x3_1", 192, _1x1),
        ("branch7x7x3_2", 192, _1x7),
        ("branch7x7x3_3", 192, _7x1),
        ("branch7x7x3_4", 192, _3x3),
    ),
)
_COARSE: tuple[Branch, ...] = (
    (("branch1x1", 320, _1x1),),
    (("branch3x3_1", 384, _1x1), (("branch3x3_2a", 384, _1x3), ("branch3x3_2b", 384, _3x1))),
    (
        ("branch3x3dbl_1", 448, _1x1),
        ("branch3x3dbl_2", 384, _3x3),
        (("branch3x3dbl_3a", 384, _1x3), ("branch3x3dbl_3b", 384, _3x1)),
    ),
)


def _middle(width: int) -> tuple[Branch, ...]:
    return (
        (("branch1x1", 192, _1x1),),
        (("branch7x7_1", width, _1x1), ("branch7x7_2", width, _1x7), ("branch7x7_3", 192, _7x1)),
        (
            ("branch7x7dbl_1", width, _1x1),
            ("branch7x7dbl_2", width, _7x1),
            ("branch7x7dbl_3", width, _1x7),
            ("branch7x7dbl_4", width, _7x1),
            ("branch7x7dbl_5", 192, _1x7),
        ),
    )


class Inception(FeatureNetwork):
    """The 2048 means of its last layer ("pool3"); weights are random until some are loaded."""

    name = "Inception-v3 of 2015-12-05, pool3, bilinear to 299x299 without antialiasing"
    dimension = 2048
    side = 299

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, _3x3, stride=2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, _3x3)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, _3x3, padding=(1, 1))
        self.Conv2d_3b_1x1 = _Convolution(64, 80, _1x1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, _3x3)
        self.Mixed_5b = _Block(192, _FINE, "average", 32)
        self.Mixed_5c = _Block(256, _FINE, "average", 64)
        self.Mixed_5d = _Block(288, _FINE, "average", 64)
        self.Mixed_6a = _Block(288, _TO_MIDDLE, "halving")
        self.Mixed_6b = _Block(768, _middle(128), "average", 192)
        self.Mixed_6c = _Block(768, _middle(160), "average", 192)
        self.Mixed_6d = _Block(768, _middle(160), "average", 192)
        self.Mixed_6e = _Block(768, _middle(192), "average", 192)
        self.Mixed_7a = _Block(768, _TO_COARSE, "halving")
        self.Mixed_7b = _Block(1280, _COARSE, "average", 192)
        self.Mixed_7c = _Block(2048, _COARSE, "maximum", 192)
        self.requires_grad_(False).eval()

    @staticmethod
    def from_file(path: str | Path) -> Inception:
        """With the weights of pytorch-fid's file, ``.pth`` or ``.safetensors``; nothing in it is run.

        Raises:
            MissingDependencyError: there is no such file; says where to get one.
            CheckpointError: it does not hold this network, is damaged, or wants to run code.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingDependencyError(
                "FID and KID as published need the weights of Inception-v3",
                where=path,
                why="there is no such file",
                cure=f"download {_URL} and name the file",
            )
        network = Inception()
        # The classifier is not needed, and the number of batches that training saw has no effect.
        found = {
            name: value
            for name, value in as_tensors(read_file(path), path).items()
            if not name.startswith(("fc.", "AuxLogits.")) and not name.endswith("num_batches_tracked")
        }
        fill(network, found, path, what="Inception-v3 as FID uses it", cure=f"download {_URL}")
        return network

    def prepare(self, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "3 s s"]:
        channels, size = image.permute(2, 0, 1)[None], (self.side, self.side)
        return 2 * F.interpolate(channels, size, mode="bilinear", align_corners=False)[0] - 1

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        for layer in self.children():
            images = layer(images)
            if layer is self.Conv2d_2b_3x3 or layer is self.Conv2d_4a_3x3:
                images = F.max_pool2d(images, 3, stride=2)
        return images.mean(dim=(2, 3))


class _Block(nn.Module):
    """Branches side by side and a pooling, whose outputs are joined."""

    def __init__(
        self, inputs: int, branches: tuple[Branch, ...], pool: Pool, pool_outputs: int | None = None
    ) -> None:
        super().__init__()
        self._branches, self._pool = branches, pool
        for branch in branches:
            channels = inputs
            for step in branch:
                for name, outputs, kernel in _side_by_side(step):
                    # The last step of each branch halves the resolution, and has no padding then.
                    halving = pool == "halving" and step is branch[-1]
                    padding = (0, 0) if halving else (kernel[0] // 2, kernel[1] // 2)
                    layer = _Convolution(channels, outputs, kernel, 2 if halving else 1, padding)
                    self.add_module(name, layer)
                channels = _side_by_side(step)[0][1]
        if pool_outputs is not None:
            self.branch_pool = _Convolution(inputs, pool_outputs, _1x1)

    def forward(self, values: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        outputs = []
        for branch in self._branches:
            found = values
            for step in branch:
                layers = [self.get_submodule(name) for name, _, _ in _side_by_side(step)]
                found = torch.cat([layer(found) for layer in layers], dim=1)
            outputs.append(found)
        return torch.cat([*outputs, self._pooled(values)], dim=1)

    def _pooled(self, values: Tensor) -> Tensor:
        if self._pool == "halving":
            return F.max_pool2d(values, 3, stride=2)
        if self._pool == "maximum":
            pooled = F.max_pool2d(values, 3, stride=1, padding=1)
        else:
            pooled = F.avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False)
        found: Tensor = self.branch_pool(pooled)
        return found


class _Normalisation(nn.Module):
    """Batch normalisation by stored statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(values, mean, variance, self.weight, self.bias, eps=1e-3)


class _Convolution(nn.Module):
    """Convolution, normalisation, rectifier."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = _Normalisation(outputs)

    def forward(self, values: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        return F.relu(self.bn(self.conv(values)))


def _side_by_side(step: Step | tuple[Step, ...]) -> tuple[Step, ...]:
    """The convolutions that look at the same input."""
    return (step,) if isinstance(step[0], str) else step
