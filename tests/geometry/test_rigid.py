"""Group axioms, exp and log near 0 and pi, quaternions, nearest rotation, look_at."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.geometry.rigid import (
    Similarity,
    compose,
    invert,
    is_rigid,
    look_at,
    matrix_to_quaternion,
    nearest_rotation,
    quaternion_to_matrix,
    random_rotations,
    se3_exp,
    se3_log,
    slerp,
    so3_exp,
    so3_log,
)

DTYPES = st.sampled_from([torch.float32, torch.float64])
SHAPES = st.sampled_from([(), (1,), (7,), (2, 3)])
SEEDS = st.integers(0, 2**31)
# Angles of every size, among them those at which formulas lose digits.
ANGLES = st.one_of(
    st.sampled_from([0.0, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.4999, 0.5, 0.5001, math.pi / 2, 3.0]),
    st.sampled_from([math.pi - 10.0**-k for k in range(1, 9)]),
    st.floats(0.0, 3.1415),
)


def tolerance(dtype: torch.dtype) -> float:
    return 3e-5 if dtype == torch.float32 else 1e-11


def random_axes(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, 3, generator=generator, dtype=dtype), dim=-1)


def random_poses(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return se3_exp(torch.randn(*shape, 6, generator=generator, dtype=dtype))


def four_by_four(pose: torch.Tensor) -> torch.Tensor:
    bottom = pose.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*pose.shape[:-2], 1, 4)
    return torch.cat([pose, bottom], dim=-2)


@settings(deadline=None)
@given(SHAPES, DTYPES, SEEDS)
def test_group_axioms(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> None:
    a, b, c = (random_poses(shape, dtype, seed + i) for i in range(3))
    same = {"rtol": 0.0, "atol": 10 * tolerance(dtype)}
    identity = torch.eye(3, 4, dtype=dtype).expand(*shape, 3, 4)
    assert bool(is_rigid(compose(a, b), tolerance(dtype)).all())  # closure
    torch.testing.assert_close(compose(a, identity), a, **same)  # identity
    torch.testing.assert_close(compose(identity, a), a, **same)
    torch.testing.assert_close(compose(a, invert(a)), identity, **same)  # inverse
    torch.testing.assert_close(compose(invert(a), a), identity, **same)
    torch.testing.assert_close(compose(compose(a, b), c), compose(a, compose(b, c)), **same)  # associativity
    torch.testing.assert_close(four_by_four(compose(a, b)), four_by_four(a) @ four_by_four(b), **same)


@settings(deadline=None)
@given(SHAPES, DTYPES, SEEDS, ANGLES)
def test_exp_and_log_undo_each_other(
    shape: tuple[int, ...], dtype: torch.dtype, seed: int, angle: float
) -> None:
    vector = angle * random_axes(shape, dtype, seed)
    rotation = so3_exp(vector)
    assert bool(is_rigid(torch.cat([rotation, vector[..., None]], -1), tolerance(dtype)).all())
    found = so3_log(rotation)
    # At pi both axes mean the same rotation: compare rotations there, vectors elsewhere.
    torch.testing.assert_close(so3_exp(found), rotation, rtol=0, atol=tolerance(dtype))
    if angle < math.pi - 1e-3:
        torch.testing.assert_close(found, vector, rtol=tolerance(dtype), atol=tolerance(dtype))
        twist = torch.cat([random_axes(shape, dtype, seed + 1) * 3, vector], dim=-1)
        torch.testing.assert_close(
            se3_log(se3_exp(twist)), twist, rtol=0, atol=30 * tolerance(dtype) / (math.pi - angle)
        )


@settings(deadline=None)
@given(DTYPES, SEEDS, ANGLES)
def test_exponentials_against_the_matrix_exponential(dtype: torch.dtype, seed: int, angle: float) -> None:
    vector = angle * random_axes((), torch.float64, seed)
    velocity = random_axes((), torch.float64, seed + 1)
    x, y, z = vector.tolist()
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3] = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    generator[:3, 3] = velocity
    expected = torch.linalg.matrix_exp(generator)[:3]
    found = se3_exp(torch.cat([velocity, vector]).to(dtype))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance(dtype))


def test_small_angles_keep_their_digits() -> None:
    vector = torch.tensor([1e-9, -2e-9, 3e-9], dtype=torch.float64)
    torch.testing.assert_close(so3_log(so3_exp(vector)), vector, rtol=1e-12, atol=0)


def test_exponentials_have_gradients_at_rest() -> None:
    twist = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(se3_exp, (twist,))
    moved = torch.tensor([[0.1, 0.2, 0.3, 0.4, -0.5, 0.6]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(se3_exp, (moved,))
    assert torch.autograd.gradcheck(lambda t: se3_log(se3_exp(t)), (moved,))


@settings(deadline=None)
@given(SHAPES, DTYPES, SEEDS, ANGLES)
def test_quaternions(shape: tuple[int, ...], dtype: torch.dtype, seed: int, angle: float) -> None:
    rotation = so3_exp(angle * random_axes(shape, dtype, seed))
    quaternion = matrix_to_quaternion(rotation)
    assert bool((quaternion[..., 0] >= 0).all())
    torch.testing.assert_close(quaternion.norm(dim=-1), torch.ones(shape, dtype=dtype))
    torch.testing.assert_close(quaternion_to_matrix(quaternion), rotation, rtol=0, atol=tolerance(dtype))


def test_quaternion_order_and_half_turns() -> None:
    quarter = math.sqrt(0.5)
    about_z = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(matrix_to_quaternion(about_z), torch.tensor([quarter, 0.0, 0.0, quarter]))
    for i in range(3):
        half_turn = torch.diag(torch.tensor([-1.0, -1.0, -1.0]).index_fill(0, torch.tensor(i), 1.0))
        assert matrix_to_quaternion(half_turn).abs().argmax() == i + 1
        torch.testing.assert_close(so3_log(half_turn).abs(), math.pi * torch.eye(3)[i])


@settings(deadline=None)
@given(DTYPES, SEEDS, st.floats(-0.5, 1.5))
def test_slerp_runs_at_even_speed(dtype: torch.dtype, seed: int, share: float) -> None:
    start = random_rotations(4, torch.Generator().manual_seed(seed)).to(dtype)
    start = nearest_rotation(start)
    vector = 1.9 * random_axes((4,), dtype, seed)
    shares = torch.full((4,), share, dtype=dtype)
    found = slerp(start, start @ so3_exp(vector), shares)
    torch.testing.assert_close(found, start @ so3_exp(share * vector), rtol=0, atol=10 * tolerance(dtype))


@settings(deadline=None)
@given(SEEDS)
def test_nearest_rotation_beats_its_neighbours(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    best = nearest_rotation(matrix)
    poses = torch.cat([best, torch.zeros(5, 3, 1, dtype=torch.float64)], dim=-1)
    assert bool(is_rigid(poses, 1e-10).all())
    distance = (best - matrix).norm(dim=(1, 2))
    for size in (1e-3, 0.1, 1.0, 3.0):
        other = best @ so3_exp(size * random_axes((5,), torch.float64, seed))
        assert bool(((other - matrix).norm(dim=(1, 2)) >= distance - 1e-12).all())


def test_is_rigid_refuses() -> None:
    good = torch.eye(3, 4)
    bad = torch.stack([good] * 6)
    bad[1, 0, 0] = -1.0  # mirror
    bad[2, :, :3] *= 1.01  # scale
    bad[3, 0, 1] = 0.01  # shear
    bad[4, 0, 3] = torch.inf
    bad[5, 1, 1] = torch.nan
    assert is_rigid(bad, 1e-3).tolist() == [True, False, False, False, False, False]


UP = (0.0, 0.0, 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_look_at(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    centres, targets = torch.randn(2, 50, 3, generator=generator, dtype=dtype)
    up = torch.tensor(UP, dtype=dtype).expand(50, 3)
    poses = look_at(centres, targets, up)
    assert bool(is_rigid(poses, tolerance(dtype)).all())
    local = compose(
        invert(poses), torch.cat([torch.eye(3, dtype=dtype).expand(50, 3, 3), targets[..., None]], -1)
    )
    torch.testing.assert_close(local[:, :2, 3], torch.zeros(50, 2, dtype=dtype), rtol=0, atol=1e-5)
    assert bool((local[:, 2, 3] > 0).all())  # before the camera
    assert bool((poses[:, 2, 0].abs() < 1e-6).all())  # the horizon is level
    assert bool((poses[:, 2, 1] <= 0).all())  # up in the world is up in the image: y points down


@settings(deadline=None)
@given(SEEDS, st.sampled_from([0.0, 1e-12, 1e-7, 1e-6, 3e-6, 1e-4]))
def test_look_at_along_up_is_rigid(seed: int, off: float) -> None:
    forward = random_axes((20,), torch.float32, seed)
    forward[0] = torch.tensor([1.0, 1.0, -1.0]) / math.sqrt(3)
    up = -forward + off * random_axes((20,), torch.float32, seed + 1)
    for vertical in (up, 0 * up):
        assert bool(is_rigid(look_at(torch.zeros(20, 3), forward, vertical), 1e-5).all())


@settings(deadline=None)
@given(SEEDS)
def test_similarities(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Similarity:
        scale = float(torch.rand((), generator=generator) + 0.1)
        return Similarity(scale, random_rotations(1, generator)[0], torch.randn(3, generator=generator))

    a, b, points = draw(), draw(), torch.randn(6, 3, generator=generator)
    torch.testing.assert_close(a.then(b).points(points), b.points(a.points(points)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a.inverse().points(a.points(points)), points, rtol=1e-4, atol=1e-4)
    poses = random_poses((6,), torch.float32, seed)
    assert bool(is_rigid(a.poses(poses), 1e-4).all())
    # A pixel's point at depth z is carried to the same pixel's point at depth scale * z.
    seen, depth = torch.tensor([0.3, -0.2, 1.0]), 2.5
    moved = a.poses(poses)
    there = moved[:, :, 3] + a.scale * depth * moved[:, :, :3] @ seen
    here = poses[:, :, 3] + depth * poses[:, :, :3] @ seen
    torch.testing.assert_close(there, a.points(here), rtol=1e-4, atol=1e-4)
    again = Similarity.from_json(a.to_json())
    torch.testing.assert_close(again.points(points), a.points(points))
