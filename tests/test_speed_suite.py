"""suites/test_speed.py hands the worker's seconds to pytest-benchmark, not the time of asking for them."""

import importlib.util
import time

import pytest

from bench.core.case import parse_case
from bench.core.paths import ROOT
from bench.records.record import read_records

CASE = parse_case("pos-minilm_l6-lora-cpu-s0")
RECORD = read_records(ROOT / "results" / "runs" / "smoke" / "records.jsonl")[0][CASE.id]
SECONDS = 5.0  # of a step, by the clock of a worker that answers at once


def load_suite():
    spec = importlib.util.spec_from_file_location("speed_suite", ROOT / "suites" / "test_speed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SPEED = load_suite()
MARK = next(mark for mark in SPEED.test_training_step.pytestmark if mark.name == "benchmark")


class Steps:
    """A worker whose loss falls from step to step."""

    def __init__(self):
        self.loss = 2.0

    def call(self, method):
        if method == "describe":
            return {"torch": "a version"}
        self.loss /= 2
        return {"loss": self.loss, "seconds": SECONDS, "tokens": 100}


@pytest.mark.benchmark(**MARK.kwargs)
def test_seconds_are_the_workers(benchmark):
    began = time.perf_counter()
    SPEED.test_training_step(CASE, RECORD, Steps(), benchmark)
    assert time.perf_counter() - began < SECONDS
    assert benchmark.stats.stats.median == SECONDS
    assert benchmark.extra_info["tokens_per_second"] == 100 / SECONDS
    assert benchmark.extra_info["case"] == CASE.id
    assert benchmark.extra_info["quality"] == RECORD.quality["f1"]
