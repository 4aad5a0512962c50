"""Waiting for a device: kernels are queued, so a clock must wait for them."""

import torch


def synchronise(device: str) -> None:
    """Wait until the device has done all that was queued."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
