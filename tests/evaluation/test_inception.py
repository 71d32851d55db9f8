"""The Inception-v3 of FID: its layout, its poolings, and reading its weights without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from novelview.errors import CheckpointError, MissingDependencyError
from novelview.evaluation.features import image_features
from novelview.evaluation.inception import Inception


@pytest.fixture(scope="module")
def network() -> Inception:
    return Inception()


def official(network: Inception) -> dict[str, Tensor]:
    """What the public file has besides: the classifier, and counters of batches."""
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008), **network.state_dict()}
    counters = [name for name in state if name.endswith("running_var")]
    return {**state, **{n.replace("running_var", "num_batches_tracked"): torch.tensor(0) for n in counters}}


def test_weights_are_as_many_as_those_of_inception_v3(network: Inception) -> None:
    # 27,161,264 of torchvision's, less 3,326,696 of the auxiliary classifier and 2,049,000 of the last layer.
    assert sum(parameter.numel() for parameter in network.parameters()) == 21_785_568


def test_layers_have_the_names_and_shapes_of_the_public_file(network: Inception) -> None:
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert len(shapes) == 94 * 5
    assert shapes["Conv2d_4a_3x3.conv.weight"] == (192, 80, 3, 3)
    assert shapes["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6c.branch7x7dbl_2.conv.weight"] == (160, 160, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["Mixed_7c.branch_pool.bn.running_var"] == (192,)


def test_features_are_2048_numbers(network: Inception, generator: torch.Generator) -> None:
    with torch.no_grad():
        found = image_features(network, [torch.rand(32, 40, 3, generator=generator)])
    assert found.shape == (1, 2048)
    assert bool(found.isfinite().all())


def test_resolutions_are_those_of_the_paper(network: Inception) -> None:
    sizes: dict[str, tuple[int, ...]] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])}))
        for name, layer in network.named_children()
    ]
    network(torch.zeros(1, 3, 299, 299))
    for hook in hooks:
        hook.remove()
    assert sizes["Conv2d_2b_3x3"] == (64, 147, 147)
    assert sizes["Mixed_5d"] == (288, 35, 35)
    assert sizes["Mixed_6e"] == (768, 17, 17)
    assert sizes["Mixed_7a"] == (1280, 8, 8)
    assert sizes["Mixed_7c"] == (2048, 8, 8)


@pytest.mark.parametrize(("name", "inputs"), [("Mixed_5b", 192), ("Mixed_7b", 1280), ("Mixed_7c", 2048)])
def test_padding_does_not_count_in_a_pooling(
    network: Inception, name: str, inputs: int, generator: torch.Generator
) -> None:
    block = network.get_submodule(name)
    values = torch.rand(1, inputs, 5, 5, generator=generator)
    corner = values[..., :2, :2]
    pooled = corner.amax(dim=(2, 3)) if name == "Mixed_7c" else corner.mean(dim=(2, 3))
    pool = block.get_submodule("branch_pool")
    outputs = pool.conv.out_channels
    with torch.no_grad():
        found, expected = block(values)[:, -outputs:, :1, :1], pool(pooled[..., None, None])
    torch.testing.assert_close(found, expected)


def test_a_convolution_is_normalised_by_its_stored_statistics(generator: torch.Generator) -> None:
    layer = Inception().Conv2d_1a_3x3
    mean, variance, weight, bias = (torch.rand(32, generator=generator) + 0.5 for _ in range(4))
    layer.bn.load_state_dict({"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias})
    image = torch.rand(1, 3, 9, 9, generator=generator)
    plain = F.conv2d(image, layer.conv.weight, stride=2)[0].permute(1, 2, 0)
    expected = ((plain - mean) / (variance + 1e-3).sqrt() * weight + bias).clamp(min=0)
    torch.testing.assert_close(layer(image)[0].permute(1, 2, 0), expected)


def test_an_image_is_enlarged_bilinearly(network: Inception) -> None:
    image = torch.zeros(2, 2, 3)
    image[:, 1] = 1.0
    prepared = network.prepare(image)
    assert prepared.shape == (3, 299, 299)
    assert prepared[0, 0, [0, 149, 298]].tolist() == pytest.approx([-1, 0, 1])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_read_from_the_public_layout(network: Inception, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"inception{suffix}"
    if suffix == ".pth":
        torch.save(official(network), path)
    else:
        save_file(official(network), path)
    loaded = Inception.from_file(path).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(loaded[name], value), name


def test_a_missing_file_is_told_where_to_get(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"pt_inception-2015-12-05-6726825d\.pth"):
        Inception.from_file(tmp_path / "none.pth")


def test_other_weights_are_refused(network: Inception, tmp_path: Path) -> None:
    state = {name: value for name, value in network.state_dict().items() if not name.startswith("Mixed_7c")}
    torch.save(state, tmp_path / "half.pth")
    with pytest.raises(CheckpointError, match=r"Mixed_7c.*is missing"):
        Inception.from_file(tmp_path / "half.pth")


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def test_a_file_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.weight": Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(CheckpointError, match="refused"):
        Inception.from_file(tmp_path / "hostile.pth")
    assert not (tmp_path / "ran").exists()
