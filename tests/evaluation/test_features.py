"""The random network: the same everywhere, and good for ranking."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.data.procedural import object_scene
from novelview.errors import DataError
from novelview.evaluation.distributions import frechet_of_features, polynomial_mmd
from novelview.evaluation.features import RandomConv, image_features


@pytest.fixture(scope="module")
def images() -> Tensor:
    return object_scene("chair", 1, views=24, size=48, test_every=0, supersample=1).train.images()


def blurred(images: Tensor, width: int) -> Tensor:
    return F.avg_pool2d(images.permute(0, 3, 1, 2), width, 1, width // 2).permute(0, 2, 3, 1)


def test_weights_are_the_same_each_time(images: Tensor) -> None:
    torch.testing.assert_close(
        image_features(RandomConv(), images), image_features(RandomConv(), images), rtol=0, atol=0
    )


def test_features_are_of_each_image_alone(images: Tensor) -> None:
    network = RandomConv()
    together = image_features(network, images[:5], at_once=2)
    assert together.shape == (5, network.dimension)
    torch.testing.assert_close(together[3:4], image_features(network, images[3:4]))


def test_images_may_differ_in_size(images: Tensor) -> None:
    larger = images[0].repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    small, large = image_features(RandomConv(), [images[0], larger])
    assert (small - large).norm() < 0.1 * small.norm()


@pytest.mark.parametrize("kind", ["noise", "blur", "colour"])
def test_stronger_damage_is_farther_away(images: Tensor, kind: str, generator: torch.Generator) -> None:
    noise = torch.randn(images[1::2].shape, generator=generator)
    damaged = {
        "noise": [images[1::2] + share * noise for share in (0.0, 0.05, 0.2)],
        "blur": [images[1::2], blurred(images[1::2], 3), blurred(images[1::2], 9)],
        "colour": [images[1::2] * torch.tensor([1, 1, 1 - share]) for share in (0.0, 0.1, 0.3)],
    }[kind]
    network = RandomConv()
    real = image_features(network, images[::2])
    features = [image_features(network, each) for each in damaged]
    for distance in (frechet_of_features, polynomial_mmd):
        none, some, much = (distance(each, real) for each in features)
        assert none < some < much


def test_another_object_is_farther_away_than_other_views(images: Tensor) -> None:
    network = RandomConv()
    real, same = image_features(network, images[::2]), image_features(network, images[1::2])
    others = object_scene("vase", 3, views=12, size=48, test_every=0, supersample=1).train.images()
    other = image_features(network, others)
    assert frechet_of_features(other, real) > 3 * frechet_of_features(same, real)


def test_no_image_has_no_features() -> None:
    with pytest.raises(DataError, match="no image"):
        image_features(RandomConv(), [])
