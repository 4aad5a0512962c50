"""The simulation judges by the gate's own functions, and its prior is that of the stored runs."""

import random

import pytest

from bench.core.paths import RESULTS, ROOT
from bench.judge.compare import calibrate
from bench.judge.compare.margins import Noise, read_gate


def test_nothing_is_red_where_nothing_parted():
    states = calibrate.states_of_equal_runs(random.Random(0), 3)
    assert set(states) == {"same"}
    assert len(states) > 3 * calibrate.CASES


def test_a_loss_of_several_margins_is_always_seen():
    chance = random.Random(0)
    cases = [calibrate.DrawnCase(0.1, lost=5.0), calibrate.DrawnCase(0.1)]
    for _ in range(20):
        states, fresh = calibrate.red_cases(chance, cases, 3, read_gate().prior)
        assert states == [True, False]
        assert fresh == 0  # the first stage is sure of it


def test_a_loss_that_only_fresh_seeds_decide_takes_some():
    chance = random.Random(0)
    states, fresh = calibrate.red_cases(chance, [calibrate.DrawnCase(0.1, lost=0.8)], 3, read_gate().prior)
    assert states == [True]
    assert fresh >= 3


def test_rates_of_few_gates_keep_the_goals_that_nothing_random_decides():
    rates = {rate.what: rate for rate in calibrate.calibrate(gates=8)}
    assert len(rates) == 26
    for what in (
        "a red gate, 0 of 100 cases parted, 3 seeds",
        "red for 0.4 % of memory, which is allowed",
        "1 % of memory is seen",
    ):
        assert rates[what].reached


def test_the_gate_decides_and_not_a_copy(monkeypatch):
    """With a level of 0 nothing can be red."""
    monkeypatch.setattr("bench.judge.compare.quality.LEVEL", 0.0)
    monkeypatch.setattr(calibrate, "fresh_seeds", lambda loss: 3)
    states, _ = calibrate.red_cases(random.Random(0), [calibrate.DrawnCase(0.1, lost=0.8)], 3, read_gate().prior)
    assert states == [False]


def test_a_prior_is_found_again():
    """Variances drawn with 4 degrees of freedom around 0.2 squared."""
    chance = random.Random(1)
    deviations = []
    for _ in range(4000):
        true = (0.04 * 4 / chance.gammavariate(2, 2)) ** 0.5
        deviations.append((true**2 * chance.gammavariate(1, 2) / 2) ** 0.5)
    prior = calibrate.fitted_prior(deviations)
    assert prior.variance**0.5 == pytest.approx(0.2, rel=0.1)
    assert prior.degrees == pytest.approx(4, rel=0.35)


def test_deviations_without_excess_spread_give_a_firm_prior():
    assert calibrate.fitted_prior([0.1, 0.1, 0.11, 0.1]).degrees == 1000


def test_the_stated_prior_is_near_that_of_the_stored_runs():
    fitted, stated = calibrate.fitted_prior(calibrate.measured_deviations()), read_gate().prior
    assert isinstance(stated, Noise)
    assert stated.variance == pytest.approx(fitted.variance, rel=0.6)
    assert stated.degrees == pytest.approx(fitted.degrees, rel=0.6)


@pytest.mark.parametrize(
    ("rate", "quoted"),
    [
        ("a red gate, 100 of 100 cases parted, 3 seeds", "falsely red in {}"),
        ("a case worse by 2 points of F1 is seen among 10 parted, 3 seeds", "2 points of F1 is seen in {}"),
        ("a case worse by 1 % of a loss is seen among 10 parted, 3 seeds", "grows by 1 % in {}"),
    ],
)
def test_the_page_of_upgrades_quotes_the_rates_of_results(rate, quoted):
    rows = [line.split(" | ") for line in (RESULTS / "GATE.md").read_text(encoding="utf-8").splitlines()]
    (seen,) = [row[1] for row in rows if row[0] == f"| {rate}"]
    page = " ".join((ROOT / "docs" / "upgrades.md").read_text(encoding="utf-8").split())
    assert quoted.format(seen.replace("%", " %")) in page
