"""Joules that a card spends, as NVML counts them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


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

    def joules_spent(self) -> float | None:
        """Joules since the start, without what was spent while paused."""
        if self.handle is None:
            return None
        import pynvml

        return (pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) - self.started) / 1000  # millijoules

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Energy spent inside does not count."""
        before = self.joules_spent()
        yield
        after = self.joules_spent()
        if before is not None and after is not None:
            self.started += round((after - before) * 1000)
