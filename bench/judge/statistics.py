"""Intervals and tests, each a few lines of scipy and numpy. results/STATISTICS.md shows that they keep their levels.

Counts of examples are arrays (examples, columns); a metric is a function of the columns' sums.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from bench.judge.verdict import PROCESSES, ROUNDS, SEEDS

if TYPE_CHECKING:  # keeps numpy (0.1 s to import) and scipy.stats (0.5 s) out of pytest's collection
    import numpy as np

    Metric = Callable[[np.ndarray], np.ndarray]  # (…, columns) -> (…)

ALPHA = 0.05
RESAMPLES = 4000
MOST_UNITS = 1000  # the largest sample that units_needed tries
RESAMPLING_SEED = 20260101
CHUNK = 250  # resamples at a time; their weights are an array (CHUNK, examples)
NORMAL = NormalDist()
NORMAL_IQR = 2 * NORMAL.inv_cdf(0.75)  # of a normal with a standard deviation of 1
TWO_SIDED = NORMAL.inv_cdf(1 - ALPHA / 2)  # standard errors from the mean to each end of the interval
MEDIAN_WIDENING = math.sqrt(math.pi / 2)  # the standard error of a median over that of a mean
LEAST_SEEDS = 2  # one value says nothing about its noise
LEAST_ROUNDS = 3  # fewer have no quartiles
MANY_ROUNDS = 200  # from here on a median is treated as normal
DRAWS = 20_000  # of a sample's median over its interquartile range; the smallest p-value is 1 / DRAWS


@dataclass(frozen=True)
class Rounds:
    """A median over count rounds. Neighbouring rounds are correlated: as_one of them count as one observation."""

    median: float
    iqr: float | None  # interquartile range; None for too few rounds
    count: int
    as_one: int = 1

    @property
    def known(self) -> bool:
        return self.iqr is not None and self.count >= LEAST_ROUNDS

    def noise(self, stream: int) -> Any:
        """Draws of the median's error, as a share of the median; each stream gives different draws."""
        return (self.iqr or 0.0) / self.median * math.sqrt(self.as_one) * pivots(self.count, stream)


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval over `sample` units: seeds, processes or rounds.

    error: the standard error; 0 for an exact figure, infinite for a figure measured once.
    values: for an exact figure, the value of each record. samples: draws of the bootstrap or of a median, or empty.
    on_logarithm: error is that of the figure's logarithm. again(n): the same mean and spread over n units.
    """

    value: float
    low: float
    high: float
    error: float
    sample: int = 1
    unit: str = SEEDS
    examples: int = 0
    values: tuple[float, ...] = ()
    samples: Any = field(default=(), compare=False, repr=False)  # an array
    degrees: int = 0  # degrees of freedom of Student's t; 0: normal distribution
    on_logarithm: bool = False
    again: Callable[[int], Estimate] | None = field(default=None, compare=False, repr=False)

    def p_above(self, bound: float) -> float:
        """One-sided p-value against "the figure is at most bound"."""
        return tail(self, bound, above=True)

    def p_below(self, bound: float) -> float:
        """One-sided p-value against "the figure is at least bound"."""
        return tail(self, bound, above=False)

    def smallest_seen(self) -> float:
        """The smallest difference that a test at 5 % detects in 8 of 10 runs of this size."""
        distance = (self.quantile(1 - ALPHA / 2) + self.quantile(0.8)) * self.error
        return self.value * math.expm1(distance) if self.on_logarithm else distance

    def quantile(self, share: float) -> float:
        """The quantile, in standard errors, below which this share lies."""
        if not self.degrees:
            return NORMAL.inv_cdf(share)
        return students_quantile(share, self.degrees)


def tail(estimate: Estimate, bound: float, above: bool) -> float:
    """The share of samples on the wrong side of bound, or a normal's or Student's tail; never 0 for a finite sample."""
    if math.isinf(estimate.error):
        return 1.0
    if len(estimate.samples):
        import numpy as np

        samples = estimate.samples
        wrong = np.count_nonzero(samples <= bound if above else samples >= bound)
        return float((wrong + 1) / (len(samples) + 1))
    distance = distance_of(estimate, bound) * (1 if above else -1)
    if estimate.error == 0:
        return 0.0 if distance > 0 else 1.0
    if not estimate.degrees or math.isinf(distance):
        return NORMAL.cdf(-distance / estimate.error)
    from scipy.special import stdtr

    return float(stdtr(estimate.degrees, -distance / estimate.error))


def distance_of(estimate: Estimate, bound: float) -> float:
    """The distance from bound up to the figure, on the scale of its error."""
    if not estimate.on_logarithm:
        return estimate.value - bound
    return math.log(estimate.value / bound) if 0 < bound < math.inf else math.copysign(math.inf, 1 - bound)


def exact(values: Sequence[float]) -> Estimate:
    """A figure that repeats exactly, with the value of each record; it needs no test."""
    return Estimate(statistics.fmean(values), min(values), max(values), 0.0, len(values), values=tuple(values))


def unknown(value: float, unit: str = SEEDS) -> Estimate:
    """A figure measured once: its interval is infinite."""
    return Estimate(value, -math.inf, math.inf, math.inf, 1, unit)


def over_seeds(values: Sequence[float], unit: str = SEEDS) -> Estimate:
    """The mean over seeds or processes with Student's interval, which is infinite for a single value."""
    if len(values) < LEAST_SEEDS:
        return unknown(float(values[0]), unit)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return students(statistics.fmean(values), error, len(values), unit)


def students(mean: float, error: float, count: int, unit: str) -> Estimate:
    """A mean over count units with Student's interval."""
    half = error * students_quantile(1 - ALPHA / 2, count - 1)

    def again(other: int) -> Estimate:
        return students(mean, error * math.sqrt(count / other), other, unit)

    return Estimate(mean, mean - half, mean + half, error, count, unit, degrees=count - 1, again=again)


@cache
def students_quantile(share: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def ratio_over_processes(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The geometric mean of pairwise quotients, with Student's interval on the logarithm."""
    logarithms = [math.log(a / b) for a, b in zip(above, below, strict=True)]
    return on_logarithm(over_seeds(logarithms, PROCESSES))


def on_logarithm(estimate: Estimate) -> Estimate:
    """The estimate of a figure, from an estimate of the figure's logarithm."""
    again = estimate.again
    return replace(
        estimate, value=math.exp(estimate.value), low=math.exp(estimate.low), high=math.exp(estimate.high),
        on_logarithm=True, again=(lambda count: on_logarithm(again(count))) if again else None,
    )  # fmt: skip


def median_over_rounds(spread: Rounds, times: float = 1, between: float = 0.0) -> Estimate:
    """A median times a number, over the rounds of one process.

    between: the standard deviation of a median's logarithm from process to process.
    """
    value = times * spread.median
    if not spread.known:
        return unknown(value, ROUNDS)

    def again(count: int) -> Estimate:
        return median_over_rounds(replace(spread, count=count), times, between)

    return from_samples(value, value * (1 - spread.noise(0) - between * normals()), spread.count, again)


def ratio_over_rounds(above: Rounds, below: Rounds, between: float = 0.0) -> Estimate:
    """The quotient of two medians, each over rounds of one process; between: as for a median, 0 within one process."""
    value = above.median / below.median
    if not (above.known and below.known):
        return unknown(value, ROUNDS)
    import numpy as np

    def again(count: int) -> Estimate:
        return ratio_over_rounds(replace(above, count=count), replace(below, count=count), between)

    noise = below.noise(1) - above.noise(0) + math.sqrt(2) * between * normals()
    return from_samples(value, value * np.exp(noise), min(above.count, below.count), again)


@cache
def normals() -> np.ndarray:
    import numpy as np

    return np.random.default_rng([RESAMPLING_SEED, 2]).normal(size=DRAWS)


def from_samples(value: float, samples: np.ndarray, count: int, again: Callable[[int], Estimate]) -> Estimate:
    import numpy as np

    low, high = (float(end) for end in np.quantile(samples, [ALPHA / 2, 1 - ALPHA / 2]))
    error = (high - low) / 2 / TWO_SIDED  # their tails are too heavy for a standard deviation
    return Estimate(value, low, high, error, count, ROUNDS, samples=samples, again=again)


@cache
def pivots(count: int, stream: int) -> np.ndarray:
    """Draws of a normal sample's median over its interquartile range, from which a median's noise follows.

    The spread is itself estimated from a few values, so this quotient has far heavier tails than a normal.
    """
    import numpy as np

    random = np.random.default_rng([RESAMPLING_SEED, stream])
    if count > MANY_ROUNDS:
        return random.normal(0, MEDIAN_WIDENING / NORMAL_IQR / math.sqrt(count), DRAWS)
    low, middle, high = np.quantile(random.normal(size=(count, DRAWS)), [0.25, 0.5, 0.75], axis=0)
    return middle / (high - low)


def with_seed_spread(estimate: Estimate, spread: float) -> Estimate:
    """One seed's figure, with the noise of both examples and seed; spread: the standard deviation between seeds."""
    error = math.hypot(estimate.error, spread)
    half = TWO_SIDED * error
    return replace(estimate, low=estimate.value - half, high=estimate.value + half, error=error, samples=(), degrees=0)


def bootstrap(counts: np.ndarray, metric: Metric, paired_with: np.ndarray | None = None) -> Estimate:
    """metric of one seed's counts (examples, columns), or its difference from paired_with's, over examples.

    Each resample draws the same examples for both sides: a sentence that is hard for one method is hard for the other.
    Seeds are not resampled: with two or three of them the interval would be far too narrow, so over_seeds uses
    Student's. Raises ValueError if the two sides differ in shape.
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
    return Estimate(value, float(low), float(high), error, examples=examples, samples=np.array(samples))


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


def rises(values: Sequence[float]) -> float:
    """The p-value against "they do not rise"; the observed order counts towards both directions."""
    return falls([-value for value in values])[1]


def units_needed(p_with: Callable[[int], float], counts: Iterable[int], others: Sequence[float] = ()) -> int:
    """The first of counts at which the p-value stays below 5 % after Holm's correction; the others do not change.

    p_with(n): the p-value that n units of the same mean and spread would have. Returns 0 if no count is enough.
    """
    return next((count for count in counts if holm([p_with(count), *others])[0] < ALPHA), 0)


def counts_above(sample: int, unit: str) -> Iterable[int]:
    """Larger samples to try: every number of seeds or processes; for rounds, each a fifth more than the last."""
    if unit != ROUNDS:
        return range(sample + 1, MOST_UNITS + 1)
    steps = range(1, math.ceil(math.log(MOST_UNITS / sample, 1.2)))
    return dict.fromkeys(math.ceil(sample * 1.2**step) for step in steps)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with Student's interval, in the figure's own unit."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def beats(self, other: Interval, greater_is_better: bool) -> bool:
        """Whether this interval is better and does not overlap the other; intervals that touch overlap."""
        return self.low > other.high if greater_is_better else self.high < other.low


def interval(values: Sequence[float]) -> Interval:
    """The mean's 95 % interval by Student's t. Raises ValueError for a single value: its noise is unknown."""
    if len(values) < LEAST_SEEDS:
        raise ValueError(f"{len(values)} value has no interval; measure at least {LEAST_SEEDS} seeds")
    estimate = over_seeds(values)
    return Interval(estimate.value, estimate.low, estimate.high)
