"""How far ViewDiff here is from the authors' code: the largest error of every recorded quantity.

    python benchmarks/viewdiff_parity.py FIXTURES [--write]

FIXTURES is the folder with ``meta.json`` and the recorded tensors; ``--write`` keeps the table in
``benchmarks/results/viewdiff_parity.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file
from torch import Tensor

from novelview.methods.viewdiff.attention import FrameAttention, TextAttention
from novelview.methods.viewdiff.checkpoint import official_config
from novelview.methods.viewdiff.conditions import Conditions, camera_vectors
from novelview.methods.viewdiff.config import AttentionConfig
from novelview.methods.viewdiff.denoiser import Scenery, predict
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.layer import ProjectionLayer, Rendered
from novelview.methods.viewdiff.sampling import denoise, make_scheduler
from novelview.methods.viewdiff.spherical import azimuths_between, sphere_poses
from parity import Row, command, error, table

RESULT = Path(__file__).parent / "results" / "viewdiff_parity.md"


def rows(folder: Path) -> list[Row]:
    """Errors of every recorded quantity in ``folder``."""
    with torch.no_grad():
        return [
            *_cameras(folder),
            *_attention(folder),
            *_projection(folder),
            *_unet(folder),
            *_sampling(folder),
        ]


def _read(folder: Path, name: str) -> dict[str, Tensor]:
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in load_file(folder / f"{name}.safetensors").items()
    }


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def _group(tensors: dict[str, Tensor]) -> GroupCameras:
    return GroupCameras(tensors["pose"], tensors["K"], 256, 256, tensors["bbox"])


def _cameras(folder: Path) -> Iterator[Row]:
    known, sphere = _read(folder, "cameras"), _json(folder, "meta")["cameras"]["sphere"]
    for name, relative in (("pose_cond_absolute", False), ("pose_cond_relative_first", True)):
        found = camera_vectors(_group(known), known["intensity_stats"], relative=relative)
        yield Row("cameras", name, error(found, known[name]), 1e-6)
    azimuths = azimuths_between(sphere["start_phi"], sphere["end_phi"], sphere["n"])
    found = sphere_poses(azimuths, sphere["theta"], sphere["radius"])
    yield Row("cameras", "sphere_poses", error(found, known["sphere_poses"]), 1e-6)


def _attention(folder: Path) -> Iterator[Row]:
    facts, weights = _json(folder, "meta")["attention"], _read(folder, "attention_weights")
    known = _read(folder, "attention")
    config = AttentionConfig(
        rank=facts["rank"], time_features=facts["temb_out"], itself=facts["with_self_attention"]
    )
    side = round(facts["seq"] ** 0.5)
    frames = torch.zeros(facts["batch"], facts["n_frames"], dtype=torch.long)
    cameras = _group(_read(folder, "cameras"))
    told = Conditions(cameras, known["cfa_pose_cond"], known["cfa_temb"], frames, side, side)
    heads, width = facts["heads"], facts["channels"] // facts["heads"]
    joint = Attention(facts["channels"], heads=heads, dim_head=width)
    joint.set_processor(FrameAttention(joint, facts["temb_dim"], config))
    text = Attention(facts["channels"], cross_attention_dim=facts["context_dim"], heads=heads, dim_head=width)
    text.set_processor(TextAttention(text, config))
    for module, prefix in ((joint, "cfa."), (text, "ca.")):
        module.load_state_dict(
            {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        )
    blind = replace(told, vectors=None)
    cases = {
        "cfa_out": joint(known["cfa_in"], conditions=told),
        "cfa_out_without_pose": joint(known["cfa_in"], conditions=blind),
        "ca_out": text(known["cfa_in"], known["ca_context"], conditions=told),
    }
    for name, found in cases.items():
        yield Row("attention", name, error(found, known[name]), 1e-6)


def _projection(folder: Path) -> Iterator[Row]:
    for case in ("proj_train", "proj_nobg"):
        facts, given = _json(folder, f"{case}_config"), _read(folder, f"{case}_inputs")
        known = _read(folder, f"{case}_outputs")
        config = ProjectionConfig(
            latent=facts["dim_3d_latent"],
            layers=facts["num_3d_layers"],
            compress=facts["proj_in_mode"],
            expand=facts["proj_out_mode"],
            aggregator=facts["aggregator_mode"],
            time=facts["use_temb"],
            background=facts["vol_rend_model_background"],
            samples=facts.get("vol_rend_num_samples_per_ray", 128),
            official_axes=True,
            official_contraction=True,
        )
        layer = ProjectionLayer(
            facts["latent_channels"], given["temb"].shape[-1], facts["dim_3d_grid"], config
        )
        layer.load_state_dict(_read(folder, f"{case}_weights"))
        for left_out in facts["n_novel"]:
            found = layer(given["latents"], _group(given), given["timestep"], given["temb"], left_out)
            for name, value, tolerance in (
                ("out", found.features, 1e-5),
                ("mask", found.opacity[:, :, None], 1e-6),
                ("depth", found.depth[:, :, None], 1e-4),
            ):
                name = f"{name}_novel{left_out}"
                yield Row(case, name, error(value, known[name]), tolerance)


def _network(folder: Path) -> Network:
    """The tiny U-Net with the recorded weights, all switches as in the authors' code."""
    config = official_config(_json(folder, "unet_config"), {}, folder)
    network = Network(replace(config, base="")).eval()
    network.unet.load_state_dict(_read(folder, "unet_weights"))
    return network


def _scenery(folder: Path, left_out: int = 0) -> Scenery:
    known = _read(folder, "cameras")
    cameras = _group(known)
    vectors = camera_vectors(cameras, known["intensity_stats"])
    given = torch.zeros(len(cameras), cameras.frames, dtype=torch.bool)
    return Scenery(cameras, vectors, given, left_out=left_out)


def _unet(folder: Path) -> Iterator[Row]:
    network, known = _network(folder), _read(folder, "unet_io")
    views = known["sample"][None]
    frames = views.shape[1]
    mixed = known["timesteps_mixed"].tolist()
    rendered: list[Rendered] = []
    for module in network.unet.modules():
        if isinstance(module, ProjectionLayer):
            module.register_forward_hook(lambda _layer, _given, made: rendered.append(made))
    for name, timesteps, left_out in (
        ("out_t501", [501] * frames, 0),
        ("out_t501_known1", [0] + [501] * (frames - 1), 0),
        ("out_t37_novel1", [37] * frames, 1),
        ("out_mixed_novel1", mixed, 1),
    ):
        scenery = _scenery(folder, left_out)
        text = known["encoder_hidden_states"]
        found = predict(network.unet, views, torch.tensor([timesteps]), text, scenery)
        yield Row("U-Net", name, error(found[0], known[name]), 1e-5)
        if name == "out_t501":
            for i, made in enumerate(rendered):
                mask, depth = made.opacity[:, :, None], made.depth[:, :, None]
                yield Row("U-Net", f"mask_t501_layer{i}", error(mask, known[f"mask_t501_layer{i}"]), 1e-5)
                yield Row("U-Net", f"depth_t501_layer{i}", error(depth, known[f"depth_t501_layer{i}"]), 1e-4)


def _sampling(folder: Path) -> Iterator[Row]:
    facts, known = _json(folder, "sampling"), _read(folder, "sampling")
    network, start = _network(folder), known["initial_latents"]
    scheduler = _Recording(make_scheduler("unipc", network.config.noise))
    found = denoise(
        network.unet,
        scheduler,
        start,
        start[: facts["n_known"]],
        (known["prompt_embeds"], known["negative_prompt_embeds"]),
        _scenery(folder),
        steps=facts["steps"],
        guidance=facts["guidance"],
        overwrite=True,
    )
    yield Row("sampling", "timesteps", error(scheduler.timesteps.float(), known["timesteps"].float()), 0)
    yield Row("sampling", "trajectory", error(torch.stack(scheduler.samples), known["trajectory"]), 1e-3)
    yield Row("sampling", "final", error(found, known["final"]), 1e-3)


class _Recording:
    """A scheduler that keeps its samples."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.samples: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)

    def step(self, *arguments: Any, **options: Any) -> Any:
        stepped = self._scheduler.step(*arguments, **options)
        self.samples.append(stepped.prev_sample)
        return stepped


def page(folder: Path) -> str:
    """The table with a heading."""
    return (
        "# ViewDiff: agreement with the authors' code\n\nMade by `benchmarks/viewdiff_parity.py` from recorded inputs, "
        "random weights and outputs of the authors' modules; float32 on a CPU. Latents of sampling are as large as 104.\n\n"
        f"{table(rows(folder))}\n"
    )


if __name__ == "__main__":
    command(__doc__, RESULT, page)
