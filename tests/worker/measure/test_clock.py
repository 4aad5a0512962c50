"""Statistics of step times."""

import pytest

from bench.worker.measure.clock import step_statistics


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
