"""ONNX files of light fields: what they compute, in which frame, what their variants cost, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from light_fields import TO_INPUT, Points, Table, example, ring, seeded, wall
from torch import Tensor, nn

from novelview.errors import DataError, MissingDependencyError, OutputError
from novelview.export import onnx as exporter
from novelview.export.onnx import read_onnx, write_onnx
from novelview.export.variants import reduce
from novelview.geometry.rays import Rays
from novelview.geometry.rigid import Similarity
from novelview.light_field import LightField

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def test_rays_meet_the_middles_of_blocks() -> None:
    camera = ring(1, 24)
    light_field = LightField(nn.Identity(), 8)
    every, blocks = camera.rays()[0], light_field.rays(camera)
    assert blocks.origins.shape == (3, 3, 3)
    # The middle of a block is the corner where its four inner pixels meet.
    inner = (every.directions[3::8, 3::8] + every.directions[4::8, 4::8]) / 2
    torch.testing.assert_close(blocks.directions, inner)
    # An image that is no multiple of a block is covered, and no ray moves.
    ragged = light_field.rays(camera.cropped(0, 0, 21, 18))
    torch.testing.assert_close(ragged.directions, blocks.directions)


@pytest.mark.parametrize("size", [(24, 16), (21, 13)])
def test_pictures_have_the_size_of_the_camera(size: tuple[int, int]) -> None:
    light_field = LightField(seeded(Points, factor=8), 8)
    frames = light_field.render(ring(2).resized(*size))
    assert frames.rgb.shape == (2, size[1], size[0], 3)


def test_another_world_frame_shows_the_same_along_the_same_depths() -> None:
    asked: list[Rays] = []

    class Listener(nn.Module):
        def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
            asked.append(Rays(origins, directions))
            return origins

    cameras = ring(3)
    light_field = LightField(Listener())
    light_field.render(cameras)
    light_field.moved(TO_INPUT).moved(Similarity.identity()).render(cameras.moved(TO_INPUT))
    for one, other in zip(asked[:3], asked[3:], strict=True):
        torch.testing.assert_close(other.origins, one.origins, atol=1e-5, rtol=0)
        # Not scaled: the ray parameter is depth in the scene's own units.
        torch.testing.assert_close(other.directions, one.directions, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kind", "options"), [(Points, {}), (Points, {"factor": 4}), (Table, {})])
def test_a_file_answers_as_torch_does(tmp_path: Path, kind: type[nn.Module], options: dict[str, int]) -> None:
    light_field, subject = example(kind, **options)
    card = write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[:2])
    assert card.largest_error <= 1e-5
    assert card.psnr > 100
    back, found = read_onnx(tmp_path / "a.onnx")
    assert (found, back.factor) == (card, options.get("factor", 1))
    # A pose and a size that no check looked at.
    camera = subject.cameras[5:6].resized(36, 20)
    expected, pictures = light_field.render(camera).rgb, back.render(camera).rgb
    assert float((pictures - expected).abs().max()) <= 1e-5
    # And it is a picture, not one colour.
    assert float(expected.std()) > 0.02


def test_the_graph_says_what_it_takes(tmp_path: Path) -> None:
    light_field, subject = example()
    write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[:1])
    model = onnx.load_model(tmp_path / "a.onnx")
    onnx.checker.check_model(model)
    assert [each.name for each in model.graph.input] == ["origins", "directions"]
    assert [each.name for each in model.graph.output] == ["rgb"]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in shape] == ["height", "width", 3]
    (text,) = [entry.value for entry in model.metadata_props if entry.key == "novelview"]
    facts = json.loads(text)
    assert (facts["scene"], facts["size"], facts["factor"]) == ("toy", [48, 48], 1)
    # Depths in the user's units.
    assert (facts["near"], facts["far"]) == (5.0, 15.0)
    assert "pixel centres at +0.5" in facts["coordinates"]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.onnx"]


def test_a_scene_without_end_is_valid_json(tmp_path: Path) -> None:
    light_field, subject = example()
    endless = type(subject)(subject.name, subject.cameras, subject.near, float("inf"))
    write_onnx(tmp_path / "a.onnx", light_field, endless, check=subject.cameras[:1])
    assert read_onnx(tmp_path / "a.onnx")[1].far is None


@pytest.mark.parametrize(("variant", "share", "least"), [("float16", 0.6, 45.0), ("int8", 0.4, 35.0)])
def test_variants_are_smaller_and_say_what_they_cost(
    tmp_path: Path, variant: str, share: float, least: float
) -> None:
    light_field, subject = example(width=128, blocks=6)
    check = subject.cameras[:2]
    write_onnx(tmp_path / "plain.onnx", light_field, subject, check=check)
    card = write_onnx(tmp_path / "small.onnx", light_field, subject, check=check, variant=variant)
    plain, small = (path.stat().st_size for path in (tmp_path / "plain.onnx", tmp_path / "small.onnx"))
    assert small < share * plain
    back, found = read_onnx(tmp_path / "small.onnx")
    assert found.variant == variant
    error = (back.render(check).rgb - light_field.render(check).rgb).double().square().mean(dim=(1, 2, 3))
    assert least < card.psnr < 100
    assert card.psnr == pytest.approx(float(-10 * error.max().log10()), abs=0.01)


def test_weights_beyond_float16_stay_as_they_are() -> None:
    values = {"small": torch.randn(64, 64), "large": 1e5 * torch.randn(64, 64), "short": torch.randn(8)}
    tensors = [onnx.numpy_helper.from_array(each.numpy(), name) for name, each in values.items()]
    graph = onnx.helper.make_graph([], "g", [], [], tensors)
    model = reduce(onnx.helper.make_model(graph), "float16")
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert kinds == {"small.float16": half, "large": single, "short": single}


class Counting(nn.Module):
    """A network that ONNX has no words for: what it does depends on the values of its input."""

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return origins * float(directions.sum())


class Drawing(nn.Module):
    """A network that never answers twice alike."""

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return torch.rand_like(origins) + directions


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Counting, "(?s)cannot be written as ONNX.*data-dependent"),
        (Drawing, "answers differently from torch"),
    ],
)
def test_what_cannot_be_exported_leaves_nothing_behind(
    tmp_path: Path, kind: type[nn.Module], said: str
) -> None:
    (tmp_path / "a.onnx").write_text("older")
    light_field, subject = example(kind)
    with pytest.raises(OutputError, match=said):
        write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "older"


def test_a_variant_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    light_field, subject = example(Table)
    with pytest.raises(OutputError, match="choose float16"):
        write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[:1], variant="int8")
    assert not list(tmp_path.iterdir())


def test_without_a_check_camera_nothing_is_written(tmp_path: Path) -> None:
    light_field, subject = example(cameras=wall())
    with pytest.raises(OutputError, match="cannot be checked"):
        write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[[]])
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    light_field, subject = example()
    monkeypatch.setattr(
        exporter.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else name
    )
    with pytest.raises(MissingDependencyError, match=r"novelview\[onnx\]"):
        write_onnx(tmp_path / "a.onnx", light_field, subject, check=subject.cameras[:1])
    assert not list(tmp_path.iterdir())


def test_foreign_and_damaged_files_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(DataError, match="Cannot read an ONNX file"):
        read_onnx(damaged)
    with pytest.raises(DataError, match="Cannot read an ONNX file"):
        read_onnx(tmp_path / "absent.onnx")
    light_field, subject = example()
    path = tmp_path / "a.onnx"
    write_onnx(path, light_field, subject, check=subject.cameras[:1])
    model = onnx.load_model(path)
    for value, said in (("{", "damaged"), ('{"factor": "x"}', "damaged")):
        onnx.helper.set_model_props(model, {"novelview": value})
        onnx.save_model(model, path)
        with pytest.raises(DataError, match=said):
            read_onnx(path)
    onnx.helper.set_model_props(model, {"other": "1"})
    onnx.save_model(model, path)
    with pytest.raises(DataError, match="no light field"):
        read_onnx(path)
