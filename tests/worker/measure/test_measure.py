"""Figures: bytes that repeat and add up by hand, statistics, and what a machine is."""

import json

import pytest
import torch
from tiny_trainees import TINY, tiny_base, tiny_examples, tiny_recipe, tiny_trainee

from bench.machine.environment import LIBRARIES, describe_machine, describe_worker
from bench.worker.measure import energy, memory, parameters
from bench.worker.measure.clock import step_statistics
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


def test_packed_weights_count_as_the_weights_they_stand_for():
    packed, plain = (parameters.counted(tiny_base("tiny_llama", name, tiny_recipe())) for name in ("qlora", "lora"))
    assert packed["total_parameters"] == plain["total_parameters"]


def test_a_processor_has_no_joules():
    assert energy.Joules("cpu").spent() is None


def test_step_statistics_leave_the_warm_up_out():
    found = step_statistics([9, 9, 1, 2, 3, 4], [1, 1, 10, 10, 10, 10], [2, 2, 20, 20, 20, 20])
    assert found == {
        "seconds_per_step": 2.5,
        "seconds_per_step_iqr": pytest.approx(3.75 - 1.25),
        "tokens_per_second": 4.0,
        "padded_tokens_per_second": 8.0,
        "steps_timed": 4,
        "warm_up_steps": 2,
    }


def test_few_steps_have_no_warm_up_and_no_spread():
    found = step_statistics([1.0, 2.0, 3.0], [6, 6, 6], [12, 12, 12])
    assert (found["steps_timed"], found["warm_up_steps"], found["seconds_per_step_iqr"]) == (3, 0, None)
    assert found["tokens_per_second"] == 3.0


def test_environment_has_the_installed_versions():
    found = describe_worker("cpu")
    assert found["libraries"].keys() == set(LIBRARIES)
    assert found["libraries"]["torch"] == torch.__version__
    assert found["libraries"]["transformers"]
    assert found["threads"] == torch.get_num_threads()
    assert found["device"] == "cpu"
    assert json.loads(json.dumps(found)) == found


def test_machine_is_described_for_comparing():
    assert {"python", "system", "processor", "cores", "accelerator", "commit", "dirty"} <= describe_machine().keys()
    assert describe_machine()["cores"] >= 1
