"""LPIPS with random weights against an independent slow implementation, and its weights files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from novelview.errors import DataError, MissingDependencyError
from novelview.nn.lpips import LPIPS

CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def torchvision_features(trunk: str) -> tuple[nn.Sequential, tuple[int, ...]]:
    """The public ``features`` module as torchvision builds it, and after which modules LPIPS looks."""
    if trunk == "alex":
        modules: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        modules += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
        modules += [
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
        ]
        modules += [nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)]
        return nn.Sequential(*modules), (1, 4, 7, 9, 11)
    modules, channels = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        modules += (
            [nn.MaxPool2d(2, 2)] if width == 0 else [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        )
        channels = width or channels
    return nn.Sequential(*modules), (3, 8, 15, 22, 29)


def weights(
    trunk: str, folder: Path, generator: torch.Generator
) -> tuple[Path, Path, nn.Sequential, list[Tensor]]:
    features, _ = torchvision_features(trunk)
    for parameter in features.parameters():
        # He scaling keeps the activations of a deep random network alive.
        spread = (2 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.1
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    linear = [torch.rand(1, c, 1, 1, generator=generator) for c in CHANNELS[trunk]]
    first, second = folder / f"{trunk}_trunk.pth", folder / f"{trunk}_linear.pth"
    classifier = {"classifier.1.weight": torch.zeros(4, 4)}
    torch.save({f"features.{k}": v for k, v in features.state_dict().items()} | classifier, first)
    torch.save({f"lin{i}.model.1.weight": w for i, w in enumerate(linear)}, second)
    return first, second, features, linear


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_distance_is_that_of_a_slow_implementation(
    trunk: str, tmp_path: Path, generator: torch.Generator
) -> None:
    first, second, features, linear = weights(trunk, tmp_path, generator)
    image, truth = torch.rand(2, 40, 52, 3, generator=generator)
    found = LPIPS.from_files(trunk, first, second)(image, truth)

    taps = torchvision_features(trunk)[1]
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    activations: list[list[np.ndarray]] = [[], []]
    for which, picture in enumerate((image, truth)):
        values = torch.from_numpy((picture.numpy() * 2 - 1 - shift) / scale).float().permute(2, 0, 1)[None]
        for i, module in enumerate(features[: taps[-1] + 1]):
            values = module(values)
            if i in taps:
                activations[which].append(values[0].detach().double().numpy())
    expected = 0.0
    for a, b, weight in zip(*activations, linear, strict=True):
        for y in range(a.shape[1]):
            for x in range(a.shape[2]):
                u, v = a[:, y, x], b[:, y, x]
                u, v = u / (np.sqrt((u * u).sum()) + 1e-10), v / (np.sqrt((v * v).sum()) + 1e-10)
                expected += float((weight.flatten().numpy() * (u - v) ** 2).sum()) / (a.shape[1] * a.shape[2])
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01


def test_distance_of_an_image_to_itself_is_zero(tmp_path: Path, generator: torch.Generator) -> None:
    first, second, *_ = weights("alex", tmp_path, generator)
    image = torch.rand(40, 40, 3, generator=generator)
    network = LPIPS.from_files("alex", first, second)
    assert float(network(image, image)) == 0
    with pytest.raises(DataError, match="too small for LPIPS"):
        network(image[:31], image[:31])


def test_safetensors_give_the_same_network(tmp_path: Path, generator: torch.Generator) -> None:
    first, second, *_ = weights("alex", tmp_path, generator)
    image, truth = torch.rand(2, 36, 36, 3, generator=generator)
    expected = LPIPS.from_files("alex", first, second)(image, truth)
    for path in (first, second):
        save_file(torch.load(path, weights_only=True), path.with_suffix(".safetensors"))
    again = LPIPS.from_files("alex", first.with_suffix(".safetensors"), second.with_suffix(".safetensors"))
    assert float(again(image, truth)) == float(expected)


def test_missing_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDependencyError, match=r"download https://download\.pytorch\.org/models/alexnet"
    ):
        LPIPS.from_files("alex", None, None)
    with pytest.raises(MissingDependencyError, match=r"nowhere\.pth"):
        LPIPS.from_files("vgg", tmp_path / "nowhere.pth", None)


def test_wrong_weights_are_refused(tmp_path: Path, generator: torch.Generator) -> None:
    first, second, *_ = weights("alex", tmp_path, generator)
    with pytest.raises(DataError, match="do not fit"):
        LPIPS.from_files("alex", second, first)
    with pytest.raises(DataError, match=r"has shape \(64, 3, 11, 11\), expected \(64, 3, 3, 3\)"):
        LPIPS.from_files("vgg", first, second)
    for name in ("garbage.pth", "garbage.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(DataError, match="Cannot read the LPIPS trunk"):
            LPIPS.from_files("alex", tmp_path / name, second)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match="not a state dict"):
        LPIPS.from_files("alex", tmp_path / "list.pth", second)


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_nothing_in_a_weights_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": _Hostile()}, tmp_path / "hostile.pth")
    with pytest.raises(DataError, match="Cannot read"):
        LPIPS.from_files("alex", tmp_path / "hostile.pth", tmp_path / "hostile.pth")
    assert not (tmp_path / "executed").exists()
