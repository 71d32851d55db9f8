"""What LVSM learns from: squared error, and a perceptual error or differences of neighbouring pixels."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.vgg import perceptual_loss
from novelview.methods.method import Loss
from novelview.nn.losses import gradient_error


def training_loss(
    found: Float[Tensor, "b t 3 h w"], wanted: Float[Tensor, "b t 3 h w"], config: LVSMConfig
) -> Loss:
    """MSE + weight x perceptual error, over all targets together (LVSM, section 3.4)."""
    found, wanted = found.flatten(0, 1).float(), wanted.flatten(0, 1)
    total = (found - wanted).square().mean()
    parts = {"mse": total.detach()}
    if config.vgg and config.perceptual_loss:
        perceptual = perceptual_loss(config.vgg)(found, wanted)
        total, parts["perceptual"] = total + config.perceptual_loss * perceptual, perceptual.detach()
    if config.gradient_loss:
        gradient = gradient_error(found, wanted)
        total, parts["gradient"] = total + config.gradient_loss * gradient, gradient.detach()
    return Loss(total, parts)
