"""``novelview doctor``: versions, device, and what is missing for which feature."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import tyro
from rich.console import Console
from rich.table import Table

from novelview import __version__
from novelview.allocator import tune_allocator

FEATURES = (
    ("diffusers", "generate", 'pip install "novelview[diffusion]"'),
    ("transformers", "prompts of Stable Diffusion", 'pip install "novelview[diffusion]"'),
    ("numba", "the grid in compiled loops on a CPU", 'pip install "novelview[fast]"'),
    ("tensorboard", "train --tensorboard", 'pip install "novelview[train]"'),
    ("onnxruntime", "export --to onnx and --to web", 'pip install "novelview[onnx]"'),
    ("xatlas", "export --to glb, ply and obj", 'pip install "novelview[mesh]"'),
    ("OpenEXR", "depth maps in EXR files", 'pip install "novelview[exr]"'),
    ("pycolmap", "own photographs without poses", "pip install pycolmap"),
    ("triton", "fused kernels on an NVIDIA GPU", "comes with the CUDA build of torch"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        name: what was looked at.
        good: whether it is as it should be; None for what is merely absent.
        text: what was found, and the cure where there is one.
    """

    name: str
    good: bool | None
    text: str


@dataclass(frozen=True)
class Doctor:
    """Print versions and device, and say what is missing for which feature. Exit status 1 if something is broken."""


def run(arguments: Sequence[str]) -> int:
    """Parse and run the verb."""
    tyro.cli(Doctor, args=arguments, prog="novelview doctor", description=Doctor.__doc__)
    findings = diagnose()
    marks = {True: "[green]ok[/]", False: "[red]broken[/]", None: "[yellow]absent[/]"}
    table = Table("", "", "", show_header=False, box=None, pad_edge=False)
    for finding in findings:
        table.add_row(marks[finding.good], finding.name, finding.text)
    Console(highlight=False).print(table)
    return 1 if any(finding.good is False for finding in findings) else 0


def diagnose() -> list[Finding]:
    """Everything worth knowing about this installation."""
    return [
        Finding(
            "novelview", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
        ),
        Finding("torch", True, torch.__version__),
        _device(),
        _processor(),
        torchvision_state(),
        *[_feature(*feature) for feature in FEATURES],
        _video(),
        _allocator(),
    ]


def _device() -> Finding:
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("device", True, f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    if shutil.which("nvidia-smi"):
        return Finding(
            "device",
            False,
            "an NVIDIA driver is here, but this torch cannot use it: install the CUDA build of torch",
        )
    return Finding("device", True, "CPU (no CUDA device; everything works, slower)")


def _processor() -> Finding:
    return Finding("processor", True, f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")


def torchvision_state() -> Finding:
    """Whether an installed torchvision fits torch; a broken one takes other packages down with it."""
    if importlib.util.find_spec("torchvision") is None:
        return Finding("torchvision", True, "not installed (not needed)")
    version = importlib.metadata.version("torchvision")
    # In a process of its own: a failed import leaves half-registered operators behind.
    probe = subprocess.run(
        [sys.executable, "-c", "import torchvision; torchvision.ops.nms"], capture_output=True, text=True
    )
    if probe.returncode == 0:
        return Finding("torchvision", True, version)
    reason = (probe.stderr.strip().splitlines() or ["it does not import"])[-1]
    return Finding(
        "torchvision",
        False,
        f"{version} does not fit torch {torch.__version__} ({reason}); packages that look for it will fail: "
        "pip uninstall torchvision",
    )


def _feature(package: str, feature: str, cure: str) -> Finding:
    if importlib.util.find_spec(package) is None:
        return Finding(package, None, f"needed for: {feature}. {cure}")
    return Finding(package, True, f"{importlib.metadata.version(package)} ({feature})")


def _video() -> Finding:
    import av

    if "libx264" in av.codecs_available:
        return Finding("video", True, f"PyAV {av.__version__} with H.264")
    return Finding(
        "video", False, f"PyAV {av.__version__} has no H.264 encoder: pip install --force-reinstall av"
    )


def _allocator() -> Finding:
    if tune_allocator():
        return Finding("allocator", True, "freed buffers are kept for reuse")
    return Finding("allocator", None, "not glibc: large CPU tensors may be slower")
