"""Which student a configuration asks for."""

from __future__ import annotations

from novelview.methods.r2l.bundle import BundleStudent
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.lifted import LiftedStudent
from novelview.methods.r2l.plain import PlainStudent
from novelview.methods.r2l.student import Student
from novelview.types import Bounds


def make_student(config: R2LConfig, bounds: Bounds) -> Student:
    """The student of ``config.form`` for a scene of that extent."""
    if config.form == "plain":
        return PlainStudent(config.network, config.points, bounds)
    if config.form == "grid":
        return LiftedStudent(config.network, config.lifted, bounds)
    return BundleStudent(config.network, config.points, config.bundle, bounds)
