"""Which cards a case may have, without asking torch."""

from types import SimpleNamespace

import pynvml
import pytest

from bench import devices
from bench.devices import DEVICES, computes_bfloat16, visible
from bench.executor import pool
from bench.executor.pool import before_forking

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
    computes_bfloat16.cache_clear()


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_card_says_whether_it_has_units_for_bfloat16(monkeypatch, capability, native):
    nvml = SimpleNamespace(total=1, free=1)
    answers = {"nvmlInit": None, "nvmlShutdown": None, "nvmlSystemGetDriverVersion": "580", "nvmlDeviceGetCount": 1,
               "nvmlDeviceGetHandleByIndex": 0, "nvmlDeviceGetUUID": "GPU-1", "nvmlDeviceGetName": "a card",
               "nvmlDeviceGetMemoryInfo": nvml, "nvmlDeviceGetCudaComputeCapability": capability}  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, lambda *asked, answer=answer: answer)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for asked in (devices.cards, computes_bfloat16):
        asked.cache_clear()
    assert computes_bfloat16("cuda") is native
    for asked in (devices.cards, computes_bfloat16):
        asked.cache_clear()


def test_nothing_that_touches_cuda_is_imported_before_forking(monkeypatch):
    preload = ("torch", "peft", "bench.run", "my_entries")
    assert before_forking(preload) == list(preload)
    monkeypatch.setattr(pool, "cards", lambda: ("a card",))
    assert before_forking(preload) == ["torch", "my_entries"]


def test_there_is_a_processor():
    assert DEVICES["cpu"].torch_name == "cpu"
