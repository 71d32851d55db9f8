"""Pictures of the base model that are learnt besides views."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from viewdiff_models import small_config, write_stable_diffusion

from novelview.cli.main import main
from novelview.errors import DataError, OutputError
from novelview.methods.viewdiff.conditions import camera_vectors
from novelview.methods.viewdiff.model import ViewDiff
from novelview.methods.viewdiff.prior import PriorPictures, prior_cameras, write_prior
from novelview.random import Draws, generator_for
from novelview.types import Batch

CAPTIONS = ("a red box", "a blue torus")


def paint(caption: str, generator: torch.Generator) -> Image.Image:
    """Red or blue, with a grey that is drawn."""
    level = int(torch.randint(100, (), generator=generator))
    return Image.new("RGB", (64, 64), (255 if "red" in caption else 0, level, 0))


def written(folder: Path) -> int:
    return write_prior(folder, CAPTIONS, paint, lambda i: generator_for(0, i), each=2, size=32)


def test_pictures_are_made_once_and_read_with_their_captions(tmp_path: Path) -> None:
    assert written(tmp_path) == 4
    (tmp_path / "000002.png").unlink()
    assert written(tmp_path) == 1
    pictures, captions = PriorPictures.read(tmp_path).drawn(torch.tensor([0.0, 0.99, 0.3]), 16)
    assert pictures.shape == (3, 1, 3, 16, 16)
    assert captions == ["a red box", "a blue torus", "a red box"]
    torch.testing.assert_close(pictures[:, 0, 0, 0, 0], torch.tensor([1.0, -1.0, 1.0]))


def test_other_captions_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(OutputError, match="other captions or settings"):
        write_prior(tmp_path, CAPTIONS[::-1], paint, lambda i: generator_for(0, i), each=2, size=32)


def test_pictures_of_captions_that_are_not_wanted_now_stay_known(tmp_path: Path) -> None:
    written(tmp_path)
    write_prior(tmp_path, CAPTIONS[:1], paint, lambda i: generator_for(0, i), each=2, size=32)
    assert len(PriorPictures.read(tmp_path).entries) == 2
    others = (CAPTIONS[0], "a green torus")
    with pytest.raises(OutputError, match="other captions or settings"):
        write_prior(tmp_path, others, paint, lambda i: generator_for(0, i), each=2, size=32)


def test_a_damaged_record_of_what_was_begun_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "begun.json").write_text("{")
    with pytest.raises(DataError, match=r"begun\.json"):
        written(tmp_path)


def test_cameras_are_drawn_in_the_published_ranges() -> None:
    size = 256
    cameras = prior_cameras(torch.rand(500, 4, generator=torch.Generator().manual_seed(0)), size)
    vectors = camera_vectors(cameras, torch.zeros(500, 1, 2))
    polar, radius, focal = -vectors[:, 0], vectors[:, 3], vectors[:, 4] * 512
    assert 30 <= float(polar.rad2deg().min()) < 32
    assert 88 < float(polar.rad2deg().max()) <= 90
    assert 2 <= float(radius.min()) < 2.05
    assert 3.95 < float(radius.max()) <= 4
    assert 564.9 <= float(focal.min()) < 566
    assert 589 < float(focal.max()) <= 590.1


def batch() -> Batch:
    from novelview.data.procedural.described_stream import DescribedStream

    stream = DescribedStream(objects=1, size=32, frames=5, pool_views=5)
    sample = stream.item(0)
    return (replace(sample, caption="a red box"),)


def test_they_are_learnt_besides_views_with_their_weight(tmp_path: Path) -> None:
    written(tmp_path)
    config = small_config()
    config = replace(config, learn=replace(config.learn, prior=str(tmp_path), prior_weight=0.5))
    method = ViewDiff(config)
    loss = method.loss(batch(), 0, Draws(generator_for(0, "prior-test")))
    expected = loss.parts["views"] + 0.5 * loss.parts["prior"]
    torch.testing.assert_close(loss.total.detach(), expected)
    assert float(loss.parts["prior"]) > 0


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        PriorPictures.read(tmp_path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "000000.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"000000\.png"):
        PriorPictures.read(tmp_path).drawn(torch.zeros(1), 16)


def test_a_text_to_image_model_paints_from_the_command_line(tmp_path: Path) -> None:
    write_stable_diffusion(tmp_path / "base")
    for name, kind in (("scheduler", "DDIMScheduler"),):
        (tmp_path / "base" / name).mkdir()
        facts = {
            "_class_name": kind,
            "beta_schedule": "scaled_linear",
            "steps_offset": 1,
            "clip_sample": False,
        }
        (tmp_path / "base" / name / "scheduler_config.json").write_text(json.dumps(facts))
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "feature_extractor": [None, None],
        "safety_checker": [None, None],
        "image_encoder": [None, None],
    }
    (tmp_path / "base" / "model_index.json").write_text(json.dumps(index))
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({"letters": {"one": ["abc"]}}))
    words = ["data", "prior", str(tmp_path / "out"), "--captions", str(captions)]
    options = ["--base", str(tmp_path / "base"), "--side", "16", "--size", "8", "--device", "cpu"]
    assert main([*words, *options]) == 0
    assert len(PriorPictures.read(tmp_path / "out").entries) == 2


def test_what_layers_show_counts_with_its_weight_and_teaches_them() -> None:
    config = small_config()
    white = replace(config.stage, white=True)
    config = replace(config, stage=white, learn=replace(config.learn, shown_weight=2.0, may_be_given=0))
    method = ViewDiff(config)
    loss = method.loss(batch(), 0, Draws(generator_for(0, "shown-test")))
    torch.testing.assert_close(loss.total.detach(), loss.parts["views"] + 2.0 * loss.parts["shown"])
    assert 0 < float(loss.parts["shown"]) < 1
