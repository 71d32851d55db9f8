"""Checkpoints of the authors' models, of one object and of families of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from novelview.errors import CheckpointError
from novelview.methods.dvr.config import DecoderConfig, DVRConfig, LossConfig, SearchConfig
from novelview.methods.dvr.model import DVR
from novelview.methods.dvr.single import SingleConfig, SingleView
from novelview.methods.official import as_tensors, fill, held, matrix, read_file
from novelview.types import Bounds

DECODER, ENCODER = "DVR's decoder", "DVR's encoder"
# The object lies in the unit cube; the authors search rays that miss it too, as far as this.
UNIT = Bounds(
    near=0.1,
    far=3.0,
    box_min=(-0.5, -0.5, -0.5),
    box_max=(0.5, 0.5, 0.5),
    unbounded=False,
    background=(1.0, 1.0, 1.0),
)
# Nothing is skipped, which could lose what is thinner and steeper than all around it.
SEARCH = SearchConfig(beyond=(0.0, 2.4), keep_sign=False, render_samples=1024, skip_cells=0)
OFFICIAL = DVRConfig(search=SEARCH)
OFFICIAL_SINGLE = SingleConfig(batch_norm=True, unit_cube=True, search=SEARCH)


def load_official(path: Path, *, config: DVRConfig = OFFICIAL, bounds: Bounds = UNIT) -> DVR:
    """The surface that a checkpoint of the authors' multi-view training holds; nothing in the file is run.

    Args:
        path: file with the entry ``model``, or its state dict alone.
        config: how the surface is searched for; the network's size is read off the file.
        bounds: the object's cube in the scene at hand, which the file does not know.

    Raises:
        CheckpointError: the file cannot be read, asks for code to be run, or does not fit; also where it is of a model
            that sees an object in a photograph.
    """
    tensors = state_dict(path)
    decoder = part(tensors, "decoder.", path)
    if any(name.startswith("fc_c.") for name in decoder):
        raise CheckpointError(
            "This is not the checkpoint of one object",
            where=path,
            why="its network knows many shapes, by a code that is read off a photograph",
            cure="load it as dvr-single",
        )
    require_nothing_else(tensors, ("decoder.",), path)
    size = decoder_size(config.decoder, decoder, path)
    losses = config.losses if size.coloured else without_colours(config.losses)
    method = DVR(replace(config, form="decoder", decoder=size, losses=losses), bounds)
    fill(method.shape.get_submodule("decoder"), decoder, path, what=DECODER)
    return method.eval()


def load_official_single(path: Path, *, config: SingleConfig = OFFICIAL_SINGLE) -> SingleView:
    """The model of many shapes that a checkpoint of the authors' single-view training holds; nothing in it is run.

    Args:
        path: file with the entry ``model``, or its state dict alone.
        config: how surfaces are searched for; the sizes of decoder and code are read off the file.

    Raises:
        CheckpointError: the file cannot be read, asks for code to be run, or does not fit; also where it is of a model
            of one object.
    """
    tensors = state_dict(path)
    decoder = part(tensors, "decoder.", path)
    if not any(name.startswith("encoder.") for name in tensors):
        raise CheckpointError(
            "This checkpoint cannot look at photographs",
            where=path,
            why="it has no encoder: it is of one object that was learnt from many views",
            cure="load it as dvr",
        )
    require_nothing_else(tensors, ("decoder.", "encoder."), path)
    encoder = part(tensors, "encoder.", path)
    size = decoder_size(config.decoder, decoder, path)
    losses = config.losses if size.coloured else without_colours(config.losses)
    code = matrix(encoder, "fc.weight", path, what=ENCODER).shape[0]
    method = SingleView(replace(config, decoder=size, code=code, batch_norm=True, losses=losses))
    fill(method.decoder, decoder, path, what=DECODER)
    fill(method.encoder, encoder, path, what=ENCODER)
    return method.eval()


def state_dict(path: Path) -> dict[str, Tensor]:
    """All weights of a file, whether or not anything stands beside them.

    Raises:
        CheckpointError: it cannot be read, asks for code to be run, or holds no weights.
    """
    content = read_file(path)
    weights = content.get("model", content) if isinstance(content, dict) else content
    return as_tensors(weights, path, what="checkpoint of DVR")


def part(tensors: dict[str, Tensor], prefix: str, path: Path) -> dict[str, Tensor]:
    """What a state dict holds under a prefix, without it.

    Raises:
        CheckpointError: nothing.
    """
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not found:
        raise CheckpointError(
            "This is not a checkpoint of DVR",
            where=path,
            why=f"it has no {prefix.rstrip('.')}; it holds {held(tensors)}",
        )
    return found


def require_nothing_else(tensors: dict[str, Tensor], prefixes: tuple[str, ...], path: Path) -> None:
    """Refuse weights that belong to none of the parts.

    Raises:
        CheckpointError: names them.
    """
    others = {name: value for name, value in tensors.items() if not name.startswith(prefixes)}
    if others:
        raise CheckpointError(
            "This checkpoint has weights that DVR has no use for", where=path, why=held(others)
        )


def decoder_size(size: DecoderConfig, tensors: dict[str, Tensor], path: Path) -> DecoderConfig:
    """Width, blocks and channels as the shapes of the weights have them."""
    width = matrix(tensors, "fc_p.weight", path, what=DECODER).shape[0]
    channels = matrix(tensors, "fc_out.weight", path, what=DECODER).shape[0]
    blocks = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    return replace(size, width=width, blocks=max(1, blocks), coloured=channels == 4)


def without_colours(losses: LossConfig) -> LossConfig:
    """The losses of a network that knows the shape alone."""
    return replace(losses, colour=0.0, change=0.0)
