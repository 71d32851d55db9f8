"""How a method is distilled: it learns from another one, its teacher, before it learns from photographs."""

from __future__ import annotations

from dataclasses import dataclass, field

from novelview.errors import ConfigError
from novelview.methods.recipe import Recipe


@dataclass(frozen=True)
class Distillation:
    """Settings of a distillation; a method's presets may carry one each."""

    teacher: str | None = "grid"
    """Method that is trained first, as NAME or NAME:PRESET; run folder; or name of a method that comes with weights.
    None: learn from the photographs alone, by the student's recipe."""
    pseudo_views: int = 1000
    """How many pictures the teacher makes for the student."""
    zoom: tuple[float, float] | None = None
    """Range of the factor on focal lengths in these pictures. Default: what suits how the cameras stand."""
    ring_megabytes: int = 512
    """Most disk space for these pictures; if they need more they take turns."""
    finetune: Recipe = field(default_factory=lambda: Recipe(steps=600))
    """How the student then learns from the photographs."""
    check_every: int = 100
    """Steps of this between two looks at the validation views."""
    patience: int = 3
    """When so many looks in a row show nothing better, the best one says how long to learn from all photographs."""
    validation_every: int = 8
    """Every so many training views, one is for validation until that is known."""

    @property
    def longest_wait(self) -> int:
        """Steps without a better look after which fine-tuning ends."""
        return self.patience * self.check_every

    def __post_init__(self) -> None:
        for name in ("pseudo_views", "ring_megabytes", "check_every", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"Bad {name} {getattr(self, name)}", cure="give at least 1")
        if self.validation_every < 2:
            raise ConfigError(f"Bad validation_every {self.validation_every}", cure="give at least 2")
        if self.zoom is not None and not 0 < self.zoom[0] <= self.zoom[1]:
            raise ConfigError(f"Bad zoom {self.zoom}", cure="give two factors 0 < lowest <= highest")
