"""Joules and the share of a card's peak: what NVML counts, and what the maker states."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import torch

# Dense bf16 (T4: fp16) matrix products in FLOP/s, from NVIDIA's data sheets of each card.
PEAK_FLOPS = {
    "H200": 989e12,
    "H100 80GB HBM3": 989e12,
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "L4": 121e12,
    "L40S": 362e12,
    "T4": 65e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165e12,
}


class Joules:
    """Energy that the card spent between start and stop; None where NVML does not count it."""

    def __init__(self, device: str) -> None:
        self.handle: Any = None
        if not device.startswith("cuda"):
            return
        import pynvml

        try:
            pynvml.nvmlInit()
            self.handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
            self.started = pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)
        except pynvml.NVMLError:
            self.handle = None

    def spent(self) -> float | None:
        """Joules since the start, without what was spent while paused."""
        if self.handle is None:
            return None
        import pynvml

        return (pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) - self.started) / 1000  # millijoules

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What is done meanwhile does not count."""
        before = self.spent()
        yield
        after = self.spent()
        if before is not None and after is not None:
            self.started += round((after - before) * 1000)


def utilisation(flops_per_second: float, device: str) -> float | None:
    """Share of the card's peak (MFU); None where no peak is known, as for processors.

    Raises ArithmeticError above 1: the FLOPs or the clock are wrong then, and that is no record.
    """
    if not device.startswith("cuda"):
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((value for key, value in PEAK_FLOPS.items() if re.search(rf"\b{key}\b", name)), None)
    if peak is None:
        return None
    share = flops_per_second / peak
    if share > 1:
        raise ArithmeticError(f"{flops_per_second:.3g} FLOP/s is {share:.0%} of the peak of {name}; a count is wrong")
    return share
