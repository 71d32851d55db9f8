"""Options in sections: each form refuses what it would not read, and what it reads survives the trip through JSON."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from official_files import changed

from novelview.config import from_json, to_json
from novelview.errors import ConfigError
from novelview.methods.r2l.config import READS, Form, HardConfig, R2LConfig
from novelview.methods.r2l.presets import PRESETS
from novelview.volumes.config import VolumeConfig

CHANGES: dict[str, tuple[dict[str, Any], set[Form]]] = {
    "network.width": ({"network": {"width": 32}}, {"plain", "grid", "bundle"}),
    "network.blocks": ({"network": {"blocks": 2}}, {"plain", "grid"}),
    "network.activation": ({"network": {"activation": "lrelu"}}, {"plain", "grid"}),
    "points.samples": ({"points": {"samples": 4}}, {"plain", "bundle"}),
    "points.far": ({"points": {"far": 4.0}}, {"plain", "bundle"}),
    "points.plucker": ({"points": {"plucker": True}}, {"plain"}),
    "lifted.volume": ({"lifted": {"volume": VolumeConfig(samples=4)}}, {"grid"}),
    "lifted.features": ({"lifted": {"features": 4}}, {"grid"}),
    "bundle.tile": ({"bundle": {"tile": 16}}, {"bundle"}),
}


@pytest.mark.parametrize("form", list(READS))
@pytest.mark.parametrize("name", list(CHANGES))
def test_an_option_that_a_form_does_not_read_is_refused(form: Form, name: str) -> None:
    (change, forms), base = CHANGES[name], R2LConfig(form=form, hard=HardConfig(share=0.0))
    if form in forms:
        assert from_json(R2LConfig, to_json(changed(base, **change))) == changed(base, **change)
        return
    with pytest.raises(ConfigError, match=f"{form} does not read {name}") as caught:
        changed(base, **change)
    assert all(other in str(caught.value.cure) for other in forms)


def test_what_is_said_to_be_read_exists() -> None:
    config = R2LConfig()
    sections = {f.name: getattr(config, f.name) for f in fields(config)}
    known = {name for name, value in sections.items() if is_dataclass(value)}
    known |= {f"{name}.{option.name}" for name in known for option in fields(sections[name])}
    assert set().union(*READS.values()) <= known


def test_the_form_of_a_preset_cannot_be_changed_alone() -> None:
    """Its options would have no effect."""
    with pytest.raises(ConfigError, match=r"lifted\.volume"):
        replace(PRESETS["grid"].config, form="plain")
