"""The three transformers: what may and what may not change their answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.geometry.rigid import Similarity, look_at, random_rotations
from novelview.methods.lvsm.attention import QUERIES, attend, attend_in_parts
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.networks import Cached, Network, build_network
from novelview.methods.lvsm.posed import Posed, plucker_map
from novelview.methods.lvsm.relative import BASE, Places
from novelview.methods.lvsm.transformer import Attention

DEVICE, UP = torch.device("cpu"), torch.tensor([0.0, -1.0, 0.0])
SMALL = LVSMConfig(width=32, head_width=16, layers=3, encoder_layers=2, latents=10, patch=4)
KINDS = ("decoder-only", "encoder-decoder", "cached")
POSED_KINDS = [(kind, "rays") for kind in KINDS] + [
    (kind, positions) for kind in ("decoder-only", "cached") for positions in ("cameras", "both")
]


def network(**changes: Any) -> Network[Any]:
    """Weights large enough that everything matters."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = build_network(replace(SMALL, **changes))
        for name, parameter in found.named_parameters():
            if "norm" in name or "image_token_decoder.0" in name:
                torch.nn.init.normal_(parameter, 1.0, 0.3)
            elif parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[1] ** 0.5)
    return found.eval()


def cameras(count: int, seed: int, width: int = 16, height: int = 12) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(count, 3, generator=generator) * 0.5 + torch.tensor([0.0, 0.0, -2.0])
    poses = look_at(centres, 0.2 * torch.randn(count, 3, generator=generator), UP.expand(count, 3))
    focal = 14 + 4 * torch.rand(count, 1, generator=generator)
    intrinsics = torch.cat([focal, focal * 1.1, torch.tensor([[width / 2, height / 2]] * count)], dim=1)
    return Cameras.pinhole(poses, intrinsics, width, height)


def inputs(scenes: int = 2, views: int = 3, **size: int) -> Posed:
    cams = [cameras(views, 10 + i, **size) for i in range(scenes)]
    width, height = cams[0].common_size
    generator = torch.Generator().manual_seed(0)
    return Posed.of(cams, DEVICE, torch.rand(scenes, views, 3, height, width, generator=generator))


def targets(scenes: int = 2, views: int = 2, **size: int) -> Posed:
    return Posed.of([cameras(views, 20 + i, **size) for i in range(scenes)], DEVICE)


def part(views: Posed, chosen: list[int]) -> Posed:
    images = None if views.images is None else views.images[:, chosen]
    return Posed.of([c[chosen] for c in views.cameras], DEVICE, images)


@pytest.mark.parametrize(("kind", "positions"), POSED_KINDS)
@torch.no_grad()
def test_targets_do_not_see_one_another(kind: str, positions: str) -> None:
    net, known, asked = network(architecture=kind, positions=positions), inputs(), targets()
    together = net(known, asked)
    assert together.shape == (2, 2, 3, 12, 16)
    alone = torch.cat([net(known, part(asked, [i])) for i in range(2)], dim=1)
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=0)
    assert float((together[:, 0] - together[:, 1]).abs().max()) > 1e-2


@pytest.mark.parametrize(("kind", "positions"), POSED_KINDS)
@torch.no_grad()
def test_the_order_of_inputs_does_not_matter(kind: str, positions: str) -> None:
    net, known, asked = network(architecture=kind, positions=positions), inputs(), targets()
    found = net(known, asked)
    torch.testing.assert_close(found, net(part(known, [2, 0, 1]), asked), atol=5e-6, rtol=0)
    fewer = net(part(known, [0, 1]), asked)
    assert float((found - fewer).abs().max()) > 1e-3


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("positions", ["rays", "cameras", "both"])
@torch.no_grad()
def test_cached_equals_one_masked_sequence(positions: str, layers: int) -> None:
    """Keys and values that were kept give what one long sequence gives in which inputs do not see the target."""
    net = network(architecture="cached", positions=positions, encoder_layers=layers)
    known, asked = inputs(scenes=1), targets(scenes=1, views=1)
    assert isinstance(net, Cached)
    torch.testing.assert_close(net(known, asked), uncached(net, known, asked), atol=5e-6, rtol=0)


def uncached(net: Cached, known: Posed, asked: Posed) -> Tensor:
    first, last = net.input_tokens(known), net.target_tokens(asked)
    tokens = net.transformer_input_layernorm(torch.cat([first, last], dim=1))
    here, there = net.places(known), net.places(asked)
    places = None if here is None or there is None else here.before_each(there)
    count, total = first.shape[1], tokens.shape[1]
    sees = torch.ones(total, total, dtype=torch.bool)
    sees[:count, count:] = False
    for i, block in enumerate(net.blocks()):
        after = tokens + masked(block.attn, block.norm1(tokens), places, sees)
        after = after + block.mlp(block.norm2(after))
        if i >= net.config.encoder_layers:
            after[:, :count] = tokens[:, :count]
        tokens = after
    return net.images(tokens[:, count:], asked)


def masked(attention: Attention, tokens: Tensor, places: Places | None, sees: Tensor) -> Tensor:
    heads = rearrange(attention.to_qkv(tokens), "b n (k a c) -> k b a n c", k=3, c=attention.head_width)
    query, key, value = attention.q_norm(heads[0]), attention.k_norm(heads[1]), heads[2]
    if places is not None:
        query, key, value = places.ask(query), places.show(key), places.show(value)
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=sees)
    found = found if places is None else places.take(found)
    return attention.fc(rearrange(found, "b a n c -> b n (a c)"))


@torch.no_grad()
def test_inputs_are_encoded_once_for_all_targets() -> None:
    net, known, asked = network(architecture="cached", positions="both"), inputs(), targets(views=3)
    kept = net.encode(known)
    assert len(kept) == SMALL.layers
    apart = torch.cat([net.decode(kept, part(asked, [i])) for i in range(3)], dim=1)
    torch.testing.assert_close(net.decode(kept, asked), apart, atol=2e-6, rtol=0)


@pytest.mark.parametrize("kind", ["decoder-only", "cached"])
@torch.no_grad()
def test_camera_positions_know_no_world_frame_and_rays_do(kind: str) -> None:
    turn = random_rotations(1, torch.Generator().manual_seed(5))[0]
    motion = Similarity(1.0, turn, torch.tensor([0.3, -0.7, 0.4]))

    def difference(positions: str) -> float:
        net, known, asked = network(architecture=kind, positions=positions), inputs(), targets()
        there = Posed.of([c.moved(motion) for c in known.cameras], DEVICE, known.images)
        moved = Posed.of([c.moved(motion) for c in asked.cameras], DEVICE)
        return float((net(known, asked) - net(there, moved)).abs().max())

    assert difference("cameras") < 2e-5
    assert difference("rays") > 1e-2


def test_relative_positions_are_those_of_the_formula() -> None:
    """Against block-diagonal matrices written out token by token (PRoPE, equations 8 to 12)."""
    cams, width, patch = cameras(2, 7), 16, 4
    places = Places.of([cams], patch, width, DEVICE)
    generator = torch.Generator().manual_seed(1)
    query, key, value = torch.randn(3, 1, 1, 24, width, generator=generator)

    def matrix(token: int) -> tuple[Tensor, Tensor]:
        view, place = divmod(token, 12)
        row, column = divmod(place, 4)
        inner = torch.eye(4)
        inner[:3, :3] = cams.relative_intrinsics()[view]
        inner[:2, 2] -= 0.5
        pose = torch.eye(4)
        pose[:3] = cams.camera_to_world[view]
        projection = inner @ torch.linalg.inv(pose)
        camera = torch.block_diag(projection, projection)
        turns = torch.zeros(8, 8)
        for i in range(4):
            angle = torch.tensor((column, row)[i // 2] * BASE ** (-(i % 2) / 2))
            turns[i, i] = turns[i + 4, i + 4] = angle.cos()
            turns[i, i + 4], turns[i + 4, i] = -angle.sin(), angle.sin()
        return torch.block_diag(camera, turns.T), torch.block_diag(torch.linalg.inv(camera), turns)

    pairs = [matrix(token) for token in range(24)]
    ask, show = (torch.stack(each) for each in zip(*pairs, strict=True))
    q = torch.einsum("nji,nj->ni", ask, query[0, 0])
    k, v = (torch.einsum("nij,nj->ni", show, each[0, 0]) for each in (key, value))
    weights = (q @ k.T / width**0.5).softmax(dim=-1)
    expected = torch.einsum("nij,nj->ni", ask, weights @ v)
    asked, shown = places.ask(query), places.show(key)
    found = places.take(F.scaled_dot_product_attention(asked, shown, places.show(value)))
    torch.testing.assert_close(found[0, 0], expected, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_decoder_only_weights_fit_the_cached_network() -> None:
    one, other = network(architecture="decoder-only"), build_network(replace(SMALL, architecture="cached"))
    other.load_state_dict(one.state_dict())
    known, asked = inputs(), targets()
    assert float((one(known, asked) - other(known, asked)).abs().max()) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_saving_memory_does_not_change_gradients(kind: str) -> None:
    known, asked, gradients = inputs(), targets(), []
    for saving in (False, True):
        net = network(architecture=kind, checkpoint_blocks=saving).train()
        net(known, asked).square().mean().backward()
        gradients.append({name: p.grad for name, p in net.named_parameters()})
    plain, saved = gradients
    for name, gradient in plain.items():
        torch.testing.assert_close(saved[name], gradient, atol=1e-7, rtol=1e-5)


def test_saving_memory_keeps_less_for_the_backward_pass() -> None:
    sizes = []
    for saving in (False, True):
        net, kept = network(architecture="decoder-only", checkpoint_blocks=saving).train(), []

        def keep(tensor: Tensor, kept: list[int] = kept) -> Tensor:
            kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            net(inputs(), targets())
        sizes.append(sum(kept))
    assert sizes[1] < 0.4 * sizes[0]


@pytest.mark.parametrize("kind", KINDS)
def test_new_weights_are_drawn_as_published(kind: str) -> None:
    torch.manual_seed(0)
    net = build_network(
        replace(SMALL, architecture=kind, width=768, head_width=64, layers=2, encoder_layers=2)
    )
    state = net.state_dict()
    stacks = {name.split(".")[0] for name in state if ".attn." in name}
    for stack in stacks:
        for i in range(2):
            found = float(state[f"{stack}.{i}.mlp.mlp.0.weight"].std())
            assert found == pytest.approx(0.02 / (2 * (i + 1)) ** 0.5, rel=0.03)
    assert float(state["image_tokenizer.1.weight"].std()) == pytest.approx(0.02, rel=0.03)
    assert all(bool((v == 1).all()) for name, v in state.items() if "norm" in name)
    if kind == "encoder-decoder":
        assert float(state["n_light_field_latent"].std()) == pytest.approx(0.02, rel=0.1)


@torch.no_grad()
def test_half_precision_stays_near() -> None:
    for kind, positions in POSED_KINDS:
        net, known, asked = network(architecture=kind, positions=positions), inputs(), targets()
        with torch.autocast("cpu", torch.bfloat16):
            found = net(known, asked)
        assert float((found.float() - net(known, asked)).abs().mean()) < 0.02


@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (QUERIES, 40), (2 * QUERIES + 3, 300)])
def test_attention_in_parts_is_attention(queries: int, keys: int) -> None:
    generator = torch.Generator().manual_seed(queries)
    query = torch.randn(2, 3, queries, 16, generator=generator)
    key, value = torch.randn(2, 2, 3, keys, 16, generator=generator)
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attend_in_parts(query, key, value), expected, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        half = attend(query.bfloat16(), key.bfloat16(), value.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.04, rtol=0.02)


def test_attention_keeps_torchs_gradients_in_half_precision() -> None:
    query, key, value = torch.randn(3, 1, 2, 6, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    query.requires_grad_()
    assert torch.equal(attend(query, key, value), F.scaled_dot_product_attention(query, key, value))


@torch.no_grad()
def test_rays_are_unit_lines_through_pixel_centres() -> None:
    cams = cameras(2, 3)
    moment, direction = plucker_map(cams).split(3, dim=1)
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(2, 12, 16))
    points = cams.centres[:, :, None, None] + 1.7 * direction
    torch.testing.assert_close(torch.linalg.cross(points, direction, dim=1), moment, atol=1e-5, rtol=0)
    pixels, _ = cams[0].project(points[0].permute(1, 2, 0).reshape(-1, 3))
    torch.testing.assert_close(pixels[0].view(12, 16, 2), cams.pixel_grid(), atol=1e-3, rtol=0)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_compiled_blocks_give_the_same_images() -> None:
    script = Path(__file__).with_name("compiled_agrees.py")
    found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
