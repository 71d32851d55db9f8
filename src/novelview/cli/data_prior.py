"""``novelview data prior``: pictures of a text-to-image model, learnt besides views so that it is not forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from novelview.cli.options import Positional, parse
from novelview.data.captions import read_captions
from novelview.errors import ConfigError
from novelview.files import require_new
from novelview.methods.viewdiff.config import STABLE_DIFFUSION
from novelview.random import generator_for


@dataclass(frozen=True)
class Prior:
    """Paint captions with a text-to-image model. Pictures that are there already stay, so a stopped command goes on."""

    out: Positional[Path]
    """Folder to write: pictures, and prior.json with their captions."""
    captions: Path
    """JSON file: category -> sequence -> list of captions, as for `novelview data prepare`."""
    base: str = STABLE_DIFFUSION
    """Stable Diffusion in diffusers' layout: a folder, or a hub id."""
    sequences: int = 300
    """Most sequences of each category."""
    each_sequence: int = 2
    """Captions that are taken of each sequence."""
    each_caption: int = 2
    """Pictures of each caption."""
    size: int = 256
    """Width and height of the pictures that are kept, pixels."""
    side: int = 512
    """Width and height that the model paints, pixels."""
    seed: int = 0
    """Determines every picture."""
    device: str | None = None
    """cpu or cuda. Default: cuda where there is one."""


def run_prior(words: Sequence[str]) -> int:
    """Parse and run ``novelview data prior``."""
    # diffusers takes seconds to import.
    from novelview.methods.viewdiff.prior import base_painter, write_prior

    options = parse(Prior, words, "data prior")
    numbers = (options.sequences, options.each_sequence, options.each_caption, options.size, options.side)
    if min(numbers) < 1:
        raise ConfigError("Numbers of sequences, captions, pictures and pixels begin at 1")
    require_new(options.out, overwrite=True)
    captions = [
        caption
        for sequences in read_captions(options.captions).values()
        for several in list(sequences.values())[: options.sequences]
        for caption in several[: options.each_sequence]
    ]
    if not captions:
        raise ConfigError("There are no captions to paint", cure="name a file with some in --captions")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    new = write_prior(
        options.out,
        captions,
        base_painter(options.base, device, side=options.side),
        lambda i: generator_for(options.seed, "prior", i),
        each=options.each_caption,
        size=options.size,
        settings={name: getattr(options, name) for name in ("base", "size", "side", "seed")},
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{options.out}: {len(captions) * options.each_caption} pictures, {new} of them new")
    console.print(f"  learn with them: --config.learn.prior {options.out}", markup=False)
    return 0
