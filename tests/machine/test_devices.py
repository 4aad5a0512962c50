"""Which cards a case may have, without asking torch."""

from types import SimpleNamespace

import pynvml
import pytest

from bench.executor import pool
from bench.executor.pool import before_forking
from bench.machine import devices
from bench.machine.devices import DEVICES, Card, computes_bfloat16, visible, visible_cards

CARDS = ["GPU-11aa", "GPU-11bb", "GPU-22cc"]


@pytest.mark.parametrize(
    ("setting", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("0,7,1", [0]),
        ("GPU-22", [2]),
        ("GPU-11", []),  # two cards' UUIDs begin so
        ("MIG-9f", [0, 1, 2]),
    ],
)
def test_cards_are_those_that_cuda_shows(setting, indices):
    assert visible(CARDS, setting) == indices


@pytest.mark.parametrize(
    ("flags", "units"),
    [("flags : fpu avx2 fma", False), ("flags : avx512f avx512_bf16", True), ("flags : amx_bf16 amx_tile", True),
     ("Features : asimd bf16 i8mm", True), (None, False)],
)  # fmt: skip
def test_processor_says_whether_it_has_units_for_bfloat16(monkeypatch, tmp_path, flags, units):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    computes_bfloat16.cache_clear()
    assert computes_bfloat16("cpu") is units
    assert computes_bfloat16("cuda")
    computes_bfloat16.cache_clear()


def test_nothing_that_touches_cuda_is_imported_before_forking(monkeypatch):
    preload = ("torch", "peft", "bench.worker.case", "my_entries")
    assert before_forking(preload) == list(preload)
    monkeypatch.setattr(pool, "cards", lambda: ("a card",))
    assert before_forking(preload) == ["torch", "my_entries"]


class OneMachine:
    """NVML on a machine with two cards, of which somebody uses the second."""

    NVMLError = pynvml.NVMLError

    def __init__(self):
        self.processes = {0: [], 1: ["a process", "another"]}

    def nvmlSystemGetDriverVersion(self):
        return "580"

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, index):
        return f"GPU-{index}"

    def nvmlDeviceGetMemoryInfo(self, index):
        return SimpleNamespace(total=16, free=15 - index)

    def nvmlDeviceGetName(self, index):
        return "Tesla T4"

    def nvmlDeviceGetComputeRunningProcesses(self, index):
        if self.processes is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return self.processes[index]

    def nvmlShutdown(self):
        pass


def test_cards_can_be_named_and_say_who_uses_them(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = OneMachine()
    both = (Card("Tesla T4", 16, 15, "580", "GPU-0", 0), Card("Tesla T4", 16, 14, "580", "GPU-1", 2))
    assert visible_cards(nvml) == both
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_cards(nvml) == both[1:]
    nvml.processes = None  # a driver that does not list them
    assert visible_cards(nvml)[0].processes == 0


def test_parts_of_cards_cannot_be_named_by_their_card(monkeypatch):
    """CUDA_VISIBLE_DEVICES with the card's uuid would show another part, or the whole card."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-9f")
    assert {card.uuid for card in visible_cards(OneMachine())} == {""}


def test_there_is_a_processor():
    assert DEVICES["cpu"].torch_name == "cpu"


def test_what_nvml_says_is_kept(monkeypatch):
    """A broken driver is no machine without a card."""

    def refuse():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    devices.find_cards.cache_clear()
    try:
        assert devices.cards() == ()
        assert devices.missing("cuda") == "needs a CUDA device; this machine has none (NVML: Driver Not Loaded)"
        assert devices.missing("cpu") == ""
    finally:
        devices.find_cards.cache_clear()
