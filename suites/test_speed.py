"""How fast is a training step: pytest-benchmark on steps that a worker does one by one, and the gate's rules.

    pytest suites/test_speed.py --benchmark-save before
    pytest suites/test_speed.py --benchmark-compare
    pytest suites/test_speed.py --baseline RUN      fail where steps take longer than in that run

The step is always the case's first batch, so its work is the same in every round. The worker measures the seconds
around the step itself, and its clock is pytest-benchmark's timer: making batches and talking to the worker are not
timed. Memory, FLOPs, tokens and quality in `extra_info` come from the case's record. So do the seconds that are
compared with a baseline: one process is one value, and the processes of both runs must have taken turns on one machine.
"""

from typing import Any

import pytest

from bench.core.case import Case
from bench.judge.compare.finding import INCOMPARABLE, INCONCLUSIVE, NEW, WORSE, Finding
from bench.judge.compare.timing import PROCESSES
from bench.records.record import Record
from bench.report.benchmarks import figures_of

UNDECIDED = (INCONCLUSIVE, INCOMPARABLE, NEW)
TAKE_TURNS = (
    "seconds are judged from processes of both runs that take turns on one machine, A B B A: "
    f"`pytest suites/test_speed.py --resume RUN --repeat N` in each of them, for N from 1 to {PROCESSES - 1}"
)
ROUNDS = 5
WARM_UP_ROUNDS = 1


def timed(case: Case) -> bool:
    """LoRA on one encoder's and one decoder's task; the step times of all other cases are in their records."""
    return case.method == "lora" and case.task in ("pos", "support")


SPENT = [0.0]  # seconds of all steps so far, by the worker's clock


def worker_clock() -> float:
    """A timer for pytest-benchmark that advances by the worker's own seconds of each step."""
    return SPENT[0]


@pytest.mark.benchmark(timer=worker_clock)
@pytest.mark.cases(wanted=timed)
def test_training_step(case: Case, record: Record, steps: Any, benchmark: Any) -> None:
    benchmark.extra_info["case"] = case.id
    benchmark.extra_info["environment"] = steps.call("describe")
    benchmark.extra_info.update(figures_of(record))
    done: list[dict[str, float]] = []

    def step() -> None:
        done.append(steps.call("step"))
        SPENT[0] += done[-1]["seconds"]

    benchmark.pedantic(step, rounds=ROUNDS, warmup_rounds=WARM_UP_ROUNDS)
    tokens = done[-1]["tokens"]
    benchmark.extra_info["tokens_per_step"] = tokens
    if benchmark.stats:  # none with --benchmark-disable
        benchmark.extra_info["tokens_per_second"] = tokens / benchmark.stats.stats.median
    if len(done) > 1:  # once with --benchmark-disable
        first, last = done[0]["loss"], done[-1]["loss"]
        assert last < first, (
            f"the loss of one batch went from {first:.4f} to {last:.4f} in {len(done)} steps; it must fall when the "
            "batch is repeated; does the optimizer step, and does the loss reach what trains?"
        )


@pytest.mark.cases(wanted=timed)
def test_no_slower_than_baseline(seconds_finding: Finding) -> None:
    """The seconds of a case's steps, by Student's t over the processes of both runs; noise is no verdict."""
    said = seconds_finding.sentence()
    if seconds_finding.state in UNDECIDED:
        pytest.skip(f"{said}; {TAKE_TURNS}")
    assert seconds_finding.state != WORSE, (
        f"{said}; a step may not take longer than in the baseline; which library, driver or thread count changed?"
    )
