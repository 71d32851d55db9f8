"""Official checkpoints and weights of VGG-19: read without running anything, refused with a reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import novelview as nv
from novelview.cli.main import main
from novelview.data.procedural import make_scene
from novelview.errors import CheckpointError, ConfigError, DataError, NovelviewError
from novelview.methods.lvsm import LVSM, METHOD
from novelview.methods.lvsm.checkpoint import load_official
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.networks import build_network
from novelview.methods.lvsm.vgg import PerceptualLoss
from novelview.training import fit, load_method, open_run

SMALL = LVSMConfig(width=32, head_width=16, layers=3, patch=4)
DECODER = LVSMConfig(
    architecture="encoder-decoder", width=32, head_width=16, layers=3, encoder_layers=2, latents=7, patch=4
)


def weights(config: LVSMConfig = SMALL) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return build_network(config).state_dict()


def saved(content: Any, folder: Path, name: str = "ckpt_t0000000000002000.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


class Hostile:
    """Unpickled by the standard library, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("config", [SMALL, DECODER])
def test_a_training_checkpoint_loads_with_its_shape_read_off_it(tmp_path: Path, config: LVSMConfig) -> None:
    values = weights(config)
    vgg = {"loss_computer.perceptual_loss_module.vgg.features.0.weight": torch.zeros(3)}
    content = {"model": {**values, **vgg}, "optimizer": {"state": {}}, "param_update_step": 2000}
    loaded = nv.load(saved(content, tmp_path), method="lvsm")
    shape = ("architecture", "width", "head_width", "layers", "patch")
    assert all(getattr(loaded.config, name) == getattr(config, name) for name in shape)
    state = loaded.network.state_dict()
    assert state.keys() == values.keys()
    assert all(torch.equal(state[name], value) for name, value in values.items())
    assert not loaded.training


def test_bare_weights_prefixed_ones_and_safetensors_load(tmp_path: Path) -> None:
    values = weights()
    save_file(values, tmp_path / "bare.safetensors")
    wrapped = {f"module.{name}": value for name, value in values.items()}
    for path in (
        tmp_path / "bare.safetensors",
        saved(values, tmp_path),
        saved({"model": wrapped}, tmp_path, "m.pt"),
    ):
        state = load_official(path).network.state_dict()
        assert all(torch.equal(state[name], value) for name, value in values.items())


def test_decoder_only_weights_can_begin_a_cached_network(tmp_path: Path) -> None:
    values, tiny = weights(), METHOD.presets["tiny"]
    path = saved({"model": values}, tmp_path)
    config = replace(tiny.config, width=32, head_width=16, layers=3, positions="rays", patch=4)
    recipe = replace(tiny.recipe, steps=1, learning_rate=1e-4)
    scene, run = make_scene("object", 1, views=6, size=16), tmp_path / "run"
    found = fit(METHOD, scene, config=config, recipe=recipe, start=path, out=run, device="cpu", quiet=True)
    assert isinstance(found, LVSM)
    assert found.config.architecture == "cached"
    for name, value in found.network.state_dict().items():
        assert float((value - values[name]).abs().max()) < 2e-4
    assert path.name in open_run(run).start


@pytest.mark.parametrize("inside", [True, False])
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path: Path, inside: bool) -> None:
    target = tmp_path / "pwned"
    model = {**weights(), **({"extra": Hostile(target)} if inside else {})}
    path = saved({"model": model, "more": Hostile(target)}, tmp_path)
    with pytest.raises(CheckpointError, match="refused"):
        load_official(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("image_token_decoder.1.weight", None, "image_token_decoder.1.weight is missing"),
        ("transformer_blocks.1.mlp.mlp.0.weight", torch.zeros(3, 32), "[3, 32] instead of [128, 32]"),
        ("extra", torch.zeros(1), "extra is not known"),
        ("target_pose_tokenizer.1.weight", None, "no matrix 'target_pose_tokenizer.1.weight'"),
        ("transformer_blocks.0.attn.q_norm.weight", None, "no vector"),
        ("transformer_blocks.0.attn.q_norm.weight", torch.zeros(5), "heads of 5"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, name: str, tensor: Tensor | None, expected: str
) -> None:
    values = weights()
    values.pop(name, None)
    if tensor is not None:
        values[name] = tensor
    path = saved({"model": values}, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        load_official(path)
    assert expected in str(caught.value)
    assert caught.value.where == path


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, {"model": {}}, {"weights": {"a": torch.zeros(1)}}])
def test_other_files_are_named(tmp_path: Path, content: Any) -> None:
    path = saved(content, tmp_path)
    with pytest.raises(CheckpointError) as caught:
        load_official(path)
    assert caught.value.where == path


def test_the_perceptual_loss_reads_every_kind_of_file(tmp_path: Path) -> None:
    loss = PerceptualLoss()
    state = loss.state_dict()
    torch.save({**state, "classifier.0.bias": torch.zeros(2)}, tmp_path / "vgg19.pth")
    save_file(state, tmp_path / "vgg19.safetensors")
    _save_matconvnet(state, tmp_path / "vgg19.mat")
    generator = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 1, 3, 32, 32, generator=generator)
    expected = float(loss(one, other).detach())
    for name in ("vgg19.pth", "vgg19.safetensors", "vgg19.mat"):
        assert float(PerceptualLoss.from_file(tmp_path / name)(one, other)) == pytest.approx(
            expected, rel=1e-5
        )
    assert float(PerceptualLoss.from_file(tmp_path / "vgg19.pth")(one, one)) == 0


def _save_matconvnet(state: dict[str, Tensor], path: Path) -> None:
    """A file as MatConvNet has it: one layer per convolution, ReLU and pooling, kernels height x width x in x out."""
    savemat = pytest.importorskip("scipy.io").savemat
    layers = np.empty(37, dtype=object)
    for index in range(37):
        name = f"features.{index}.weight"
        if name in state:
            kernel = state[name].permute(2, 3, 1, 0).numpy()
            pair = np.empty(2, dtype=object)
            pair[0], pair[1] = kernel, state[name.replace("weight", "bias")].numpy()
            layers[index] = {"type": "conv", "name": f"conv{index}", "weights": pair}
        else:
            layers[index] = {"type": "relu", "name": f"relu{index}"}
    savemat(path, {"layers": layers})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pth", {"features.0.weight": torch.zeros(2)}),
        ("b.pth", [1]),
        ("c.mat", None),
        ("d.safetensors", None),
    ],
)
def test_files_that_are_not_vgg_are_named(tmp_path: Path, name: str, content: Any) -> None:
    path = tmp_path / name
    if content is None:
        path.write_bytes(b"nonsense" * 20)
    else:
        torch.save(content, path)
    with pytest.raises((DataError, CheckpointError)) as caught:
        PerceptualLoss.from_file(path)
    assert isinstance(caught.value, NovelviewError)
    assert caught.value.where == path


def test_the_official_fixture_loads_through_the_interface(shared: Path) -> None:
    path = shared / "fixtures/lvsm/a/decoder_only_weights.safetensors"
    loaded = nv.load(path, method="lvsm")
    assert loaded.config.architecture == "decoder-only"
    assert loaded.network.state_dict().keys() == load_file(path).keys()


def test_a_converted_checkpoint_is_a_run_like_any_other(tmp_path: Path) -> None:
    path, out, video = saved({"model": weights()}, tmp_path), tmp_path / "run", tmp_path / "frame.png"
    assert main(["convert", "lvsm", str(path), "--out", str(out), "--adjust", "frame=all", "size=16"]) == 0
    method, info = load_method(out)
    assert isinstance(method, LVSM)
    assert (method.config.frame, method.config.size, method.config.layers) == ("all", 16, 3)
    assert path.name in info.start
    assert all(torch.equal(method.network.state_dict()[name], value) for name, value in weights().items())
    assert main(["render", str(out), "--frames", "1", "--out", str(video), "--device", "cpu"]) == 0
    assert video.stat().st_size > 0


def test_settings_are_adjusted_when_an_official_file_is_loaded(tmp_path: Path) -> None:
    path = saved({"model": weights()}, tmp_path)
    assert nv.load(path, method="lvsm", frame="all").config.frame == "all"
    with pytest.raises(ConfigError, match="cannot change width"):
        nv.load(path, method="lvsm", width=3)


def test_a_checkpoint_of_one_scene_is_not_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "nerf", str(tmp_path / "any.tar")]) == 2
    assert "without its scene" in capsys.readouterr().err
    assert main(["convert", "quark", str(tmp_path / "any.pt")]) == 2
    assert "no official checkpoints" in capsys.readouterr().err
