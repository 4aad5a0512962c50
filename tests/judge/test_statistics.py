"""Statistics against values that are known: from tables, from formulas, or from how the data was made."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.judge import statistics
from bench.records.example_counts import second_over_first, span_f1


def test_holm_by_hand():
    """0.01 × 4, 0.02 × 3, then 0.03 × 2 and 0.04 × 1, which may not fall below those before."""
    assert statistics.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_seeds_interval_is_students():
    found = statistics.over_seeds([0.8, 0.7, 0.9])
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.8 - half, 0.8 + half))


def test_seeds_p_value_is_students():
    """Of t = 0.1 / (0.1 / sqrt 3) = 1.732 with two degrees of freedom: 0.1127."""
    found = statistics.over_seeds([0.8, 0.7, 0.9])
    assert found.p_above(0.7) == pytest.approx(0.1127, abs=1e-4)
    assert found.p_below(0.7) == pytest.approx(1 - 0.1127, abs=1e-4)
    assert found.smallest_seen() == pytest.approx((4.302653 + 1.060660) * 0.1 / math.sqrt(3))


@pytest.mark.parametrize(
    ("others", "seeds"),
    [
        ([], 5),
        ([0.9], 7),  # p times 2
        ([0.001], 5),  # decided before it, so times 1
        ([0.03], 7),  # it stays open, so p must pass it
        ([0.04, 0.04], 8),  # times 3
    ],
)
def test_seeds_that_are_needed_are_the_fewest_whose_corrected_p_value_is_small_enough(others, seeds):
    """A mean of one standard deviation above the bound: t = sqrt n, so p is 0.0445 of 5, 0.029 of 6, 0.0191 of 7."""
    found = statistics.over_seeds([0.8, 0.7, 0.9])
    counts = statistics.counts_above(3, "seeds")
    assert statistics.units_needed(lambda count: found.again(count).p_above(0.7), counts, others) == seeds


def test_no_number_of_seeds_decides_what_lies_on_the_bound():
    found = statistics.over_seeds([0.8, 0.7, 0.9])
    counts = statistics.counts_above(3, "seeds")
    assert statistics.units_needed(lambda count: found.again(count).p_above(0.8), counts) == 0


def test_more_seeds_of_the_same_spread_are_what_they_would_be():
    three = statistics.over_seeds([0.8, 0.7, 0.9])
    six = statistics.over_seeds([0.8 + by for by in (-0.1, -0.1, 0, 0, 0.1, 0.1)])
    wider = three.again(6)
    assert (wider.sample, wider.degrees) == (6, six.degrees)
    assert wider.error == pytest.approx(six.error * math.sqrt(5 / 4))  # the spread as three show it


def test_one_seed_has_no_interval():
    found = statistics.over_seeds([0.8])
    assert found.low == -math.inf
    assert found.p_above(0.0) == 1.0


@pytest.mark.parametrize("count", [3, 7, 14])
def test_a_median_of_few_rounds_has_the_interval_that_it_says(count):
    """A normal interval of a median and its interquartile range holds the truth in .80, .89 and .92."""
    draws = np.random.default_rng(count).normal(5.0, 1.0, size=(count, 1000))
    low, middle, high = np.quantile(draws, [0.25, 0.5, 0.75], axis=0)
    spreads = [statistics.Rounds(m, iqr, count) for m, iqr in zip(middle, high - low, strict=True)]
    found = [statistics.median_over_rounds(spread) for spread in spreads]
    covered = np.mean([one.low <= 5.0 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 1000))


def test_neighbours_that_are_alike_widen_the_interval():
    apart, alike = (statistics.median_over_rounds(statistics.Rounds(2.0, 0.2, 40, as_one)) for as_one in (1, 4))
    assert alike.high - alike.low == pytest.approx(2 * (apart.high - apart.low))


def test_ratio_of_equal_sides_is_one_and_processes_widen_it():
    side = statistics.Rounds(2.0, 0.2, 100)
    same = statistics.ratio_over_rounds(side, side)
    error = math.sqrt(2) * math.sqrt(math.pi / 2) * 0.2 / 1.3489795 / 10 / 2
    assert same.value == 1
    assert same.high == pytest.approx(math.exp(1.959964 * error), rel=0.01)
    other = statistics.ratio_over_rounds(side, side, between=0.12)
    assert other.high == pytest.approx(math.exp(1.959964 * math.hypot(error, 0.12 * math.sqrt(2))), rel=0.02)


def test_ratio_over_processes_is_students_on_the_logarithm():
    found = statistics.ratio_over_processes([2.0, 4.0, 8.0], [1.0, 1.0, 1.0])
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((4, 4 * math.exp(-half), 4 * math.exp(half)))
    assert found.p_above(2) == pytest.approx(0.1127, abs=1e-4)  # t = 1.732, as of 0.8, 0.7, 0.9 above 0.7
    assert found.p_above(0) == 0
    assert statistics.ratio_over_processes([2.0], [1.0]).p_above(1) == 1


def normal_counts(mean, spread, examples, seed):
    values = np.random.default_rng(seed).normal(mean, spread, size=examples)
    return np.stack([np.ones_like(values), values], axis=1)


def test_bootstrap_has_the_standard_error_of_a_mean():
    counts = normal_counts(5.0, 1.0, 400, 1)
    found = statistics.bootstrap(counts, second_over_first)
    expected = stats.sem(counts[:, 1])
    assert found.error == pytest.approx(expected, rel=0.1)
    assert found.value == pytest.approx(counts[:, 1].mean())
    assert found.low == pytest.approx(found.value - 1.96 * expected, abs=expected / 4)


def test_pairing_takes_out_what_both_sides_share():
    """The two sides differ by 0.1 on every example, whose own spread is 1: paired, the difference is certain."""
    one = normal_counts(5.0, 1.0, 200, 2)
    other = one.copy()
    other[..., 1] -= 0.1
    found = statistics.bootstrap(one, second_over_first, other)
    assert found.value == pytest.approx(0.1)
    assert found.high - found.low < 1e-9


@pytest.mark.parametrize("seeds", [2, 3])
def test_interval_over_seeds_covers_what_it_says(seeds):
    """Of 500 draws of so few seeds, 95 % of the intervals hold the true mean: within 4 standard errors of a share."""
    draws = np.random.default_rng(seeds).normal(0.9, 0.01, size=(500, seeds))
    intervals = [statistics.over_seeds(list(values)) for values in draws]
    covered = np.mean([found.low <= 0.9 <= found.high for found in intervals])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 500))


def test_sides_of_unlike_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        statistics.bootstrap(normal_counts(0, 1, 5, 0), second_over_first, normal_counts(0, 1, 6, 0))


def test_resampling_repeats():
    counts = normal_counts(5.0, 1.0, 50, 4)
    first, second = (statistics.bootstrap(counts, second_over_first) for _ in range(2))
    assert first == second
    assert np.array_equal(first.samples, second.samples)


def test_f1_of_sums():
    assert span_f1(np.array([10.0, 8.0, 6.0])) == pytest.approx(2 * 0.75 * 0.6 / 1.35)


def test_falling_losses_are_told_from_flat_ones():
    tau, p_value = statistics.falls([5, 4, 3, 2, 1, 0])
    assert (tau, p_value) == pytest.approx((-1, 1 / 720))
    assert statistics.falls([1, 2, 1, 2, 1, 2])[1] > 0.5
    assert statistics.rises([0, 1, 2, 3, 4, 5]) == pytest.approx(1 / 720)
