"""Checkpoints in the authors' layout: read without running anything, refused with a reason when they do not fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from novelview.errors import CheckpointError
from novelview.methods.discovery import find
from novelview.methods.dvr.checkpoint import OFFICIAL, UNIT, load_official, load_official_single
from novelview.methods.dvr.config import DecoderConfig, DVRConfig
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.encoder import Encoder
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.shape import GREY, Decoded
from novelview.methods.dvr.single import SingleView
from novelview.training.bundle import convert_official
from novelview.training.run import load_method

WIDTH, BLOCKS, CODE = 16, 5, 6


class Hostile:
    """Unpickled by the standard library, it calls something."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


class Model(nn.Module):
    """The authors' names: a decoder, and an encoder where there are many shapes."""

    def __init__(self, single: bool = False, channels: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.decoder = Decoder(WIDTH, BLOCKS, CODE if single else 0, channels)
        # What trained networks have: no layer of zeros.
        for block in self.decoder.blocks:
            nn.init.normal_(block.get_submodule("fc_1").weight, std=0.1)
        if single:
            self.encoder = Encoder(CODE)


def content(model: Model) -> dict[str, Any]:
    """What their training writes, with an optimiser that has made a step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    model.decoder(torch.rand(4, 3), torch.rand(CODE) if model.decoder.code else None).sum().backward()
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch_it": 3,
        "it": 117,
        "loss_val_best": np.float64(0.5),
    }


def saved(values: object, folder: Path, **options: Any) -> Path:
    path = folder / "model_best.pt"
    torch.save(values, path, **options)
    return path


def message(path: Path, single: bool = False) -> str:
    with pytest.raises(CheckpointError) as caught:
        (load_official_single if single else load_official)(path)
    assert caught.value.where == path
    assert caught.value.why
    return str(caught.value)


def same(loaded: nn.Module, expected: nn.Module) -> bool:
    found, wanted = loaded.state_dict(), expected.state_dict()
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def decoder_of(method: DVR) -> Decoder:
    assert isinstance(method.shape, Decoded)
    return method.shape.decoder


@pytest.mark.parametrize("zipped", [True, False])
def test_one_object_loads(tmp_path: Path, zipped: bool) -> None:
    model = Model()
    path = saved(content(model), tmp_path, _use_new_zipfile_serialization=zipped)
    loader = find("dvr").load_official
    assert loader is not None
    method = loader(path)
    assert isinstance(method, DVR)
    points = torch.rand(9, 3) - 0.5
    assert torch.equal(decoder_of(method)(points), model.decoder(points))
    assert method.config.decoder == DecoderConfig(WIDTH, BLOCKS)
    assert method.config.search == OFFICIAL.search
    assert not method.training
    assert method.bounds == UNIT


def test_one_object_loads_into_any_scene(tmp_path: Path) -> None:
    """Its cube is where the bounds say, whatever form the configuration has."""
    bounds = replace(UNIT, box_min=(1.0, 1.0, 1.0), box_max=(3.0, 2.0, 2.0))
    method = load_official(saved(content(Model()), tmp_path), config=DVRConfig(form="grids"), bounds=bounds)
    assert method.config.form == "decoder"
    assert method.cube.centre == (2.0, 1.5, 1.5)


def test_the_state_dict_alone_loads(tmp_path: Path) -> None:
    model = Model()
    assert same(decoder_of(load_official(saved(model.state_dict(), tmp_path))), model.decoder)


def test_the_prefix_of_parallel_training_is_stripped(tmp_path: Path) -> None:
    model = Model()
    wrapped = {f"module.{name}": value for name, value in model.state_dict().items()}
    assert same(decoder_of(load_official(saved({"model": wrapped}, tmp_path))), model.decoder)


def test_a_family_loads(tmp_path: Path) -> None:
    model = Model(single=True)
    path = saved(content(model), tmp_path)
    model.encoder(torch.rand(2, 3, 64, 64))  # Running means of a training.
    torch.save(content(model), path)
    loader = find("dvr-single").load_official
    assert loader is not None
    method = loader(path)
    assert isinstance(method, SingleView)
    assert not method.training
    assert same(method.encoder, model.encoder)
    assert (method.config.code, method.config.decoder) == (CODE, DecoderConfig(WIDTH, BLOCKS))
    assert method.config.batch_norm
    assert method.config.unit_cube
    images, points = torch.rand(1, 3, 64, 64), torch.rand(5, 3)
    code = model.eval().encoder(images)[0]
    torch.testing.assert_close(method.encoder(images)[0], code)
    assert torch.equal(method.decoder(points, code), model.decoder(points, code))


@pytest.mark.parametrize("single", [True, False])
def test_a_network_without_colours_is_grey(tmp_path: Path, single: bool) -> None:
    path, points = saved(content(Model(single, channels=1)), tmp_path), torch.rand(2, 3)
    shape: Any
    if single:
        method = load_official_single(path)
        shape = Decoded(method.decoder, torch.zeros(CODE))
    else:
        method, shape = load_official(path), load_official(path).shape
    assert not method.config.decoder.coloured
    assert method.config.losses.colour == method.config.losses.change == 0
    assert torch.equal(shape.colour(points, points), torch.full((2, 3), GREY))


@pytest.mark.parametrize(
    ("file", "channels", "parameters"),
    [
        ("keys_multi_view_no_encoder_h512_c0_out4", 4, 2_630_660),
        ("keys_single_view_resnet18_h128_c256_out4_nmr_rgb", 4, None),
        ("keys_single_view_resnet18_h512_c256_out1_depth_only", 1, None),
        ("keys_single_view_resnet18_h512_c256_out4", 4, 14_596_420),
    ],
)
def test_names_and_shapes_of_the_published_models(
    shared: Path, tmp_path: Path, file: str, channels: int, parameters: int | None
) -> None:
    keys = json.loads((shared / f"fixtures/dvr/{file}.json").read_text())["keys"]
    tensors = {
        name: torch.full(facts["shape"], 0.25).to(getattr(torch, facts["dtype"]))
        for name, facts in keys.items()
    }
    path = saved({"model": tensors}, tmp_path)
    method: Any = (load_official if "multi" in file else load_official_single)(path)
    network = method.shape if "multi" in file else method
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == {
        name: facts["shape"] for name, facts in keys.items()
    }
    assert method.config.decoder.coloured == (channels == 4)
    if parameters is not None:
        assert sum(each.numel() for each in network.parameters()) == parameters


@pytest.mark.parametrize("attack", range(3))
@pytest.mark.parametrize("place", ["beside", "optimizer", "model", "bare"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_file_is_refused_and_nothing_runs(
    tmp_path: Path, attack: int, place: str, zipped: bool
) -> None:
    target = tmp_path / "pwned"
    calls = [(os.mkdir, str(target)), (os.system, f"touch {target}"), (eval, f"open({str(target)!r}, 'w')")]
    values, hostile = content(Model()), Hostile(*calls[attack])
    if place == "beside":
        values["loss_val_best"] = hostile
    elif place != "bare":
        values[place]["extra"] = hostile
    path = saved(hostile if place == "bare" else values, tmp_path, _use_new_zipfile_serialization=zipped)
    for single in (False, True):
        assert "refused" in message(path, single)
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("decoder.fc_out.bias", None, "fc_out.bias is missing"),
        ("decoder.fc_p.weight", None, "no matrix 'fc_p.weight'"),
        ("decoder.fc_out.weight", torch.zeros(4), "no matrix 'fc_out.weight'"),
        ("decoder.fc_p.weight", torch.zeros(8, 3), "fc_p.bias is [16] instead of [8]"),
        ("decoder.fc_out.weight", torch.zeros(3, WIDTH), "fc_out.weight is [3, 16] instead of [1, 16]"),
        ("decoder.blocks.4.fc_1.bias", None, "blocks.4.fc_1.bias is missing"),
        ("decoder.extra", torch.zeros(1), "extra is not known"),
        ("other.weight", torch.zeros(1), "other.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, name: str, tensor: Tensor | None, expected: str
) -> None:
    for single in (False, True):
        values = content(Model(single))
        values["model"].pop(name, None)
        if tensor is not None:
            values["model"][name] = tensor
        assert expected in message(saved(values, tmp_path), single)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder.features.bn1.running_mean", "features.bn1.running_mean is missing"),
        ("encoder.fc.weight", "no matrix 'fc.weight'"),
        ("decoder.fc_c.2.bias", "fc_c.2.bias is missing"),
    ],
)
def test_parts_of_a_family_that_are_missing_are_named(tmp_path: Path, name: str, expected: str) -> None:
    values = content(Model(single=True))
    del values["model"][name]
    assert expected in message(saved(values, tmp_path), single=True)


def test_each_file_names_the_method_that_it_is_of(tmp_path: Path) -> None:
    for single, cure in ((True, "dvr-single"), (False, "load it as dvr")):
        assert cure in message(saved(content(Model(single)), tmp_path), not single)


@pytest.mark.parametrize("values", [[1, 2], {"model": {}}, {"model": 3}, {"state_dict": {}}])
@pytest.mark.parametrize("single", [True, False])
def test_something_else_is_not_a_checkpoint(tmp_path: Path, values: object, single: bool) -> None:
    assert "not a checkpoint of DVR" in message(saved(values, tmp_path), single)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_official_single(tmp_path / "none.pt")


def test_a_family_becomes_a_run(tmp_path: Path) -> None:
    """As `novelview convert` makes it."""
    path, spec = saved(content(Model(single=True)), tmp_path), find("dvr-single")
    convert_official(spec, path, tmp_path / "run")
    method, _ = load_method(tmp_path / "run")
    assert same(method, load_official_single(path))
