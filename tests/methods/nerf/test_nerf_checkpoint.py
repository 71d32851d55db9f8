"""Official checkpoints: read without running anything, refused with a reason when they do not fit."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from novelview.errors import CheckpointError
from novelview.methods.discovery import find
from novelview.methods.nerf.checkpoint import COARSE, FINE, load_official
from novelview.methods.nerf.config import NeRFConfig
from novelview.methods.nerf.model import NeRF
from novelview.methods.official import SYNTHETIC

SMALL = NeRFConfig(width=8, depth=6, point_octaves=3, direction_octaves=2)


class Hostile:
    """Unpickled by the standard library, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (str(self.target),)


def content(config: NeRFConfig = SMALL) -> dict[str, Any]:
    torch.manual_seed(0)
    method = NeRF(config, SYNTHETIC)
    return {"global_step": 3, COARSE: method.coarse.state_dict(), FINE: method.fine.state_dict()}


def saved(values: object, folder: Path) -> Path:
    path = folder / "000003.tar"
    torch.save(values, path)
    return path


def message(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_official(path)
    assert caught.value.where == path
    assert caught.value.why
    return str(caught.value)


def same(loaded: NeRF, values: dict[str, Any]) -> bool:
    pairs = [(loaded.coarse, values[COARSE]), (loaded.fine, values[FINE])]
    return all(
        torch.equal(net.state_dict()[name], t) for net, tensors in pairs for name, t in tensors.items()
    )


def test_the_official_file_loads(shared: Path) -> None:
    loader = find("nerf").load_official
    assert loader is not None
    method = loader(shared / "fixtures/r2l/a/ckpt_nerf_official.tar")
    assert isinstance(method, NeRF)
    assert method.config == NeRFConfig(width=32, pixel_centre=0.0)
    for network, name in ((method.coarse, "coarse"), (method.fine, "fine")):
        expected = torch.load(shared / f"fixtures/r2l/a/nerf_{name}_state.pt", weights_only=True)
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("view_directions", [True, False])
def test_the_shape_of_the_network_is_read_off_the_file(tmp_path: Path, view_directions: bool) -> None:
    config = NeRFConfig(width=8, depth=6, point_octaves=3, view_directions=view_directions)
    values = content(config)
    loaded = load_official(saved(values, tmp_path), config=NeRFConfig())
    assert loaded.config == config
    assert same(loaded, values)


def test_the_prefix_of_parallel_training_is_stripped(tmp_path: Path) -> None:
    values = content()
    wrapped = {key: {f"module.{name}": t for name, t in values[key].items()} for key in (COARSE, FINE)}
    assert same(load_official(saved(wrapped, tmp_path)), values)


def test_a_file_in_the_old_format_loads(tmp_path: Path) -> None:
    values, path = content(), tmp_path / "old.tar"
    torch.save(values, path, _use_new_zipfile_serialization=False)
    assert same(load_official(path), values)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path: Path, zipped: bool) -> None:
    target, path = tmp_path / "pwned", tmp_path / "hostile.tar"
    torch.save({**content(), "extra": Hostile(target)}, path, _use_new_zipfile_serialization=zipped)
    assert "refused" in message(path)
    assert "weights_only" not in message(path)
    assert not target.exists()


def test_a_bare_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    target, path = tmp_path / "pwned", tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps(Hostile(target)))
    message(path)
    assert not target.exists()


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"nonsense" * 50])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = saved(content(), tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    message(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_official(tmp_path / "none.tar")


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("rgb_linear.bias", None, "rgb_linear.bias is missing"),
        ("pts_linears.0.weight", None, "no matrix 'pts_linears.0.weight'"),
        ("views_linears.0.weight", None, "no matrix 'views_linears.0.weight'"),
        ("pts_linears.5.bias", torch.zeros(7), "pts_linears.5.bias is [7] instead of [8]"),
        ("extra", torch.zeros(1), "extra is not known"),
        ("pts_linears.0.weight", torch.zeros(8, 20), "20 encoded values"),
        ("alpha_linear.weight", None, "output_linear.weight is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, name: str, tensor: Tensor | None, expected: str
) -> None:
    values = content()
    values[COARSE].pop(name, None)
    if tensor is not None:
        values[COARSE][name] = tensor
    assert expected in message(saved(values, tmp_path))


def test_a_width_that_no_nerf_has_is_named(tmp_path: Path) -> None:
    values = content()
    values[COARSE]["pts_linears.0.weight"] = torch.zeros(7, 21)
    values[COARSE]["views_linears.0.weight"] = torch.zeros(3, 7 + 15)
    assert "width 7" in message(saved(values, tmp_path))


@pytest.mark.parametrize("values", [[1, 2], {COARSE: {}}, {COARSE: 3, FINE: 4}, {"state_dict": {}}])
def test_something_else_is_not_a_checkpoint(tmp_path: Path, values: object) -> None:
    assert "not a NeRF checkpoint" in message(saved(values, tmp_path))


def test_a_file_without_a_fine_network_says_so(tmp_path: Path) -> None:
    values = content()
    del values[FINE]
    assert FINE in message(saved(values, tmp_path))
