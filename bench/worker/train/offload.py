"""Checkpoints offloaded to host memory: the inputs that gradient checkpointing keeps for the backward pass.

The mathematics stays the same: the same numbers are kept elsewhere.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

HIDDEN_STATES = 3  # dimensions: (batch, length, hidden); a weight has at most two


def keep_on_host(tensor: Tensor) -> Tensor:
    """A copy in host memory, pinned if there is a card, so that copying does not block it."""
    pinned = torch.cuda.is_available()
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
    return kept.copy_(tensor, non_blocking=pinned)


@contextlib.contextmanager
def checkpoints_on_host() -> Iterator[None]:
    """Inside, a forward pass keeps its hidden states for the backward pass in host memory.

    Under gradient checkpointing these are the inputs of the layers. What a layer keeps while it is computed again is
    handled by checkpointing's own hooks and stays on the device.
    """

    def pack(tensor: Tensor) -> Any:
        if tensor.ndim != HIDDEN_STATES or not tensor.is_floating_point():
            return tensor
        return tensor.device, keep_on_host(tensor)

    def unpack(packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        device, kept = packed
        return kept.to(device, non_blocking=kept.is_pinned())

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield
