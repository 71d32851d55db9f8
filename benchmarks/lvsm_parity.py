"""How far LVSM here is from the authors' code: the largest absolute error of every recorded quantity.

    python benchmarks/lvsm_parity.py FIXTURES [--write]

FIXTURES is the folder with ``loss_metrics.npz`` and, below it, folders of recorded cases (``config.json``, ``data.npz``,
weights, inputs and outputs); ``--write`` keeps the table in ``benchmarks/results/lvsm_parity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.paths import straight
from novelview.data.squares import squares
from novelview.evaluation.metrics import psnr, ssim
from novelview.geometry.rigid import invert
from novelview.methods.lvsm.checkpoint import load_official
from novelview.methods.lvsm.frame import common_frame
from novelview.methods.lvsm.model import LVSM
from novelview.methods.lvsm.posed import Posed
from novelview.methods.lvsm.vgg import PerceptualLoss
from novelview.types import Views
from parity import Row, arrays, command, error, table

RESULT = Path(__file__).parent / "results" / "lvsm_parity.md"
NETWORKS = ("decoder_only", "encoder_decoder")
# Relative; a gradient that crosses a ReLU's kink differs by all of its share.
NORM_TOLERANCE = 2e-5


def rows(folder: Path) -> list[Row]:
    """Errors of every case below ``folder``."""
    cases = sorted(path.parent for path in folder.glob("*/config.json"))
    found = [row for case in cases for row in _case(case)]
    return [*found, *_losses(folder)]


def _case(folder: Path) -> Iterator[Row]:
    settings = json.loads((folder / "config.json").read_text())
    yield from _preparation(folder.name, arrays(folder / "data.npz"), settings)
    for network in NETWORKS:
        method = load_official(folder / f"{network}_weights.safetensors")
        recorded = arrays(folder / f"{network}_io.npz")
        name = f"{folder.name}: {network.replace('_', '-')}"
        yield from _network(name, method, recorded, settings)
        norms = json.loads((folder / f"{network}_grad_norms.json").read_text())
        yield _gradients(name, method, recorded, norms)


def _preparation(case: str, data: dict[str, Tensor], settings: dict) -> Iterator[Row]:
    """Photographs and cameras as the network gets them, and their common frame."""
    errors: dict[str, list[float]] = {"image": [], "fxfycxcy": [], "c2w": []}
    for scene in range(len(data["raw_images"])):
        views = _raw_views(data, scene)
        ready = squares(views, settings["image_size"], settings["patch_size"], settings["square_crop"])
        frame = common_frame(ready.cameras, 1.0)
        found = {
            "image": ready.images().permute(0, 3, 1, 2),
            "fxfycxcy": ready.cameras.intrinsics,
            "c2w": ready.cameras.moved(frame).camera_to_world,
        }
        for name, value in found.items():
            expected = data[name][scene]
            errors[name].append(error(value, expected[:, :3] if name == "c2w" else expected))
    for name, tolerance in (("image", 0.0), ("fxfycxcy", 1e-5), ("c2w", 2e-6)):
        yield Row(f"{case}: preparation", name, max(errors[name]), tolerance)


def _raw_views(data: dict[str, Tensor], scene: int) -> Views:
    images, intrinsics = data["raw_images"][scene], data["raw_fxfycxcy"][scene]
    poses = invert(data["raw_w2c"][scene][:, :3].double()).float()
    height, width = images.shape[1:3]
    cameras = Cameras.pinhole(poses, intrinsics.float(), width, height)
    return Views.from_tensors(cameras, images.float() / 255)


def _posed(recorded: dict[str, Tensor], part: str) -> Posed:
    height, width = recorded[f"{part}_image"].shape[-2:]
    pairs = zip(recorded[f"{part}_c2w"], recorded[f"{part}_fxfycxcy"], strict=True)
    cameras = [Cameras.pinhole(pose, intrinsics, width, height) for pose, intrinsics in pairs]
    images = recorded["input_image"] if part == "input" else None
    return Posed.of(cameras, torch.device("cpu"), images)


@torch.no_grad()
def _network(name: str, method: LVSM, recorded: dict[str, Tensor], settings: dict) -> Iterator[Row]:
    inputs, targets, network = _posed(recorded, "input"), _posed(recorded, "target"), method.network
    yield Row(name, "input_plucker", error(inputs.rays, recorded["input_plucker"]), 0.0)
    yield Row(name, "target_plucker", error(targets.rays, recorded["target_plucker"]), 0.0)
    tokens = network.input_tokens(inputs).view_as(recorded["input_tokens"])
    yield Row(name, "input_tokens", error(tokens, recorded["input_tokens"]), 5e-6)
    yield Row(name, "target_tokens", error(network.target_tokens(targets), recorded["target_tokens"]), 5e-6)
    activations: list[Tensor] = []

    def keep(block: torch.nn.Module, arguments: tuple, output: tuple) -> None:
        activations.append(output[0][0])

    hooks = [block.register_forward_hook(keep) for block in network.blocks()]
    found = network(inputs, targets)
    for hook in hooks:
        hook.remove()
    names = [key for key in recorded if key.startswith("act_")]
    worst = max(error(a, recorded[key]) for a, key in zip(activations, names, strict=True))
    yield Row(name, f"{len(names)} blocks", worst, 2e-5)
    yield Row(name, "render", error(found, recorded["render"]), 5e-6)
    yield from _video(name, method, inputs, recorded, settings)


def _video(
    name: str, method: LVSM, inputs: Posed, recorded: dict[str, Tensor], settings: dict
) -> Iterator[Row]:
    """The way between the inputs, and what is seen along it."""
    video = settings["video"]
    for scene, cameras in enumerate(inputs.cameras):
        path = straight(
            cameras,
            video["num_frames"] * (len(cameras) - 1 + int(video["loop_video"])),
            loop=video["loop_video"],
        )
        poses, intrinsics = recorded["trajectory_c2w"][scene], recorded["trajectory_fxfycxcy"][scene]
        yield Row(name, "trajectory_c2w", error(path.camera_to_world, poses[:, :3]), 1e-6)
        yield Row(name, "trajectory_fxfycxcy", error(path.intrinsics, intrinsics), 1e-5)
        assert inputs.images is not None
        one = Posed([cameras], inputs.rays[scene : scene + 1], inputs.images[scene : scene + 1])
        frames = method.network(one, Posed.of([path], torch.device("cpu")))
        yield Row(name, "video", error(frames[0], recorded["video"][scene]), 5e-6)


def _gradients(name: str, method: LVSM, recorded: dict[str, Tensor], norms: dict[str, float]) -> Row:
    """Relative error of the norm of every parameter's gradient of the squared error."""
    network = method.network
    found = network(_posed(recorded, "input"), _posed(recorded, "target"))
    (found - recorded["target_image"]).square().mean().backward()
    parameters = dict(network.named_parameters())
    worst = max(
        abs(float(parameters[key].grad.norm()) / norm - 1) if norm else float(parameters[key].grad.norm())
        for key, norm in norms.items()
    )
    return Row(name, f"{len(norms)} gradient norms (relative)", worst, NORM_TOLERANCE)


def stand_in_weights() -> dict[str, Tensor]:
    """The recorded losses' replacement for VGG-19's weights, under torchvision's names."""
    found = {}
    names = [name for name in PerceptualLoss().state_dict() if name.endswith(".weight")]
    for i, name in enumerate(names):
        shape = PerceptualLoss().state_dict()[name].shape
        kernel = np.random.RandomState(1000 + i).standard_normal(tuple(shape)) * (2 / (9 * shape[1])) ** 0.5
        bias = np.random.RandomState(2000 + i).standard_normal(shape[0]) * 0.1
        found[name] = torch.from_numpy(kernel.astype(np.float32))
        found[name.replace("weight", "bias")] = torch.from_numpy(bias.astype(np.float32))
    return found


def _losses(folder: Path) -> Iterator[Row]:
    recorded = arrays(folder / "loss_metrics.npz")
    loss = PerceptualLoss()
    loss.load_state_dict(stand_in_weights())
    for case in sorted({name.split("_")[0] for name in recorded}):
        want = {name.removeprefix(f"{case}_"): value for name, value in recorded.items()}
        name = f"losses and metrics {case}"
        found = want["pred"].flatten(0, 1).clone().requires_grad_()
        truth = want["target"].flatten(0, 1)
        raw = torch.stack(loss.errors(found, truth)).detach()
        yield Row(name, "perceptual terms (relative)", error(raw / want["raw_errors"], torch.ones(6)), 2e-6)
        mse, perceptual = (found - truth).square().mean(), loss(found, truth)
        total = mse + 0.5 * perceptual
        for key, value in (("mse", mse), ("perceptual", perceptual), ("loss", total)):
            yield Row(name, key, error(value.detach(), want[key]), 2e-6)
        total.backward()
        assert found.grad is not None
        norm, expected = float(found.grad.norm()), float(want["grad_pred"].norm())
        yield Row(name, "norm of the gradient (relative)", abs(norm / expected - 1), 5e-3)
        pairs = list(zip(found.detach().movedim(1, -1), truth.movedim(1, -1), strict=True))
        scores = torch.tensor([psnr(a, b) for a, b in pairs])
        yield Row(name, "PSNR", error(scores, want["metric_psnr"]), 1e-4)
        scores = torch.tensor([ssim(a, b, "gaussian11_valid") for a, b in pairs])
        yield Row(name, "SSIM", error(scores, want["metric_ssim"]), 1e-5)


def page(folder: Path) -> str:
    """The table of a folder."""
    return (
        "# LVSM against the authors' code\n\n"
        "Same weights and photographs; float32 on a CPU. Gradients of the loss differ where a feature lies on the kink of a "
        "ReLU. Made by `benchmarks/lvsm_parity.py`.\n\n"
        f"{table(rows(folder))}\n"
    )


if __name__ == "__main__":
    command(__doc__, RESULT, page)
