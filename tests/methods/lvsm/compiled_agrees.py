"""Compiled blocks give what plain ones give; a program of its own, because compilers cannot look through type checks."""

from __future__ import annotations

from dataclasses import replace

import torch

from novelview.data.procedural import make_scene
from novelview.methods.lvsm import LVSM, METHOD
from novelview.methods.method import Method


def main() -> None:
    scene, config = make_scene("object", 1, views=5, size=16), METHOD.presets["tiny"].config
    frames = []
    for compiled in (False, True):
        torch.manual_seed(0)
        method: Method = LVSM(replace(config, compile=compiled)).eval()
        state = method.condition(scene.train, scene.bounds)
        frames.append(method.render(state, scene.test.cameras).rgb)
    torch.testing.assert_close(frames[1], frames[0], atol=1e-5, rtol=0)
    assert float(frames[0].std()) > 0
    print("agrees")


if __name__ == "__main__":
    main()
