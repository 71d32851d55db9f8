"""Prompts and latents, and what a base model brings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from viewdiff_models import WORDS, noise, small_config, write_scheduler, write_stable_diffusion

from novelview.errors import ConfigError
from novelview.methods.viewdiff.base import check_noise, load_codec, load_text, load_unet
from novelview.methods.viewdiff.codec import Pixels
from novelview.methods.viewdiff.config import NoiseConfig
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.presets import PRESETS
from novelview.methods.viewdiff.text import WordEncoder


def test_words_are_read_whatever_their_case_and_points() -> None:
    encoder = WordEncoder(WORDS)
    found = encoder(["a red box", "A red, box."])
    assert found.shape == (2, 16, 16)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_order_matters() -> None:
    found = WordEncoder(WORDS)(["a red box and a blue torus", "a blue box and a red torus"])
    assert float((found[0] - found[1]).detach().abs().max()) > 1e-4


def test_an_unknown_word_is_named_with_those_near_it() -> None:
    with pytest.raises(ConfigError, match=r"does not know the word 'bax'; near it: box"):
        WordEncoder(WORDS)(["a red bax"])


@pytest.mark.parametrize("prompt", ["红色 圆环", "2 red boxes", "a rød box"])
def test_no_word_is_passed_over(prompt: str) -> None:
    with pytest.raises(ConfigError, match="does not know the word"):
        WordEncoder(WORDS)([prompt])


def test_a_long_prompt_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most 16"):
        WordEncoder(WORDS)(["a " * 17])


def test_pixels_come_back() -> None:
    codec, images = Pixels(4), noise(2, 3, 16, 24).tanh()
    latents = codec.encode(images)
    assert latents.shape == (2, 48, 4, 6)
    torch.testing.assert_close(codec.decode(latents), images, rtol=0, atol=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("diffusion")
    write_stable_diffusion(made)
    return made


def test_parts_of_a_local_model_are_loaded(folder: Path) -> None:
    codec, text = load_codec(str(folder)), load_text(str(folder))
    assert load_unet(str(folder)).config.cross_attention_dim == 16
    latents = codec.encode(noise(2, 3, 16, 16).tanh(), noise(2, 4, 8, 8))
    assert latents.shape == (2, 4, 8, 8)
    assert codec.decode(latents).shape == (2, 3, 16, 16)
    assert text(["abc", ""]).shape == (2, 12, 16)


def test_text_encoders_in_half_precision_are_read(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "half")
    weights = tmp_path / "half" / "text_encoder" / "model.safetensors"
    save_file({name: value.half() for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    config = tmp_path / "half" / "text_encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "dtype": "float16"}))
    found = load_text(str(tmp_path / "half"))(["abc"])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, load_text(str(folder))(["abc"]), rtol=0, atol=0.02)


def test_a_prompt_that_is_too_long_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="reads at most 12"):
        load_text(str(folder))(["a", "abc" * 10])


def test_drawn_latents_are_around_their_mean(folder: Path) -> None:
    codec, image = load_codec(str(folder)), noise(1, 3, 16, 16).tanh()
    mean = codec.encode(image)
    drawn = codec.encode(image.expand(64, -1, -1, -1), noise(64, 4, 8, 8))
    assert float((drawn[0] - mean[0]).abs().max()) > 0
    spread = drawn.std(dim=0).mean()
    assert float((drawn.mean(dim=0) - mean[0]).abs().mean()) < float(spread)


def test_a_folder_without_a_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder 'vae'"):
        load_codec(str(tmp_path))


def test_a_base_that_predicts_velocities_says_what_to_set(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "unet").symlink_to(folder / "unet")
    write_scheduler(tmp_path, prediction_type="v_prediction")
    with pytest.raises(ConfigError, match=r"give --config\.noise\.prediction v_prediction$"):
        Network(small_config(base=str(tmp_path)))
    noise = NoiseConfig(prediction="v_prediction")
    assert Network(small_config(base=str(tmp_path), noise=noise)).unet.config.in_channels == 4


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"beta_start": 0.0001}, "--config.noise.first 0.0001"),
        ({"beta_end": 0.02, "num_train_timesteps": 500}, "--config.noise.steps 500 --config.noise.last 0.02"),
        ({"beta_schedule": "linear"}, "--config.noise.schedule linear"),
        ({"rescale_betas_zero_snr": True}, "choose another base"),
        ({"trained_betas": [0.1, 0.2]}, "choose another base"),
    ],
)
def test_a_base_that_was_noised_otherwise_says_what_to_set(
    tmp_path: Path, changes: dict[str, Any], cure: str
) -> None:
    write_scheduler(tmp_path, **changes)
    with pytest.raises(ConfigError, match=cure):
        check_noise(str(tmp_path), NoiseConfig())


@pytest.mark.parametrize("preset", ["published", "published-small"])
def test_published_presets_are_noised_as_their_base(preset: str, tmp_path: Path) -> None:
    check_noise(str(tmp_path), PRESETS[preset].config.noise)  # A folder without a scheduler says nothing.
    write_scheduler(tmp_path)
    check_noise(str(tmp_path), PRESETS[preset].config.noise)


def test_what_a_scheduler_leaves_out_is_as_diffusers_has_it(tmp_path: Path) -> None:
    write_scheduler(tmp_path)
    with pytest.raises(ConfigError, match=r"noise\.prediction is sample, and epsilon there"):
        check_noise(str(tmp_path), NoiseConfig(prediction="sample"))


def test_a_damaged_scheduler_is_named(tmp_path: Path) -> None:
    write_scheduler(tmp_path)
    (tmp_path / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(ConfigError, match="scheduler cannot be read"):
        check_noise(str(tmp_path), NoiseConfig())
