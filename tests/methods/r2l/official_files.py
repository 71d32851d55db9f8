"""Files as the authors' program writes them: weights, and beside them the network that is pickled whole."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from novelview.errors import CheckpointError
from novelview.geometry.rays import Rays
from novelview.methods.official import SYNTHETIC
from novelview.methods.r2l.checkpoint import OFFICIAL, WEIGHTS, load_official
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.plain import PlainStudent


def changed(config: R2LConfig, **sections: dict[str, Any]) -> R2LConfig:
    """That configuration with some options of its sections changed."""
    given = {name: replace(getattr(config, name), **options) for name, options in sections.items()}
    return replace(config, **given)


SMALL = changed(OFFICIAL, network={"width": 8, "depth": 6}, points={"samples": 3})
NEW, OLD = "smilelogging.slutils.EmptyClass", "utils.EmptyClass"


def imposter(monkeypatch: pytest.MonkeyPatch, name: str) -> type:
    """A class that pickles under that name."""
    module, _, short = name.rpartition(".")
    parts = module.split(".")
    for i in range(len(parts)):
        path = ".".join(parts[: i + 1])
        if path not in sys.modules:
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
    kind = type(short, (), {"__module__": module})
    monkeypatch.setattr(sys.modules[module], short, kind, raising=False)
    return kind


def pickled_network(monkeypatch: pytest.MonkeyPatch, config: R2LConfig, empty: str, **changes: Any) -> Any:
    """What the authors' program saves beside the weights, as far as classes and options go."""
    trial = imposter(monkeypatch, empty)()
    vars(trial).update(
        ON=True,
        body_arch="resmlp" if config.network.body == "residual" else "mlp",
        res_scale=config.network.residual_scale,
        n_learnable=config.network.block_layers,
        inact=config.network.inner_activation,
        outact=config.network.outer_activation,
        n_block=-1,
        near=-1 if config.points.near is None else config.points.near,
        far=-1 if config.points.far is None else config.points.far,
    )
    arguments = argparse.Namespace(
        netdepth=config.network.depth,
        netwidth=config.network.width,
        n_sample_per_ray=config.points.samples,
        multires=config.points.octaves,
        plucker=config.points.plucker,
        use_residual=config.network.global_residual,
        act=config.network.activation,
        layerwise_netwidths=",".join(map(str, config.network.layer_widths)),
        linear_tail=False,
        dataset_type="blender",
        no_ndc=False,
        hard_ratio=config.hard.share,
        hard_mul=config.hard.capacity,
        trial=trial,
    )
    vars(arguments).update(changes)
    network = imposter(monkeypatch, "model.nerf_raybased.NeRF_v3_2")()
    block = imposter(monkeypatch, "model.nerf_raybased.ResMLP")()
    block.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.LeakyReLU(), nn.Sigmoid())
    network._modules, network.args, network.seen = {"body": block}, arguments, {"a", "b"}
    return network


def saved(values: object, folder: Path, zipped: bool = True) -> Path:
    path = folder / "ckpt.tar"
    torch.save(values, path, _use_new_zipfile_serialization=zipped)
    return path


def made(config: R2LConfig = SMALL, prefix: str = "") -> tuple[R2L, dict[str, Any]]:
    torch.manual_seed(0)
    method = R2L(config, SYNTHETIC)
    weights = {prefix + name: tensor for name, tensor in network_of(method).state_dict().items()}
    return method, {"global_step": 3, "best_psnr": 27.5, "best_psnr_step": 3, WEIGHTS: weights}


def network_of(method: R2L) -> nn.Module:
    assert isinstance(method.student, PlainStudent)
    return method.student.network


def same(one: R2L, other: R2L) -> bool:
    rays = Rays(torch.ones(4, 3), torch.linspace(-1, 1, 12).view(4, 3))
    return torch.equal(one.student(rays), other.student(rays))


def message(path: Path) -> str:
    """What is said when that file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_official(path)
    assert caught.value.where == path
    assert caught.value.why
    return str(caught.value)
