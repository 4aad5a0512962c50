"""A case's seconds by stage: exclusive, complete, and the sentence about them."""

import time
from types import SimpleNamespace

import pytest

from bench.worker.timeline import Timeline, share_of_training


def test_a_stage_inside_another_interrupts_it_and_all_add_up():
    began = time.perf_counter()
    timeline = Timeline()
    with timeline("train"):
        time.sleep(0.02)
        with timeline("evaluate"):
            time.sleep(0.05)
    time.sleep(0.03)
    seconds = timeline.seconds()
    assert sum(seconds.values()) == pytest.approx(time.perf_counter() - began, abs=0.01)
    assert 0.02 <= seconds["train"] < 0.05 <= seconds["evaluate"]
    assert seconds["other"] >= 0.03


def test_a_stage_that_raises_is_booked_and_left():
    timeline = Timeline()
    with pytest.raises(KeyError), timeline("load"):
        raise KeyError
    with timeline("attach"):
        pass
    assert set(timeline.seconds()) == {"other", "load", "attach"}


def test_seconds_that_are_moved_stay_the_same_in_sum():
    timeline = Timeline()
    with timeline("train"):
        time.sleep(0.02)
    before = timeline.seconds()
    timeline.move("train", "data", 0.01)
    assert timeline.seconds()["data"] == 0.01
    assert timeline.seconds()["train"] == pytest.approx(before["train"] - 0.01)


def test_a_first_methods_steps_are_training_in_the_share():
    records = [record(10.0, first_method=3.0, train=4.0, evaluate_before=1.0, check=2.0)]
    assert share_of_training(records).startswith("training and evaluation took 80% of")


def record(case_seconds, **seconds):
    return SimpleNamespace(noisy={"case_seconds": case_seconds, "seconds": seconds})


def test_the_share_counts_both_evaluations_over_all_cases():
    records = [record(10.0, train=4.0, evaluate_before=1.0, evaluate=2.0, check=3.0), record(10.0, train=7.0)]
    assert share_of_training(records) == (
        "training and evaluation took 70% of the cases' 10 s; the rest: check 30%"
    )  # the second is of before stages were timed


def test_without_accounts_there_is_no_share():
    assert share_of_training([record(10.0, train=7.0), SimpleNamespace(noisy={})]) == ""
