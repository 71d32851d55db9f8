"""What a teacher sees from where no camera stood."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from novelview.cameras import Cameras
from novelview.cameras.envelope import Box
from novelview.data.open import open_scene
from novelview.data.samplers import TURN_SHARE, TURN_STEPS, RaySampler
from novelview.distillation.pseudo import envelope_of, picture_key, picture_ring, pseudo_views
from novelview.distillation.ring import Ring
from novelview.errors import CameraError, ConfigError, MethodError
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, Views

WIDTH, HEIGHT = 6, 4


class Teacher(Method):
    """Paints a pixel by where its camera stands; writes down what it rendered and whether two threads met."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(offset))
        self.rendered: Counter[float] = Counter()
        self.inside, self.met = 0, False

    def condition(self, views: Views, bounds: Bounds) -> float:
        return 0.1

    def render(self, state: Any, cameras: Cameras) -> Frames:
        self.inside += 1
        self.met |= self.inside > 1
        self.rendered.update(cameras.centres[:, 0].tolist())
        threading.Event().wait(0.001)
        self.inside -= 1
        return Frames(colours(cameras) + state + self.offset)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError


def colours(cameras: Cameras) -> Tensor:
    return torch.sin(7 * cameras.rays().directions + cameras.centres[:, None, None, :1])


def cameras(count: int) -> Cameras:
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, 0, 3] = torch.arange(count)
    return Cameras.pinhole(poses, torch.tensor([5.0, 5.0, 3.0, 2.0]), WIDTH, HEIGHT)


def ring(count: int, folder: Path | None = None) -> Ring:
    return Ring(folder, (WIDTH, HEIGHT), "key", shards=count, views=1)


def test_images_are_the_teachers_clamped_and_quantised() -> None:
    seen = cameras(5)
    views = pseudo_views(Teacher(), 0.1, seen, ring(5))
    assert views.names == (
        "pseudo_000000",
        "pseudo_000001",
        "pseudo_000002",
        "pseudo_000003",
        "pseudo_000004",
    )
    assert not views.has_masks
    expected = (colours(seen) + 0.1).clamp(0, 1)
    torch.testing.assert_close(views.images(), expected, rtol=0, atol=0.501 / 255)
    assert torch.equal((views.images() * 255).round() / 255, views.images())
    assert not views.images().requires_grad


def test_the_ring_gives_the_same_bits_without_rendering(tmp_path: Path) -> None:
    teacher, fresh = Teacher(), Teacher()
    stored = pseudo_views(teacher, 0.1, cameras(5), ring(5, tmp_path))
    images = stored.images()
    assert torch.equal(stored.images(), images)
    assert set(teacher.rendered.values()) == {1}
    reopened = pseudo_views(fresh, 0.1, cameras(5), ring(5, tmp_path))
    assert torch.equal(reopened.images(), images)
    assert not fresh.rendered
    assert torch.equal(pseudo_views(fresh, 0.1, cameras(5), ring(1)).images(), images)


def test_any_thread_may_ask_and_one_renders_at_a_time() -> None:
    teacher, told = Teacher(), list[int]()
    views = pseudo_views(teacher, 0.1, cameras(12), ring(12), told.append)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(views.image, [*range(12)] * 3))
    assert not teacher.met
    assert teacher.rendered == Counter(map(float, range(12)))
    assert sorted(told) == list(range(12))
    assert all(torch.equal(images[i], images[i % 12]) for i in range(36))


def test_subsets_know_their_cameras() -> None:
    views = pseudo_views(Teacher(), 0.1, cameras(6), ring(6))
    assert torch.equal(views[[4, 2]].image(0), views.image(4))


def test_what_cannot_be_learnt_from_is_refused() -> None:
    with pytest.raises(MethodError, match=r"pseudo view 1(.|\n)*not finite"):
        pseudo_views(Teacher(float("nan")), 0.1, cameras(2), ring(2)).image(1)
    with pytest.raises(ConfigError, match="does not fit the cameras"):
        pseudo_views(Teacher(), 0.1, cameras(2).resized(9, 9), ring(2))
    mixed = Cameras.concatenate([cameras(1), cameras(1).resized(9, 9)])
    with pytest.raises(CameraError, match="differ in image size"):
        pseudo_views(Teacher(), 0.1, mixed, ring(2))

    class Small(Teacher):
        def render(self, state: Any, cameras: Cameras) -> Frames:
            return super().render(state, cameras.resized(3, 3))

    with pytest.raises(MethodError, match="shape"):
        pseudo_views(Small(), 0.1, cameras(2), ring(2)).image(0)


def test_the_key_tells_teachers_cameras_and_facts_apart() -> None:
    teacher, seen = Teacher(), cameras(3)
    key = picture_key(teacher, seen, "a")
    assert picture_key(Teacher(), cameras(3), "a") == key
    moved = replace(seen, camera_to_world=seen.camera_to_world + 1e-6)
    others = {
        picture_key(Teacher(0.5), seen, "a"),
        picture_key(teacher, moved, "a"),
        picture_key(teacher, seen[[0, 2, 1]], "a"),
        picture_key(teacher, seen, "b"),
        picture_key(teacher.to(torch.float64), seen, "a"),
        key,
    }
    assert len(others) == 6


def test_a_ring_holds_all_pictures_where_it_may() -> None:
    seen = cameras(1000).resized(100, 80)
    everything = picture_ring(None, seen, "key")
    assert everything.capacity >= 1000
    assert everything.memory_bytes <= 1.2 * 1000 * 24_000
    few = picture_ring(None, seen, "key", most_bytes=10 * 24_000)
    assert 1 <= few.capacity < 10
    assert few.memory_bytes <= 10 * 24_000
    large = picture_ring(None, cameras(10_000).resized(400, 400), "key")
    assert large.memory_bytes <= 1 << 30
    assert large.capacity * 480_000 > 900 << 20
    with pytest.raises(ConfigError, match="at least 48000"):
        picture_ring(None, seen, "key", most_bytes=24_000)


def rounds(teacher: Teacher, views: Views, held: int, turns: int) -> None:
    """Go through the turns of a sampler that has room for ``held`` views."""
    sampler = RaySampler(views, 8, 0, memory=held * WIDTH * HEIGHT * 3)
    for turn in range(turns):
        batch = sampler.batch(turn * TURN_STEPS)
        seen = (views.images()[batch.view] * 255).round()
        assert bool((batch.rgb[:, None, None] * 255).round().eq(seen).all(-1).any(-1).any(-1).all())


def test_a_ring_of_all_views_renders_each_once_whatever_the_sampler_has_room_for() -> None:
    teacher = Teacher()
    views = pseudo_views(teacher, 0.1, cameras(40), picture_ring(None, cameras(40), "key"))
    rounds(teacher, views, TURN_SHARE, 90)
    assert teacher.rendered == Counter({float(i): 1 for i in range(40)})


# Not nearly all: threads that load the first views decide which of them are the oldest.
@pytest.mark.parametrize("kept", [1, 16, 30])
def test_a_smaller_ring_renders_every_view_once_per_round(kept: int) -> None:
    teacher = Teacher()
    views = pseudo_views(teacher, 0.1, cameras(40), ring(kept))
    sampler = RaySampler(views, 8, 0, memory=TURN_SHARE * WIDTH * HEIGHT * 3)
    # One view per turn; the first round begins with as many as there is room for.
    for turn in range(3 * 40 - TURN_SHARE + 1):
        sampler.batch(turn * TURN_STEPS)
    assert max(teacher.rendered.values()) == 3
    assert min(teacher.rendered.values()) == 3


@pytest.mark.parametrize(
    ("name", "form"),
    [("fern", "box"), ("fox", "hull"), ("chair_synthetic", "shell"), ("redkitchen_a", "hull")],
)
def test_pseudo_cameras_of_real_captures_see_the_scene(shared: Path, name: str, form: str) -> None:
    scene = open_scene(shared / "data" / name, max_side=100, measure=False)
    real = scene.train.cameras
    envelope = envelope_of(real, scene.bounds)
    assert envelope.name == form
    drawn = envelope.cameras(300, torch.Generator().manual_seed(0))
    drawn.validated()
    share = torch.linspace(0, 1, 5)
    low, high = torch.tensor(scene.bounds.box_min), torch.tensor(scene.bounds.box_max)
    places = low + (high - low) * torch.cartesian_prod(share, share, share)
    pixels, depth = drawn.project(places)
    seen = ((pixels >= 0) & (pixels <= drawn.sizes[:, None])).all(dim=-1) & (depth > 0)
    assert bool(seen.any(dim=1).all())
    reach = (real.centres - real.centres.mean(dim=0)).norm(dim=-1).max()
    assert float(torch.cdist(drawn.centres, real.centres).amin(dim=1).max()) < 0.6 * float(reach)


def test_a_single_camera_has_an_envelope() -> None:
    bounds = Bounds(1.0, 2.0, (-1.0, -1.0, 1.0), (1.0, 1.0, 2.0), forward_facing=True)
    envelope = envelope_of(cameras(1), bounds)
    assert isinstance(envelope, Box)
    assert envelope_of(cameras(1), replace(bounds, forward_facing=False)).name == "hull"
