"""What the verbs that score share: the perceptual metric's options, and tables of means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from novelview.errors import ConfigError
from novelview.evaluation.metrics import Scores
from novelview.nn.lpips import LPIPS

# Metric, its heading and its format.
_PRINTED = (
    ("psnr", "PSNR dB", ".2f"),
    ("ssim_gaussian11", "SSIM", ".4f"),
    ("ssim_gaussian11_valid", "SSIM valid", ".4f"),
    ("ssim_uniform7", "SSIM 7x7", ".4f"),
    ("lpips", "LPIPS", ".4f"),
)


@dataclass(frozen=True)
class LpipsOptions:
    """With which weights LPIPS is measured, if at all."""

    lpips: Literal["alex", "vgg"] | None = None
    """Also measure LPIPS with this trunk; needs both files below."""
    lpips_trunk: Path | None = None
    """ImageNet weights of the trunk (torchvision's alexnet or vgg16 state dict)."""
    lpips_linear: Path | None = None
    """LPIPS weights (alex.pth or vgg.pth of the LPIPS authors)."""

    def load(self) -> LPIPS | None:
        """The network, or None where it is not asked for; raises ``ConfigError`` where files are named without a trunk."""
        if self.lpips is None:
            if self.lpips_trunk or self.lpips_linear:
                raise ConfigError(
                    "LPIPS weights are given, but no trunk", cure="add --lpips alex or --lpips vgg"
                )
            return None
        return LPIPS.from_files(self.lpips, self.lpips_trunk, self.lpips_linear)


def print_scores(title: str, means: Mapping[str, Scores]) -> None:
    """Mean scores as a table, a named row each."""
    table = Table("", title=title)
    known = [each for each in _PRINTED if any(getattr(mean, each[0]) is not None for mean in means.values())]
    for _, heading, _ in known:
        table.add_column(heading, justify="right")
    for name, mean in means.items():
        table.add_row(name, *[format(getattr(mean, metric), style) for metric, _, style in known])
    Console(highlight=False).print(table)
