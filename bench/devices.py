"""Devices: what a case runs on. `cpu`, and `cuda` for the first visible card.

The pytest process asks NVML (through pynvml) what there is, because asking torch would import it.
"""

from dataclasses import dataclass
from functools import cache

from bench.registry import Registry


@dataclass(frozen=True)
class Device:
    name: str
    says: str
    torch_name: str


DEVICES: Registry[Device] = Registry("device")
DEVICES.put("cpu", Device("cpu", "the processor", "cpu"))
DEVICES.put("cuda", Device("cuda", "the first visible CUDA card", "cuda:0"))


@dataclass(frozen=True)
class Card:
    """A CUDA card as NVML describes it; memory in bytes."""

    name: str
    total_bytes: int
    free_bytes: int
    driver: str


@cache
def cards() -> tuple[Card, ...]:
    """The machine's CUDA cards; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    driver = str(pynvml.nvmlSystemGetDriverVersion())
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        found.append(Card(str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free), driver))
    pynvml.nvmlShutdown()
    return tuple(found)


def missing(device: str) -> str:
    """Why a case cannot run on this device here; empty if it can."""
    if DEVICES[device].name == "cuda" and not cards():
        return "needs a CUDA device; this machine has none"
    return ""
