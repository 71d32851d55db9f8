"""Scoring a generative method on photographs, with one that knows the truth and one that does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from novelview.cameras.studio_paths import Tripod, orbit
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError
from novelview.evaluation.evaluate_reconstruction import (
    ReconstructionPlan,
    evaluate_reconstruction,
    made_from,
)
from novelview.generation import Request, Studio, Watch
from novelview.geometry.rigid import Similarity
from novelview.types import Bounds, Frames
from painter import Painter, PainterConfig, painted

# The studio's world, three times as large and elsewhere.
ELSEWHERE = Similarity(3.0, torch.eye(3), torch.tensor([5.0, -2.0, 1.0]))
BOUNDS = Bounds(3.6, 9.6, (3.5, -3.5, -0.5), (6.5, -0.5, 2.5), unbounded=False, background=(1.0, 1.0, 1.0))


class Knowing(Painter):
    """Paints in the one colour that the subject has, whatever the seed, with an error that grows with ``off``."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__(PainterConfig(size=24))
        self.off = off
        self.asked: list[Request] = []

    def generate(self, request: Request, watch: Watch | None = None) -> Frames:
        self.asked.append(request)
        return Frames(painted("balls", 0, request.cameras).images() + self.off)


def photographs(width: int = 24, height: int = 24, count: int = 7) -> Scene:
    """Of the balls, in a world of their own."""
    views = painted("balls", 0, orbit(Tripod(2.2, 38.0, width, height), count, 20.0))
    views = views.with_cameras(views.cameras.moved(ELSEWHERE))
    return Scene("balls", views, views[[]], BOUNDS, origin={"made": "here"})


def score(method: Painter, scene: Scene, plan: ReconstructionPlan) -> dict[str, object]:
    report = evaluate_reconstruction(method, scene, plan, name="painter")
    return report.to_json()


def test_views_of_the_truth_are_perfect() -> None:
    plan = ReconstructionPlan(given=1, made=3, groups=2, samples=2, prompt="balls")
    report = evaluate_reconstruction(Knowing(), photographs(), plan, name="painter")
    # Cameras come back from the other world with rounding.
    assert report.whole.mean.psnr > 80
    assert report.masked is not None
    assert report.masked.mean.psnr > 80


def test_an_error_has_its_psnr() -> None:
    report = evaluate_reconstruction(
        Knowing(-0.1), photographs(), ReconstructionPlan(groups=3), name="painter"
    )
    assert report.whole.mean.psnr == pytest.approx(20, abs=0.3)
    assert report.whole.best.psnr == pytest.approx(report.whole.mean.psnr)


def test_what_is_given_is_not_what_is_made() -> None:
    method = Knowing()
    plan = ReconstructionPlan(given=2, made=3, groups=4, samples=2, prompt="two balls", seed=7)
    scene = photographs()
    report = evaluate_reconstruction(method, scene, plan, name="painter")
    assert len({each.given for each in report.groups}) > 1
    for group in report.groups:
        assert (len(group.given), len(group.made)) == (2, 3)
        assert not set(group.given) & set(group.made)
    assert len({request.seed for request in method.asked}) == 8
    assert {request.prompt for request in method.asked} == {"two balls"}
    first = method.asked[0].known
    assert first is not None
    chosen = [scene.train.names.index(name) for name in report.groups[0].given]
    torch.testing.assert_close(first.images(), scene.train[chosen].images())


def test_given_views_are_where_the_studio_has_them() -> None:
    method, views = Knowing(), photographs().train
    made_from(method, views[[0]], views[[1, 2]], BOUNDS, "", 0)
    (request,) = method.asked
    theirs = orbit(Tripod(2.2, 38.0, 24, 24), 7, 20.0)
    assert request.known is not None
    torch.testing.assert_close(request.known.cameras.camera_to_world, theirs[0].camera_to_world)
    torch.testing.assert_close(request.cameras.camera_to_world, theirs[[1, 2]].camera_to_world)


def test_photographs_become_middle_squares() -> None:
    report = evaluate_reconstruction(
        Knowing(), photographs(36, 24), ReconstructionPlan(groups=1), name="painter"
    )
    assert report.groups[0].picture.shape == (2, 5, 24, 24, 3)


def test_the_report_is_written(tmp_path: Path) -> None:
    plan = ReconstructionPlan(groups=1, samples=1)
    report = evaluate_reconstruction(Knowing(-0.2), photographs(), plan, name="painter")
    report.write(tmp_path / "new")
    found = json.loads((tmp_path / "new" / "report.json").read_text())
    assert found["plan"]["made"] == 4
    assert found["origin"] == {"made": "here"}
    assert found["whole"]["mean"]["psnr"] == pytest.approx(report.whole.mean.psnr)
    assert (tmp_path / "new" / "views.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["given", "made", "groups", "samples"])
def test_numbers_begin_at_one(name: str) -> None:
    with pytest.raises(ConfigError, match="begin at 1"):
        score(Knowing(), photographs(), ReconstructionPlan(**{name: 0}))


def test_captures_may_be_too_small() -> None:
    with pytest.raises(DataError, match="too few views"):
        score(Knowing(), photographs(count=4), ReconstructionPlan())


def test_colours_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        score(Knowing(float("nan")), photographs(), ReconstructionPlan(groups=1))


def test_pictures_have_to_be_square() -> None:
    class Wide(Knowing):
        def studio(self) -> Studio:
            return replace(super().studio(), width=48)

    with pytest.raises(ConfigError, match="square"):
        score(Wide(), photographs(), ReconstructionPlan())


def test_one_sample_is_its_own_mean_image() -> None:
    plan = ReconstructionPlan(groups=2, samples=1)
    report = evaluate_reconstruction(Knowing(-0.1), photographs(), plan, name="painter")
    merged = torch.tensor([report.whole.mean_image.psnr, report.whole.best.psnr])
    torch.testing.assert_close(merged, torch.full((2,), report.whole.mean.psnr))
