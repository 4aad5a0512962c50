"""Intervals and tests, each a few lines on scipy and numpy.

Counts of examples are arrays (examples, columns); a metric is a function of the columns' sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pytest collects without numpy, a tenth of a second to import, and scipy.stats, half a second
    import numpy as np

    Metric = Callable[[np.ndarray], np.ndarray]  # (…, columns) -> (…)

ALPHA = 0.05
RESAMPLES = 4000
MOST_SEEDS = 1000  # that seeds_needed looks for
RESAMPLING_SEED = 20260101
CHUNK = 250  # resamples at a time: their weights are an array (CHUNK, examples)
NORMAL = NormalDist()
NORMAL_IQR = 2 * NORMAL.inv_cdf(0.75)  # of a standard deviation of 1
TWO_SIDED = NORMAL.inv_cdf(1 - ALPHA / 2)  # standard errors to each end of the interval
MEDIAN_WIDENING = math.sqrt(math.pi / 2)  # the standard error of a median over that of a mean
LEAST_SEEDS = 2  # one value tells nothing of its noise


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; samples are the bootstrap's, empty where it made none.

    error: the standard error, 0 of a figure that is exact, infinite of one that was seen once.
    """

    value: float
    low: float
    high: float
    error: float
    seeds: int
    examples: int
    samples: tuple[float, ...] = ()
    degrees: int = 0  # of freedom of Student's t; 0: a normal's

    def p_above(self, bound: float) -> float:
        """One-sided p-value against "the figure is at most bound"."""
        return tail(self, bound, above=True)

    def p_below(self, bound: float) -> float:
        """One-sided p-value against "the figure is at least bound"."""
        return tail(self, bound, above=False)

    def smallest_seen(self) -> float:
        """The smallest difference that a test at 5 % sees in 8 of 10 runs of this size."""
        return (self.quantile(1 - ALPHA / 2) + self.quantile(0.8)) * self.error

    def with_seeds(self, seeds: int) -> Estimate:
        """What so many seeds of the same mean and spread would give, for its tests; the interval stays as it was."""
        error = self.error * math.sqrt(self.seeds / seeds)
        return replace(self, error=error, seeds=seeds, degrees=seeds - 1)

    def quantile(self, share: float) -> float:
        """Standard errors below which this share lies."""
        if not self.degrees:
            return NORMAL.inv_cdf(share)
        from scipy import stats

        return float(stats.t.ppf(share, self.degrees))


def tail(estimate: Estimate, bound: float, above: bool) -> float:
    """The share of bootstrap samples on the wrong side of bound, or a normal's; never 0 of a finite number."""
    if estimate.samples:
        import numpy as np

        samples = np.asarray(estimate.samples)
        wrong = np.count_nonzero(samples <= bound if above else samples >= bound)
        return float((wrong + 1) / (len(samples) + 1))
    if math.isinf(estimate.error):
        return 1.0
    distance = estimate.value - bound if above else bound - estimate.value
    if estimate.error == 0:
        return 0.0 if distance > 0 else 1.0
    if not estimate.degrees:
        return NORMAL.cdf(-distance / estimate.error)
    from scipy import stats

    return float(stats.t.sf(distance / estimate.error, estimate.degrees))


def exact(value: float, seeds: int = 1) -> Estimate:
    """A figure without spread."""
    return Estimate(value, value, value, 0.0, seeds, 0)


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean over seeds with Student's interval; from one seed the interval is endless."""
    import numpy as np
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf, math.inf, 1, 0)
    error, degrees = float(stats.sem(values)), len(values) - 1
    half = error * float(stats.t.ppf(1 - ALPHA / 2, degrees))
    return Estimate(mean, mean - half, mean + half, error, len(values), 0, degrees=degrees)


def median_of_steps(spread: tuple[float, float, int], times: int = 1) -> Estimate:
    """A median (median, interquartile range, count) times a number, with a normal interval."""
    error = times * spread[0] * relative_error(*spread)
    value = times * spread[0]
    return Estimate(value, value - TWO_SIDED * error, value + TWO_SIDED * error, error, 1, spread[2])


def median_ratio(above: tuple[float, float, int], below: tuple[float, float, int]) -> Estimate:
    """The quotient of two medians, each (median, interquartile range, count): normal on the logarithm."""
    error = math.hypot(relative_error(*above), relative_error(*below))
    value = above[0] / below[0]
    half = TWO_SIDED * error
    low, high = value * math.exp(-half), value * math.exp(half)
    return Estimate(value, low, high, value * error, 1, min(above[2], below[2]))


def relative_error(median: float, iqr: float, count: int) -> float:
    """The standard error of a median, as a share of it."""
    return MEDIAN_WIDENING * iqr / NORMAL_IQR / math.sqrt(count) / median


def bootstrap(counts: np.ndarray, metric: Metric, paired_with: np.ndarray | None = None) -> Estimate:
    """metric of one seed's counts (examples, columns), or its difference from paired_with's, over examples.

    Each resample draws examples that are the same for both sides: a sentence that is hard for one method is hard
    for the other. Seeds are not resampled: of two or three such an interval is far too narrow, and over_seeds has
    Student's. Raises ValueError where the two sides differ in shape.
    """
    import numpy as np

    if paired_with is not None and paired_with.shape != counts.shape:
        raise ValueError(f"paired counts differ in shape: {counts.shape} and {paired_with.shape}")
    sides = [counts] if paired_with is None else [counts, paired_with]
    examples = len(counts)
    random = np.random.default_rng(RESAMPLING_SEED)
    samples: list[float] = []
    while len(samples) < RESAMPLES:
        weights = random.multinomial(examples, np.full(examples, 1 / examples), size=CHUNK).astype(float)
        parts = [metric(weights @ side) for side in sides]
        samples += list(parts[0] if len(parts) == 1 else parts[0] - parts[1])
    seen = [float(metric(side.sum(axis=0))) for side in sides]
    value = seen[0] if len(seen) == 1 else seen[0] - seen[1]
    low, high = np.quantile(samples, [ALPHA / 2, 1 - ALPHA / 2])
    error = float(np.std(samples, ddof=1))
    return Estimate(value, float(low), float(high), error, 1, examples, tuple(samples))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    from scipy import stats

    interval = stats.binomtest(successes, trials).proportion_ci(1 - ALPHA, method="wilson")
    return float(interval.low), float(interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the i-th smallest of m times m - i + 1, never falling."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def falls(values: Sequence[float]) -> tuple[float, float]:
    """Kendall's tau of values against their order, and the p-value against "they do not fall"."""
    from scipy import stats

    found = stats.kendalltau(range(len(values)), values, alternative="less")
    return float(found.statistic), float(found.pvalue)


def examples_needed(estimate: Estimate, distance: float) -> int:
    """How many examples would narrow the interval to this distance, errors falling with their square root."""
    if distance <= 0 or not math.isfinite(estimate.error) or not estimate.examples:
        return 0
    return math.ceil(estimate.examples * (TWO_SIDED * estimate.error / distance) ** 2)


def seeds_needed(p_with: Callable[[int], float], seeds: int, others: Sequence[float] = ()) -> int:
    """The fewest seeds at which Holm's correction leaves the p-value below 5 %, the others staying as they are.

    p_with: the p-value that so many seeds of the same mean and spread would have. 0 where not even MOST_SEEDS would do.
    """
    counts = range(seeds + 1, MOST_SEEDS + 1)
    return next((count for count in counts if holm([p_with(count), *others])[0] < ALPHA), 0)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and Student's interval of it, in the figure's own unit."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def beats(self, other: Interval, greater_is_better: bool) -> bool:
        """Whether it is better with no overlap; intervals that touch overlap."""
        return self.low > other.high if greater_is_better else self.high < other.low


def interval(values: Sequence[float]) -> Interval:
    """The mean's 95 % interval by Student's t. Raises ValueError for a single value: its noise is not known."""
    if len(values) < LEAST_SEEDS:
        raise ValueError(f"{len(values)} value has no interval; measure at least {LEAST_SEEDS} seeds")
    estimate = over_seeds(values)
    return Interval(estimate.value, estimate.low, estimate.high)
