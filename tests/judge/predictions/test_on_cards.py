"""What a card held beside the trace of its very batches."""

from dataclasses import asdict, replace

import pytest
from tiny_trainees import labels_of, tiny_recipe

from bench.core.case import parse_case
from bench.core.extent import Extent
from bench.judge.predictions import card_traces, on_cards
from bench.judge.predictions.card_traces import payload_of, trace_record
from bench.judge.predictions.on_cards import compare_with_card, not_traced
from bench.machine.cards import AMPERE, HOPPER, MIB, blas_bytes
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.card.replay import replay
from bench.predict.trace import course as course_module
from bench.predict.trace.steps import trace
from bench.recipes.of_case import recipe_for
from bench.records.record import OK, Record
from bench.report.on_cards import cells
from bench.sources import SourceError
from bench.worker.train.chunked_losses import CHUNKS, LIGER

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


def test_prediction_is_the_heaviest_batchs_trace_in_blocks_and_the_workspaces():
    found = trace_record(payload_of(RECORD))["bytes"]
    own = trace(MODELS["tiny_llama"], METHODS["qlora"], RECIPE, labels_of("tiny_llama"), extent=HEAVIEST)
    assert found == replay(own.log).allocated_bytes + blas_bytes(HOPPER) >= own.peak_bytes


@pytest.mark.parametrize(
    ("traced_mib", "error", "agrees"), [(98.1, -0.019, True), (97.9, -0.021, False), (102.1, 0.021, False)]
)
def test_error_is_a_share_of_what_was_measured(traced_mib, error, agrees):
    seen = compare_with_card(RECORD, round(traced_mib * MIB))
    assert seen.error == pytest.approx(error, abs=1e-6)
    assert seen.agrees is agrees


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"noisy": {"memory": {"train": {"resident_bytes": 1}}}}, "it was not run on a card"),
        ({"exact": {}}, "it does not say which of its batches were the heaviest"),
        ({"environment": {"emulation": "t4"}}, "the kernels of t4, which was emulated, are not traced"),
        (
            {"environment": {"allocator": "expandable_segments:True"}},
            "its allocator was set otherwise: expandable_segments:True",
        ),
        ({"recipe": {**asdict(RECIPE), "engine": "trainer"}}, "the trace is of this project's own loop"),
        ({"environment": {"loss_by": CHUNKS}}, ""),
        (
            {"environment": {"loss_by": LIGER}},
            "its loss in chunks is liger's, and this project's own is traced",
        ),
    ],
    ids=["card", "processor", "older record", "emulated", "allocator", "trainer", "own loss", "another's loss"],
)
def test_what_is_not_traced_says_why(changes, reason):
    assert not_traced(replace(RECORD, **changes)) == reason


def test_workspaces_are_larger_on_hopper():
    assert blas_bytes(HOPPER) == 64 * MIB > blas_bytes(AMPERE)


COMMITTED = dict(card_traces.committed_card_records())


def test_every_committed_record_of_a_card_has_its_trace():
    assert set(COMMITTED) == set(card_traces.read_traces()["traced"])


@pytest.mark.parametrize("name", COMMITTED)
def test_what_a_card_reserved_is_predicted_within_a_twentieth(name):
    reserved = on_cards.peaks_of(COMMITTED[name])["reserved_bytes"]
    traced = card_traces.read_traces()["traced"][name]["reserved_bytes"]
    assert traced == pytest.approx(reserved, rel=on_cards.RESERVED_AGREES)


def test_other_data_is_not_traced():
    record = replace(
        RECORD, recipe=asdict(recipe_for(parse_case(RECORD.case), "sample")), data={"identity": "sha256:0"}
    )
    with pytest.raises(card_traces.OtherData, match="its data was sha256:0, and here it is sha256:"):
        card_traces.reserved_of(record, None)


def test_data_that_is_not_there_is_not_traced(monkeypatch):
    def nothing(*_):
        raise SourceError("no mirror was given")

    monkeypatch.setattr(course_module, "read_examples", nothing)
    with pytest.raises(card_traces.OtherData, match="no mirror was given"):
        card_traces.reserved_of(RECORD, None)


def test_a_row_without_a_figure_has_a_dash():
    record = replace(RECORD, noisy={**RECORD.noisy, "seconds_per_step": 1.0}, environment={"accelerator": "a card"})
    record.noisy["memory"]["train"]["reserved_bytes"] = None
    row = cells(record, {"allocated_bytes": 98 * MIB, "reserved_bytes": 120 * MIB})
    assert row[2:] == ["0.10", "0.10", "-2.0%", "–", "0.13", "–", "–", "1.000"]
