"""The table of figures: every entry is found in stored records, and says what it is."""

from dataclasses import replace

import pytest

from bench.core.paths import COMMITTED
from bench.judge.claims.vocabulary import UNITS as CLAIM_UNITS
from bench.records.figures import (
    EXACT,
    FIGURES,
    LESS,
    MORE,
    NEITHER,
    NOISY,
    QUALITY,
    UNITS,
    Spread,
    at,
    figures_of,
)
from bench.records.record import BadRecord, Record, read_lines

NOISY_FIGURES = {
    "seconds_per_step": 2.0, "seconds_per_step_iqr": 0.5, "steps_timed": 6, "peak_bytes": 5, "seconds": {"train": 9.0},
    "memory": {"train": {"allocated_bytes": 3, "reserved_bytes": None}},
    "inference": {"base": {"seconds_per_token": 0.1, "iqr": 0.01, "rounds": 7}},
}  # fmt: skip
RECORD = Record(
    "support-tiny_llama-lora-cpu-s0",
    "ok",
    quality={"loss": 1.0, "rouge": 0.5},
    quality_before={"loss": 3.0},
    exact={"trainable_parameters": 5, "total_parameters": 100, "adapter_bytes": 7},
    noisy=NOISY_FIGURES,
)
RUNS = ("smoke", "h200", "pos-full", "medqa-ranks")


@pytest.fixture(scope="module")
def stored():
    """Every record of some committed runs, on a processor and on a card."""
    return [record for run in RUNS for record in read_lines(COMMITTED / run / "records.jsonl")[0].values()]


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda figure: figure.name)
def test_a_figure_is_in_some_committed_record(figure, stored):
    """A wrong path would read as a figure that no record has."""
    if figure.calculate:
        assert any(figure.calculate(record) is not None for record in stored)
        return
    parent, _, name = figure.path.rpartition(".")
    assert any(name in (at(record, parent) or {}) for record in stored)


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda figure: figure.name)
def test_a_figure_says_what_it_is(figure):
    assert figure.says
    assert figure.unit == UNITS[figure.dimension]
    assert figure.kind in (QUALITY, EXACT, NOISY)
    assert figure.better in (LESS, MORE, NEITHER)
    assert bool(figure.path) != bool(figure.calculate)


def test_places_are_those_of_one_figure_each():
    paths = [figure.path for figure in FIGURES.values() if figure.path]
    assert len(set(paths)) == len(paths)


def test_claims_have_units_for_the_dimensions_that_they_had():
    dimensions = {dimension for dimension, _ in CLAIM_UNITS.values()}
    assert {"fraction", "nats", "time", "bytes", "flop", "parameters"} <= dimensions & UNITS.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", 1.0),
        ("loss_change", -2.0),
        ("trainable_share", 0.05),
        ("adapter_bytes", 7),
        ("seconds_per_step", 2.0),
        ("training_seconds", 9.0),
        ("allocated_peak_bytes", 3),
        ("reserved_peak_bytes", None),
        ("base_seconds_per_token", 0.1),
        ("f1", None),
        ("joules", None),
    ],
)
def test_a_figure_reads_its_place(name, value):
    assert FIGURES[name].value(RECORD) == value


def test_seconds_of_a_case_beside_others_are_stated_and_not_compared():
    beside = replace(RECORD, noisy={**NOISY_FIGURES, "ran_beside": ["another"]})
    figure = FIGURES["seconds_per_step"]
    assert (figure.value_in(beside), figure.value(beside), figure.spread(beside)) == (2.0, None, None)
    assert FIGURES["peak_bytes"].value(beside) == 5


def test_a_peak_of_the_whole_process_is_stated_and_not_compared():
    whole = replace(RECORD, noisy={**NOISY_FIGURES, "memory": {"process": {"resident_bytes": 5}}})
    assert (FIGURES["peak_bytes"].value_in(whole), FIGURES["peak_bytes"].value(whole)) == (5, None)


def test_an_f1_of_before_is_stated_and_not_compared():
    older = replace(RECORD, case="pos-tiny_bert-lora-cpu-s0", quality={"f1": 1.0, "precision": 1.0})
    assert (FIGURES["f1"].value_in(older), FIGURES["f1"].value(older)) == (1.0, None)


def test_spread_is_of_what_a_run_measures_often_enough():
    assert FIGURES["seconds_per_step"].spread(RECORD) == Spread(2.0, 0.5, 6)
    assert FIGURES["base_seconds_per_token"].spread(RECORD) == Spread(0.1, 0.01, 7)
    assert FIGURES["adapter_bytes"].spread(RECORD) is None
    few = replace(RECORD, noisy={**NOISY_FIGURES, "seconds_per_step_iqr": None, "steps_timed": 3})
    assert FIGURES["seconds_per_step"].spread(few) is None


def test_a_figure_that_a_table_needs_is_missed_in_one_sentence():
    assert FIGURES["adapter_bytes"].required_value(RECORD) == 7
    with pytest.raises(BadRecord, match=r"^support-tiny_llama-lora-cpu-s0 has no joules \(energy of training\); run"):
        FIGURES["joules"].required_value(RECORD)


def test_a_record_has_the_figures_of_the_table_and_its_tasks_own_metrics():
    found = figures_of(RECORD)
    assert {"loss", "adapter_bytes", "seconds_per_step", "rouge"} <= found.keys()
    assert "joules" not in found
    assert (found["rouge"].kind, found["rouge"].better, found["rouge"].value(RECORD)) == (QUALITY, NEITHER, 0.5)


def test_a_place_without_a_table_is_empty():
    assert at(RECORD, "noisy.memory.train.allocated_bytes") == 3
    assert at(RECORD, "noisy.peak_bytes.train") is None
    assert at(RECORD, "nothing.there") is None
