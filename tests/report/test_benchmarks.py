"""The table after pytest-benchmark's: memory, FLOPs and quality of a case in a saved run and now."""

from dataclasses import replace

import pytest

from bench.core.paths import ROOT
from bench.records.record import read_records
from bench.report.benchmarks import comparison_lines, figures_of

RECORD = read_records(ROOT / "results" / "runs" / "smoke" / "records.jsonl")[0]["support-smollm2_135m-lora-cpu-s0"]
NAME = f"suites/test_speed.py::test_training_step[{RECORD.case}]"
MEASURED = {"case": RECORD.case, "seconds_per_step": 2.0, "tokens_per_step": 370, "tokens_per_second": 185.0}
THEN = {**MEASURED, **figures_of(RECORD)}


def cells(line):
    return [cell for cell in line.split("  ") if cell.strip()]


def test_figures_are_the_records():
    found = figures_of(RECORD)
    assert found["peak_bytes"] == RECORD.noisy["peak_bytes"]
    assert found["mean_step_flops"] * RECORD.exact["optimizer_steps"] == RECORD.exact["training_model_flops"]
    assert (found["metric"], found["quality"]) == ("loss", RECORD.quality["loss"])


def test_quality_with_random_weights_is_none():
    assert figures_of(replace(RECORD, quality_judged=False))["quality"] is None


def test_every_figure_is_compared_below_its_case():
    now = {**THEN, "seconds_per_step": 3.0, "peak_bytes": THEN["peak_bytes"] // 2}
    heading, case, *lines = comparison_lines({NAME: THEN}, {NAME: now})
    assert heading.split() == ["then", "now", "change"]
    assert case == RECORD.case
    found = {line[:14].strip(): line[14:].split() for line in lines}
    assert found["s/step"] == ["2", "3", "+50.0%"]
    assert found["peak memory"][-1] == "-50.0%"
    assert found["TFLOPs/step"][-1] == "same"
    assert found["loss"] == [f"{RECORD.quality['loss']:.4f}"] * 2 + ["same"]


@pytest.mark.parametrize("part", ["recipe", "data", "weights"])
def test_quality_of_another_basis_is_not_compared(part):
    lines = comparison_lines({NAME: {**THEN, part: "other"}}, {NAME: THEN})
    assert lines[-1].endswith(f"other {part}")


def test_saved_run_without_the_figures_has_dashes():
    lines = comparison_lines({NAME: {"seconds_per_step": 2.0}}, {NAME: THEN})
    assert [line.split()[-1] for line in lines[3:-1]] == ["–"] * 5
    assert lines[2].split()[-1] == "same"


def test_table_fits_a_hundred_columns():
    long = "alpaca_worst-llama31_70b-lora_after_full-cuda-s10"
    lines = comparison_lines({long: {**THEN, "case": long}}, {long: {**THEN, "case": long}})
    assert max(map(len, lines)) <= 100


def test_nothing_in_common_is_no_table():
    assert comparison_lines({"other": THEN}, {NAME: THEN}) == []
