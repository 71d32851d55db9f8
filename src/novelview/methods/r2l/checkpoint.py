"""Checkpoints of the authors' code: the network is pickled whole in them, and is rebuilt from what was saved of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from novelview.config import from_json, to_json
from novelview.errors import CheckpointError, ConfigError
from novelview.methods.official import SYNTHETIC, as_tensors, fill, held, matrix, read_file
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.model import R2L
from novelview.methods.r2l.plain import PlainStudent, input_width
from novelview.nn.encodings import frequency_width
from novelview.safe_pickle import StandIn
from novelview.types import Bounds

WEIGHTS, NETWORK = "network_fn_state_dict", "network_fn"
WHAT = "an R2L"
ONLY = "give a checkpoint of the authors' own student; linear tails and other inputs are not known"

# Classes of what is saved beside the weights: the network, its parts and the options of the command line.
STAND_INS = (
    "model.nerf_raybased.NeRF_v3_2",
    "model.nerf_raybased.ResMLP",
    "smilelogging.slutils.EmptyClass",
    "utils.EmptyClass",
    "argparse.Namespace",
    "torch.nn.modules.linear.Linear",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.activation.LeakyReLU",
    "torch.nn.modules.activation.Sigmoid",
    "torch.nn.modules.container.Sequential",
)

# The authors' rays pass through the corner of each pixel.
OFFICIAL = R2LConfig(pixel_centre=0.0)
OCTAVES = 10
# Options of the authors' program and of its "trial", by their names there and here.
OPTIONS = {
    "use_residual": "network.global_residual",
    "act": "network.activation",
    "n_sample_per_ray": "points.samples",
    "multires": "points.octaves",
    "plucker": "points.plucker",
    "hard_mul": "hard.capacity",
}
TRIAL = {
    "res_scale": "network.residual_scale",
    "inact": "network.inner_activation",
    "outact": "network.outer_activation",
}


def load_official(path: Path, *, config: R2LConfig = OFFICIAL, bounds: Bounds = SYNTHETIC) -> R2L:
    """An R2L out of a checkpoint of the authors' code; nothing in it is run.

    Args:
        path: a file that holds ``network_fn_state_dict``. Where it holds ``network_fn`` too, as the authors' do, the
            options are read off that; otherwise the shapes of the weights decide, and the published defaults.
        config: what neither says.
        bounds: extent of the scene, in the frame that the checkpoint was trained in.

    Raises:
        CheckpointError: the file cannot be read, asks for code to be run, or its tensors do not fit together.
    """
    content = read_file(path, STAND_INS)
    weights = content.get(WEIGHTS) if isinstance(content, dict) else None
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(
            "This is not an R2L checkpoint",
            where=path,
            why=f"it has no tensors under {WEIGHTS!r}; it holds {held(content)}",
            cure=ONLY,
        )
    tensors = as_tensors(weights, path, what="checkpoint of R2L")
    width = matrix(tensors, "head.0.weight", path, what=WHAT).shape[1]
    options = _options(content.get(NETWORK), path)
    found = {
        **_shape(tensors, path),
        **({} if "points.samples" in options else _input(width, path)),
        **options,
    }
    try:
        config = _changed(config, found, path)
        if input_width(config.points) != width:
            why = (
                f"its first layer takes {width} values, and its options ask for {input_width(config.points)}"
            )
            raise CheckpointError("This R2L checkpoint contradicts itself", where=path, why=why)
        method = R2L(config, bounds)
    except ConfigError as error:
        raise CheckpointError("This is not an R2L checkpoint", where=path, why=error.what) from None
    assert isinstance(method.student, PlainStudent)
    fill(method.student.network, tensors, path, what=WHAT, cure=ONLY)
    return method.eval()


def _changed(config: R2LConfig, found: Mapping[str, Any], path: Path) -> R2LConfig:
    """The configuration with what a file says of it, by section and option."""
    values = to_json(config)
    for name, value in found.items():
        section, option = name.split(".")
        values[section][option] = value
    return from_json(R2LConfig, values, where=path)


def _shape(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Widths, depth and kind of the body from names and shapes of the weights."""
    width = matrix(tensors, "head.0.weight", path, what=WHAT).shape[0]
    places = [found for name in tensors if (found := re.fullmatch(r"body\.(\d+)\.body\.(\d+)\.weight", name))]
    if places:
        # Counted, not read off the largest number: fill() names what is missing between.
        blocks = len({place[1] for place in places})
        layers = {place[2] for place in places if place[1] == "0"}
        return {
            "network.width": width,
            "network.depth": 2 + 2 * blocks,
            "network.block_layers": max(1, len(layers)),
            "network.inner_activation": "none" if "1" in layers else "relu",
        }
    numbers = sorted(int(name.split(".")[1]) for name in tensors if re.fullmatch(r"body\.\d+\.weight", name))
    widths = [width, *(matrix(tensors, f"body.{i}.weight", path, what=WHAT).shape[0] for i in numbers)]
    even = len(set(widths)) == 1
    return {
        "network.width": width,
        "network.depth": 1 + len(widths),
        "network.body": "plain",
        "network.layer_widths": () if even else tuple(widths),
        "network.global_residual": widths[0] == widths[-1],
    }


def _options(network: Any, path: Path) -> dict[str, Any]:
    """What the pickled network was told on the command line; nothing where there is none."""
    arguments = _state(_state(network).get("args"))
    trial = _state(arguments.get("trial"))
    if arguments.get("linear_tail") is True:
        raise CheckpointError(
            "This R2L has a linear tail", where=path, why="the authors' code for these is broken", cure=ONLY
        )
    found = {ours: arguments[theirs] for theirs, ours in OPTIONS.items() if theirs in arguments}
    found |= {ours: trial[theirs] for theirs, ours in TRIAL.items() if theirs in trial}
    # Forward-facing scenes are looked at from the camera to the near plane of NDC, unless told otherwise.
    if arguments.get("dataset_type") == "llff" and arguments.get("no_ndc") is not True:
        found |= {"points.near": 0.0, "points.far": 1.0}
    given = {name: value for name, value in trial.items() if isinstance(value, (int, float)) and value != -1}
    found |= {f"points.{name}": given[name] for name in ("near", "far") if name in given}
    return {**found, **_hard(arguments.get("hard_ratio"))}


def _state(value: Any) -> Mapping[Any, Any]:
    """What was saved of an object."""
    return value.state if isinstance(value, StandIn) else {}


def _hard(ratio: Any) -> dict[str, Any]:
    """Shares of hard rays: one number, or how many enter the pool and how many leave it."""
    if isinstance(ratio, str):
        try:
            ratio = [float(part) for part in ratio.split(",") if part]
        except ValueError:
            return {"hard.share": ratio}
    if isinstance(ratio, (list, tuple)) and len(ratio) == 2:
        return {"hard.kept": ratio[0], "hard.share": ratio[1]}
    if isinstance(ratio, (list, tuple)):
        ratio = ratio[0] if ratio else 0.0
    return {} if ratio is None else {"hard.share": ratio}


def _input(width: int, path: Path) -> dict[str, Any]:
    """What an input of ``width`` values is made of, by the published encoding."""
    if width == frequency_width(6, OCTAVES):
        return {"points.plucker": True, "points.octaves": OCTAVES}
    samples, rest = divmod(width, frequency_width(3, OCTAVES))
    if rest or not samples:
        raise CheckpointError(
            "This is not an R2L checkpoint",
            where=path,
            why=f"its first layer takes {width} values, and no number of encoded points gives as many",
            cure=ONLY,
        )
    return {"points.samples": samples, "points.octaves": OCTAVES}
