"""Which student a configuration asks for."""

from __future__ import annotations

from novelview.errors import ConfigError
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.plain import PlainStudent
from novelview.methods.r2l.student import Student
from novelview.types import Bounds


def make_student(config: R2LConfig, bounds: Bounds) -> Student:
    """The student of ``config.form`` for a scene of that extent."""
    if config.form == "plain":
        return PlainStudent(config, bounds)
    raise ConfigError(f"There is no student of the form {config.form!r}", cure="choose one of: plain")
