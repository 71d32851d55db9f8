"""Training: one loop for all methods, its checkpoints and its run folders."""

from novelview.training.distil import distil
from novelview.training.engine import Evaluate, Rhythm, leave_processes, make_accelerator, train
from novelview.training.folder import RunInfo, open_run
from novelview.training.interrupts import Interrupted, resume_command
from novelview.training.run import check_scene, fit, load_method

__all__ = [
    "Evaluate",
    "Interrupted",
    "Rhythm",
    "RunInfo",
    "check_scene",
    "distil",
    "fit",
    "leave_processes",
    "load_method",
    "make_accelerator",
    "open_run",
    "resume_command",
    "train",
]
