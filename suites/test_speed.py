"""How fast is a training step: pytest-benchmark on steps that a worker does one by one.

    pytest suites/test_speed.py --benchmark-save before
    pytest suites/test_speed.py --benchmark-compare

The step is always the case's first batch, so its work is the same in every round. The seconds are those that the
worker measures around the step itself: its clock is pytest-benchmark's timer, so making batches and the way between
the processes are not in them.
"""

from typing import Any

import pytest

from bench.core.case import Case

ROUNDS = 5
WARM_UP_ROUNDS = 1


def timed(case: Case) -> bool:
    """LoRA on one encoder's and one decoder's task; all other cases' step times stand in their records."""
    return case.method == "lora" and case.task in ("pos", "support")


SPENT = [0.0]  # seconds of all steps so far, by the worker's clock


def worker_clock() -> float:
    """A timer for pytest-benchmark that moves on by the worker's own seconds of each step."""
    return SPENT[0]


@pytest.mark.benchmark(timer=worker_clock)
@pytest.mark.cases(wanted=timed)
def test_training_step(case: Case, steps: Any, benchmark: Any) -> None:
    benchmark.extra_info["case"] = case.id
    benchmark.extra_info["environment"] = steps.call("describe")
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
        assert done[-1]["loss"] < done[0]["loss"], "the loss of a batch that is repeated must fall"
