"""Bytes that repeat and add up by hand, and peaks of phases."""

import pytest
import torch
from tiny_trainees import TINY, tiny_examples, tiny_trainee

from bench.worker.measure import memory
from bench.worker.measure.memory import ROUNDING, LiveStorages, Phases, free_bytes
from bench.worker.train.backward import backward

MEBI = 1 << 20


def step_bytes(model, method):
    """(resting, peak) bytes of a training step's tensors, of a model built anew."""
    trainee = tiny_trainee(model, method)
    batch = trainee.batching.one(tiny_examples(model, 4))
    with LiveStorages() as storages:
        for tensor in (*trainee.model.parameters(), *trainee.model.buffers()):
            storages.add(tensor.detach())
        resting = storages.live_bytes
        backward(trainee, [batch])
    return resting, storages.peak_bytes


def test_storages_of_a_matrix_product_add_up():
    left, right = torch.ones(16, 32), torch.ones(32, 64)  # 2,048 and 8,192 bytes
    with LiveStorages() as storages:
        storages.add(left)
        storages.add(right)
        product = left @ right  # 16 x 64 x 4 = 4,096 bytes
        assert storages.live_bytes == 2048 + 8192 + 4096
        del product
        assert storages.live_bytes == 2048 + 8192
    assert storages.peak_bytes == 2048 + 8192 + 4096


def test_a_peak_is_of_what_lives_together():
    with LiveStorages() as storages:
        for _ in range(3):
            torch.ones(1024)  # gone before the next one is made
    assert storages.peak_bytes == 4096


def test_a_view_holds_no_bytes_and_a_small_tensor_a_whole_block():
    with LiveStorages() as storages:
        row = torch.ones(3)
        views = row[:2], row.view(3, 1)
    assert storages.live_bytes == ROUNDING
    assert len(views) == 2


def test_a_sparse_tensor_holds_its_places_and_its_values():
    places, values = torch.tensor([[0, 1], [1, 0]]), torch.ones(2)
    with LiveStorages() as storages:
        sparse = torch.sparse_coo_tensor(places, values, (4, 4), check_invariants=True).mul(2.0)
        held = storages.live_bytes
        del sparse
    assert held >= 2 * ROUNDING
    assert storages.live_bytes < held


def test_a_view_keeps_its_storage_alive():
    with LiveStorages() as storages:
        view = torch.ones(1024)[:1]
        assert storages.live_bytes == 4096
        del view
    assert storages.live_bytes == 0


@pytest.mark.parametrize("method", ["lora", "full", "qlora"])
@pytest.mark.parametrize("model", TINY)
def test_storages_of_a_step_repeat_to_the_byte(model, method):
    assert step_bytes(model, method) == step_bytes(model, method)


@pytest.mark.parametrize("model", TINY)
def test_full_training_holds_more_than_lora(model):
    (_, full), (_, lora) = step_bytes(model, "full"), step_bytes(model, "lora")
    assert full > lora


def test_a_cards_allocator_is_there_before_its_peak_is_started_again(monkeypatch):
    """torch refuses to start the peak of a card that nothing has touched; a case's first phase would end there."""
    asked = []
    for name in ("init", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda name=name: asked.append(name))
    for name in ("reset_peak_memory_stats", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda device, name=name: asked.append(name))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 4)
    monkeypatch.setattr(memory, "driver_bytes", lambda device: None)
    phases = Phases("cuda:0")
    with phases("load"):
        pass
    assert asked[0] == "init"
    assert "reset_peak_memory_stats" in asked
    assert phases.peaks["load"] == {"allocated_bytes": 3, "reserved_bytes": 4, "driver_bytes": None}
    assert phases.highest() == 4


@pytest.mark.parametrize(
    ("share", "free", "expected"),
    [
        pytest.param(1.0, 50, 60, id="the card's, and what the allocator keeps unused"),
        pytest.param(0.3, 50, 10, id="the cap's, less what tensors hold"),
    ],
)
def test_free_bytes_are_within_the_cap(monkeypatch, share, free, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 100))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 30)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    assert free_bytes("cuda:0") == expected
    assert free_bytes("cpu") is None


def test_storages_of_one_device_are_counted_alone():
    with LiveStorages(device="cuda:0") as other, LiveStorages(device="cpu") as own:
        kept = torch.ones(256)
    assert (other.peak_bytes, own.peak_bytes) == (0, 1024)
    assert kept.sum() == 256


def test_a_phase_does_not_inherit_the_peak_before():
    phases = Phases("cpu")
    if not phases.resettable:
        pytest.skip("needs a kernel that lets a process reset its peak; this one does not")
    with phases("before"):
        torch.ones(64 * MEBI)  # 256 MiB, touched and freed
    with phases("after"):
        pass
    fallen = phases.peaks["before"]["resident_bytes"] - phases.peaks["after"]["resident_bytes"]
    assert fallen > 200 * MEBI
    assert phases.highest() == phases.peaks["before"]["resident_bytes"]


@pytest.mark.parametrize("allowed", [0, 1, 4], ids=["never", "at the start", "for a while"])
def test_a_peak_that_cannot_be_started_again_is_the_processes(monkeypatch, allowed):
    """Phases would each show the highest so far, of whatever phase it was."""
    answers, seen = iter([True] * allowed), iter([3, 3, 9, 9, 9, 9])
    monkeypatch.setattr(memory, "reset_resident_peak", lambda: next(answers, False))
    monkeypatch.setattr(memory, "resident_peak_bytes", lambda: next(seen))
    phases = Phases("cpu")
    for name in ("load", "train", "evaluate"):
        with phases(name):
            pass
    assert phases.peaks == {"process": {"resident_bytes": 9}}
    assert len(phases.reasons) == 1
    assert "of the whole process so far" in phases.reasons[0]
    assert phases.highest() == 9


def test_phases_whose_peak_is_started_again_say_nothing(monkeypatch):
    monkeypatch.setattr(memory, "reset_resident_peak", lambda: True)
    phases = Phases("cpu")
    with phases("load"):
        pass
    assert phases.peaks.keys() == {"load"}
    assert phases.reasons == []
