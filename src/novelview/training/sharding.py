"""Weights in shards: each process keeps a part of every tensor, and a module is whole only while it computes.

All that knows of torch's FSDP is here. A sharded tensor is a ``DTensor``: it has the shape of the whole, and gives its
norm; :func:`whole` and :func:`lay_like` lead to the whole and back. Both leave ordinary tensors as they are.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterable, Mapping
from functools import _lru_cache_wrapper
from typing import TYPE_CHECKING, TypeGuard

from accelerate import Accelerator
from torch import Tensor, nn

from novelview.errors import ConfigError
from novelview.methods.method import Method

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def check_processes(accelerator: Accelerator) -> None:
    """Raise :class:`ConfigError` unless there are several processes to share weights."""
    if accelerator.num_processes == 1:
        raise ConfigError(
            "Weights cannot be sharded in a single process",
            why="each process keeps its share of them",
            cure="start several, for example: torchrun --nproc-per-node 2 --no-python -- novelview train METHOD --shards",
        )


def check_method(method: Method) -> None:
    """Raise :class:`ConfigError` where the method's weights cannot be sharded."""
    method.shards()
    name = type(method).__name__
    if method.idle_parameters:
        raise ConfigError(
            f"The weights of {name} cannot be sharded",
            why="it leaves some parameters without a gradient, and the processes could disagree on which",
            cure="train without --shards",
        )
    scalars = [path for path, parameter in method.named_parameters() if parameter.dim() == 0]
    if scalars:
        raise ConfigError(
            f"The weights of {name} cannot be sharded",
            why=f"{scalars[0]} has no dimension along which to cut it",
            cure="give it the shape (1,), or train without --shards",
        )


def shard(parts: Iterable[nn.Module], root: nn.Module, accelerator: Accelerator) -> None:
    """Share the weights of ``root`` out over all processes, onto their devices; equal on all of them before.

    Gradients are averaged over the processes in every backward pass, and each process keeps its share of them: to wait
    for the last slice of an accumulated batch would need whole gradients, the memory that is to be saved.

    Args:
        parts: modules inside of ``root`` that are gathered one at a time, see :meth:`Method.shards`.
        root: gathered, as far as it lies outside of the parts, for as long as it computes.
        accelerator: knows the processes.
    """
    # Half a second of imports, which commands that do not train need not wait for.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for module in (*parts, root):
        fully_shard(module, mesh=mesh)
        for name in getattr(module, "entrances", ()):
            register_fsdp_forward_method(module, name)


def forget() -> None:
    """Empty torch's caches of sharded tensors, which hold the group of processes; for when the group is left."""
    if "torch.distributed.tensor" not in sys.modules:
        return
    importlib.import_module("torch.distributed.tensor.debug")._clear_sharding_prop_cache()
    vars(importlib.import_module("torch.distributed.tensor._redistribute")).get("_planner_cache", {}).clear()
    for cache in gc.get_objects():
        # isinstance would ask any object for its class, and some of torch's answer with a warning.
        if type(cache) is _lru_cache_wrapper and (cache.__module__ or "").startswith(
            "torch.distributed.tensor"
        ):
            cache.cache_clear()


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor. All processes must ask for it, because each has a part."""
    return tensor.full_tensor() if _is_sharded(tensor) else tensor


def gather(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors, on the CPU where they were sharded, so that a device need not hold more than one of them.

    All processes must call this, with the same names in the same order; those that do not ``keep`` get nothing.
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        found = whole(tensor)
        if keep:
            kept[name] = found.cpu() if _is_sharded(tensor) else found
    return kept


def lay_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's share of a whole tensor, where ``like`` is sharded and of the same shape; else the tensor."""
    if not _is_sharded(like) or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # Every process has read the whole, so that none need send it.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)
