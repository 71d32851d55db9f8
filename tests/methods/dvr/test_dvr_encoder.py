"""ResNet-18 with the names and numbers of parameters that weights of others have."""

from __future__ import annotations

import pytest
import torch

from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.encoder import SIDE, Encoder, ResNet18, prepared


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_numbers_of_parameters() -> None:
    """As the paper's models have them."""
    assert count(ResNet18()) == 11_176_512
    assert count(Encoder()) + count(Decoder(512, 5, 256)) == 14_596_420
    assert [count(Decoder(512)), count(Decoder(512, 5, 256)), count(Decoder(128, 5, 256))] == [
        2_630_660,
        3_288_580,
        330_628,
    ]


def test_names_of_weights() -> None:
    names = set(Encoder().state_dict())
    assert len(names) + len(Decoder(512, 5, 256).state_dict()) == 156
    assert len(Decoder(512).state_dict()) == 24
    for name in (
        "features.conv1.weight",
        "features.bn1.running_mean",
        "features.layer1.0.conv1.weight",
        "features.layer2.0.downsample.0.weight",
        "features.layer2.0.downsample.1.num_batches_tracked",
        "features.layer4.1.bn2.bias",
        "fc.weight",
    ):
        assert name in names, name
    assert "features.layer1.0.downsample.0.weight" not in names


def test_a_block_of_zeros_passes_its_input_on() -> None:
    """With the second norm of every block at zero only shortcuts are left: the first layer is then the identity."""
    net = ResNet18().eval()
    for block in net.layer1:
        torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 64, 8, 8)
    torch.testing.assert_close(net.layer1(x), x)


@pytest.mark.parametrize("size", [(300, 400), (64, 64), (500, 100)])
def test_photographs_are_made_fit(size: tuple[int, int]) -> None:
    """Whatever their sides, so that those of a batch go together."""
    image = torch.rand(*size, 3)
    found = prepared(image)
    assert tuple(found.shape) == (3, SIDE, SIDE)
    assert float((found.mean(dim=(1, 2)) - image.mean(dim=(0, 1))).abs().max()) < 0.02


def test_codes() -> None:
    encoder = Encoder(7).eval()
    images = torch.rand(2, 3, 64, 64)
    codes = encoder(images)
    assert codes.shape == (2, 7)
    torch.testing.assert_close(encoder(images[:1]), codes[:1], rtol=1e-4, atol=1e-5)
