"""What a card held beside the trace of its very batches."""

from dataclasses import asdict, replace

import pytest
from tiny_trainees import labels_of, tiny_recipe

from bench.batches import Extent
from bench.cards import AMPERE, HOPPER, MIB, blas_bytes
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict import measured
from bench.predict.measured import compared, not_traced, payload_of, traced
from bench.predict.trace import trace
from bench.record import OK, Record

HEAVIEST = Extent(4, 24, 60, False)
RECIPE = tiny_recipe("tiny_llama", "qlora", precision="bfloat16")
RECORD = Record(
    case="support-tiny_llama-qlora-cuda-s0",
    status=OK,
    recipe=asdict(RECIPE),
    exact={"labels": 0, "heaviest_batches": [asdict(HEAVIEST), asdict(replace(HEAVIEST, length=16))]},
    noisy={"memory": {"train": {"allocated_bytes": 100 * MIB, "reserved_bytes": 120 * MIB, "driver_bytes": None}}},
    environment={"device": "cuda", "compute_capability": [9, 0]},
)


def test_prediction_is_the_heaviest_batchs_trace_and_the_workspaces():
    found = traced(payload_of(RECORD))["bytes"]
    own = trace(MODELS["tiny_llama"], METHODS["qlora"], RECIPE, labels_of("tiny_llama"), extent=HEAVIEST).peak_bytes
    assert found == own + blas_bytes(HOPPER)


@pytest.mark.parametrize(
    ("traced_mib", "error", "agrees"), [(98.1, -0.019, True), (97.9, -0.021, False), (102.1, 0.021, False)]
)
def test_error_is_a_share_of_what_was_measured(traced_mib, error, agrees):
    seen = compared(RECORD, round(traced_mib * MIB))
    assert seen.error == pytest.approx(error, abs=1e-6)
    assert seen.agrees is agrees


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"noisy": {"memory": {"train": {"resident_bytes": 1}}}}, "it was not run on a card"),
        ({"exact": {}}, "it does not say which of its batches were the heaviest"),
        ({"environment": {"emulation": "t4"}}, "the kernels of t4, which was emulated, are not traced"),
        ({"recipe": {**asdict(RECIPE), "engine": "trainer"}}, "the trace is of this project's own loop"),
    ],
    ids=["card", "processor", "older record", "emulated", "trainer"],
)
def test_what_is_not_traced_says_why(changes, reason):
    assert not_traced(replace(RECORD, **changes)) == reason


def test_workspaces_are_larger_on_hopper():
    assert blas_bytes(HOPPER) == 64 * MIB > blas_bytes(AMPERE)


def test_every_committed_record_of_a_card_has_its_trace():
    assert {name for name, _ in measured.committed()} == set(measured.read_traces()["traced"])
