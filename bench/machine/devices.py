"""Devices: what a case runs on. `cpu`, and `cuda` for the card that the executor gives it.

The pytest process asks NVML (through pynvml) which cards there are, because asking torch would import it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.registry import Registry


@dataclass(frozen=True)
class Device:
    name: str
    says: str
    torch_name: str


DEVICES: Registry[Device] = Registry("device")
DEVICES.put("cpu", Device("cpu", "the processor", "cpu"))
DEVICES.put("cuda", Device("cuda", "a CUDA card, with one worker the first visible one that holds the case", "cuda:0"))


PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names them on x86 and Arm


@cache
def computes_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware. A processor without it is many times slower than in float32.

    A kind of card may still lack it (bench.machine.cards). A processor that does not list its features counts as
    lacking it.
    """
    if device != "cpu":
        return True
    words = PROCESSOR.read_text(encoding="utf-8", errors="replace").split() if PROCESSOR.exists() else []
    return not BFLOAT16_UNITS.isdisjoint(words)


@dataclass(frozen=True)
class Card:
    """A CUDA card as NVML describes it; memory in bytes.

    uuid names it in CUDA_VISIBLE_DEVICES; empty if that names parts of cards. processes counts those that compute on
    it.
    """

    name: str
    total_bytes: int
    free_bytes: int
    driver: str
    uuid: str = ""
    processes: int = 0


def cards() -> tuple[Card, ...]:
    """The CUDA cards that CUDA_VISIBLE_DEVICES shows; empty if NVML finds none (see cards_error)."""
    return find_cards()[0]


def cards_error() -> str:
    """NVML's error if it could not look for cards, for example because a driver is missing; empty if it could."""
    return find_cards()[1]


def cards_now() -> tuple[Card, ...]:
    """The visible cards with what is free on them at this moment."""
    return look_for_cards()[0] if cards() else ()


@cache
def find_cards() -> tuple[tuple[Card, ...], str]:
    """What look_for_cards found when it was first asked."""
    return look_for_cards()


def look_for_cards() -> tuple[tuple[Card, ...], str]:
    """The visible cards, and NVML's error if there is one."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return visible_cards(pynvml), ""
    except pynvml.NVMLError as error:
        return (), str(error)


def visible_cards(pynvml: ModuleType) -> tuple[Card, ...]:
    """The visible cards, from an initialised NVML. Raises NVMLError."""
    driver = str(pynvml.nvmlSystemGetDriverVersion())
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    identities = [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = []
    for index in visible(identities, setting):
        memory = pynvml.nvmlDeviceGetMemoryInfo(handles[index])
        name = str(pynvml.nvmlDeviceGetName(handles[index]))
        uuid = "" if setting and "MIG-" in setting else identities[index]
        processes = computing_processes(pynvml, handles[index])
        found.append(Card(name, int(memory.total), int(memory.free), driver, uuid, processes))
    pynvml.nvmlShutdown()
    return tuple(found)


def computing_processes(pynvml: ModuleType, handle: Any) -> int:
    """The number of processes that compute on the card; 0 where its driver does not list them."""
    try:
        return len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    except pynvml.NVMLError:
        return 0


def visible(identities: Sequence[str], setting: str | None) -> list[int]:
    """Indices of the cards that CUDA shows for this CUDA_VISIBLE_DEVICES, up to the first name that matches no card.

    identities are UUIDs. If the setting names a part of a card ("MIG-..."), all cards are returned.
    """
    if setting is None or "MIG-" in setting:
        return list(range(len(identities)))
    shown = []
    for name in map(str.strip, setting.split(",")):
        named = [i for i, uuid in enumerate(identities) if name == str(i) or (name and uuid.startswith(name))]
        if len(named) != 1:
            break
        shown += named
    return shown


def missing(device: str) -> str:
    """Why a case cannot run on this device here; empty if it can."""
    if DEVICES[device].name == "cuda" and not cards():
        why = f" (NVML: {cards_error()})" if cards_error() else ""
        return f"needs a CUDA device; this machine has none{why}"
    return ""
