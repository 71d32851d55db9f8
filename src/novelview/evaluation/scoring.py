"""What every evaluation does with a method and with each image that it renders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import DataError, MethodError
from novelview.evaluation.metrics import Region, Scores, depth_errors, psnr, ssim
from novelview.methods.method import Method
from novelview.nn.lpips import LPIPS
from novelview.types import Frames, Views


@contextmanager
def inference(method: Method) -> Iterator[torch.device]:
    """Evaluation mode without gradients; gives the method's device, and leaves the method as it was."""
    training = method.training
    method.eval()
    try:
        with torch.no_grad():
            yield next((parameter.device for parameter in method.parameters()), torch.device("cpu"))
    finally:
        method.train(training)


def finished(frames: Frames) -> Frames:
    """The frames on the CPU; copying them there waits for a GPU to finish, so that its time is counted."""
    return Frames(frames.rgb.float().cpu(), None if frames.depth is None else frames.depth.float().cpu())


def score_frame(
    frame: Frames,
    views: Views,
    i: int,
    photograph: Float[Tensor, "h w 3"],
    *,
    name: str,
    region: Region = "image",
    lpips: LPIPS | None = None,
) -> Scores:
    """How close one rendered image is to view ``i``.

    Args:
        frame: one image on the CPU.
        views: know mask and depth, where the scene has them.
        i: which of them was rendered.
        photograph: its colours.
        name: who rendered, for errors.
        region: score the whole image, or only the foreground of the view's mask.
        lpips: perceptual network; None: LPIPS is not measured.

    Raises:
        MethodError: the frame is no picture of the right size.
        DataError: the mask of the view is empty.
    """
    _check(frame, photograph, name, views.names[i])
    image = frame.rgb[0].clamp(0, 1)
    mask = views.mask(i) if region == "mask" else None
    if mask is not None and not bool(mask.any()):
        raise DataError("The mask of a view is empty", where=views.names[i], cure="score the other views")
    depth = None
    if views.has_depths and frame.depth is not None:
        depth = depth_errors(frame.depth[0], views.depth(i), mask)
    return replace(
        score_image(image, photograph, mask, lpips=lpips),
        depth_abs_rel=None if depth is None else depth[0],
        depth_rmse=None if depth is None else depth[1],
    )


def score_image(
    image: Float[Tensor, "h w 3"],
    photograph: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"] | None = None,
    *,
    lpips: LPIPS | None = None,
) -> Scores:
    """All metrics of colours; with a mask only of what it shows, but LPIPS, which is of the whole image."""
    return Scores(
        psnr=psnr(image, photograph, mask),
        ssim_gaussian11=ssim(image, photograph, "gaussian11", mask),
        ssim_gaussian11_valid=ssim(image, photograph, "gaussian11_valid", mask),
        ssim_uniform7=ssim(image, photograph, "uniform7", mask),
        lpips=None if lpips is None else float(lpips(image, photograph)),
    )


def _check(frame: Frames, photograph: Float[Tensor, "h w 3"], name: str, view: str) -> None:
    expected = (1, *photograph.shape)
    if tuple(frame.rgb.shape) != expected:
        why = f"an image of shape {tuple(frame.rgb.shape)} came back, expected {expected}"
    elif not bool(frame.rgb.isfinite().all()):
        why = "some of its colours are not finite"
    else:
        return
    raise MethodError(f"{name} did not render a picture that can be scored", where=view, why=why)
