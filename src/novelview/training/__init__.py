"""Training: one loop for all methods, its checkpoints and its run folders."""

from novelview.training.engine import Evaluate, Rhythm, make_accelerator, train
from novelview.training.fit import check_scene, fit
from novelview.training.interrupts import Interrupted, resume_command
from novelview.training.run import RunInfo, load_method, open_run

__all__ = [
    "Evaluate",
    "Interrupted",
    "Rhythm",
    "RunInfo",
    "check_scene",
    "fit",
    "load_method",
    "make_accelerator",
    "open_run",
    "resume_command",
    "train",
]
