"""Seconds, memory and energy of processes: these are the sample, they must have taken turns, and noise is no verdict."""

from dataclasses import replace

import pytest
from compared_runs import POS, committed

from bench.judge.compare import timing
from bench.judge.compare.finding import BETTER, CHANGED, INCOMPARABLE, INCONCLUSIVE, SAME, WORSE
from bench.judge.compare.timing import compare_processes, ratio, ratios, seconds_of_step, states, took_turns

RECORD = committed()[POS]
SPREAD = (0.97, 0.99, 1.0, 1.01, 1.03)
ABBA = (0, 3, 4, 7, 8), (1, 2, 5, 6, 9)  # when the processes of each side began


def processes(began, factor, spread=SPREAD, steps=10):
    return [
        replace(RECORD, repeat=number, noisy={"began": float(at), "step_cpu_seconds": [factor * share] * steps})
        for number, (at, share) in enumerate(zip(began, spread, strict=True))
    ]


def found(factor, spread=SPREAD, **more):
    (one,) = compare_processes({POS: (processes(ABBA[0], 1.0, spread), processes(ABBA[1], factor, spread, **more))})
    return one


@pytest.mark.parametrize(
    ("factor", "state"), [(1.0, SAME), (1.02, SAME), (1.2, WORSE), (0.8, BETTER), (1.035, CHANGED)]
)
def test_processes_of_little_spread_decide(factor, state):
    assert found(factor).state == state


def test_noise_wider_than_the_bar_is_inconclusive_and_not_red():
    assert found(1.1, spread=(0.5, 0.7, 1.0, 1.4, 2.0)).state == INCONCLUSIVE


def test_the_ratio_and_its_interval_are_said():
    assert found(1.2).says.startswith("1.200 times as long (95 % interval 1.1")


@pytest.mark.parametrize(
    ("sides", "says"),
    [
        ((processes((0,), 1.0, (1.0,)), processes((1,), 1.0, (1.0,))), "1 process a side says nothing"),
        ((processes(range(5), 1.0), processes(range(5, 10), 1.0)), "did not take turns"),
        ((processes(ABBA[0], 1.0), processes(ABBA[1], 1.0, steps=5)), "fewer than 7 timed steps"),
    ],
)
def test_what_cannot_be_judged_says_why(sides, says):
    (one,) = compare_processes({POS: sides})
    assert one.state == INCONCLUSIVE
    assert says in one.says


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe_digest": "other"}, "recipe differs"),
        ({"environment": {**RECORD.environment, "cores": 64}}, "machine differs (cores"),
        ({"environment": {**RECORD.environment, "emulation": "T4"}}, "emulation differs"),
    ],
)
def test_seconds_of_another_basis_are_incomparable(change, says):
    after = [replace(record, **change) for record in processes(ABBA[1], 2.0)]
    (one,) = compare_processes({POS: (processes(ABBA[0], 1.0), after)})
    assert one.state == INCOMPARABLE
    assert says in one.says


def test_seconds_of_a_process_that_ran_beside_another_are_incomparable():
    first, *others = processes(ABBA[1], 2.0)
    beside = replace(first, noisy={**first.noisy, "ran_beside": ["pos-tiny_bert-lora-cpu-s0"]})
    (one,) = compare_processes({POS: (processes(ABBA[0], 1.0), [beside, *others])})
    assert one.state == INCOMPARABLE
    assert "ran beside pos-tiny_bert-lora-cpu-s0" in one.says


def test_other_libraries_are_what_seconds_are_compared_for():
    libraries = {**RECORD.environment, "libraries": {"torch": "3"}}
    after = [replace(record, environment=libraries) for record in processes(ABBA[1], 1.2)]
    (one,) = compare_processes({POS: (processes(ABBA[0], 1.0), after)})
    assert one.state == WORSE


def test_five_cases_share_the_level():
    """p = 0.01 is red of one case, and not of five."""
    one = ratio([1.0, 1.05, 0.95, 1.02, 0.98], [1.08, 1.13, 1.02, 1.1, 1.06])
    assert 0.004 < one.p < 0.02
    assert states([one]) == [WORSE]
    assert WORSE not in states([one] * 5)


def test_cases_of_one_machine_share_half_of_their_spread():
    quiet, loud = ([1.0, 1.01, 0.99],) * 2, ([1.0, 1.2, 0.8],) * 2
    alone, together = ratio(*quiet), ratios([quiet, loud])[0]
    assert together.high > alone.high
    assert ratios([quiet]) == [alone]


@pytest.mark.parametrize(
    ("key", "figure"), [("peak_bytes", "peak memory of the process"), ("joules", "energy of training")]
)
@pytest.mark.parametrize(("factor", "state"), [(1.0, SAME), (1.2, WORSE), (0.8, BETTER)])
def test_memory_and_energy_of_processes_are_judged_like_their_seconds(key, figure, factor, state):
    sides = [
        [
            replace(record, noisy={**record.noisy, key: 1e9 * scale * share})
            for record, share in zip(processes(began, 1.0), SPREAD, strict=True)
        ]
        for began, scale in zip(ABBA, (1.0, factor), strict=True)
    ]
    time, found = compare_processes({POS: sides})
    assert (time.figure, time.state) == ("seconds of a step", SAME)
    assert (found.figure, found.state) == (figure, state)
    assert found.says.startswith(f"{factor:.3f} times as much (95 % interval ")


def test_a_figure_that_a_process_lacks_is_not_judged():
    first, *others = processes(ABBA[0], 1.0)
    before = [replace(first, noisy={**first.noisy, "joules": 5.0}), *others]
    assert [one.figure for one in compare_processes({POS: (before, processes(ABBA[1], 1.0))})] == ["seconds of a step"]


def test_all_figures_together_are_falsely_red_in_two_percent():
    assert pytest.approx(0.02) == timing.LEVEL + 2 * timing.LEVEL_OF_OTHERS


def test_turns_are_told_from_blocks():
    assert took_turns(processes(ABBA[0], 1.0), processes(ABBA[1], 1.0))
    assert not took_turns(processes(range(5), 1.0), processes(range(5, 10), 1.0))


def test_a_record_of_before_has_no_seconds_for_each_step():
    assert seconds_of_step(RECORD) is None
