"""Intervals and tests, each a few lines on scipy and numpy. results/STATISTICS.md shows that they hold their levels.

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

if TYPE_CHECKING:  # pytest collects without numpy, a tenth of a second to import, and scipy.stats, half a second
    import numpy as np

    Metric = Callable[[np.ndarray], np.ndarray]  # (…, columns) -> (…)

ALPHA = 0.05
RESAMPLES = 4000
MOST_UNITS = 1000  # that units_needed looks for
RESAMPLING_SEED = 20260101
CHUNK = 250  # resamples at a time: their weights are an array (CHUNK, examples)
NORMAL = NormalDist()
NORMAL_IQR = 2 * NORMAL.inv_cdf(0.75)  # of a standard deviation of 1
TWO_SIDED = NORMAL.inv_cdf(1 - ALPHA / 2)  # standard errors to each end of the interval
MEDIAN_WIDENING = math.sqrt(math.pi / 2)  # the standard error of a median over that of a mean
LEAST_SEEDS = 2  # one value tells nothing of its noise
LEAST_ROUNDS = 3  # fewer have no quartiles
MANY_ROUNDS = 200  # from here on a median is normal
DRAWS = 20_000  # of a sample's median over its interquartile range: p-values go down to 1 / DRAWS


@dataclass(frozen=True)
class Rounds:
    """A median over so many rounds; of neighbours that resemble each other only one in as_one tells something new."""

    median: float
    iqr: float | None  # interquartile range; None of too few
    count: int
    as_one: int = 1

    @property
    def known(self) -> bool:
        return self.iqr is not None and self.count >= LEAST_ROUNDS

    def noise(self, stream: int) -> Any:
        """Draws of what the median is off by, as a share of it; other streams are other draws."""
        return (self.iqr or 0.0) / self.median * math.sqrt(self.as_one) * pivots(self.count, stream)


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval, over so many units: seeds, processes or rounds.

    error: the standard error, 0 of a figure that is exact, infinite of one that was seen once.
    values: of a figure that is exact, of each record. samples: the bootstrap's, or of a median; empty where there are
    none. on_logarithm: error is of the figure's logarithm. again(n): the same mean and spread over n units.
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
    degrees: int = 0  # of freedom of Student's t; 0: a normal's
    on_logarithm: bool = False
    again: Callable[[int], Estimate] | None = field(default=None, compare=False, repr=False)

    def p_above(self, bound: float) -> float:
        """One-sided p-value against "the figure is at most bound"."""
        return tail(self, bound, above=True)

    def p_below(self, bound: float) -> float:
        """One-sided p-value against "the figure is at least bound"."""
        return tail(self, bound, above=False)

    def smallest_seen(self) -> float:
        """The smallest difference that a test at 5 % sees in 8 of 10 runs of this size."""
        distance = (self.quantile(1 - ALPHA / 2) + self.quantile(0.8)) * self.error
        return self.value * math.expm1(distance) if self.on_logarithm else distance

    def quantile(self, share: float) -> float:
        """Standard errors below which this share lies."""
        if not self.degrees:
            return NORMAL.inv_cdf(share)
        return students_quantile(share, self.degrees)


def tail(estimate: Estimate, bound: float, above: bool) -> float:
    """The share of samples on the wrong side of bound, or a normal's or Student's; never 0 of a finite number."""
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
    """From bound up to the figure, on the scale of its error."""
    if not estimate.on_logarithm:
        return estimate.value - bound
    return math.log(estimate.value / bound) if 0 < bound < math.inf else math.copysign(math.inf, 1 - bound)


def exact(values: Sequence[float]) -> Estimate:
    """A figure that repeats, as each record has it; no test is made of it."""
    return Estimate(statistics.fmean(values), min(values), max(values), 0.0, len(values), values=tuple(values))


def unknown(value: float, unit: str = SEEDS) -> Estimate:
    """A figure that was seen once: its interval is endless."""
    return Estimate(value, -math.inf, math.inf, math.inf, 1, unit)


def over_seeds(values: Sequence[float], unit: str = SEEDS) -> Estimate:
    """The mean over seeds or processes with Student's interval; from one the interval is endless."""
    if len(values) < LEAST_SEEDS:
        return unknown(float(values[0]), unit)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return students(statistics.fmean(values), error, len(values), unit)


def students(mean: float, error: float, count: int, unit: str) -> Estimate:
    """Student's interval of a mean over so many units."""
    half = error * students_quantile(1 - ALPHA / 2, count - 1)

    def again(other: int) -> Estimate:
        return students(mean, error * math.sqrt(count / other), other, unit)

    return Estimate(mean, mean - half, mean + half, error, count, unit, degrees=count - 1, again=again)


@cache
def students_quantile(share: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def ratio_over_processes(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The geometric mean of quotients in pairs, with Student's interval on the logarithm."""
    logarithms = [math.log(a / b) for a, b in zip(above, below, strict=True)]
    return on_logarithm(over_seeds(logarithms, PROCESSES))


def on_logarithm(estimate: Estimate) -> Estimate:
    """The figure of an estimate of its logarithm."""
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
    """The quotient of two medians, each over rounds of one process; between: as for a median, 0 of the same process."""
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
    """Draws of a normal sample's median over its interquartile range: what tells a median's noise from so few values.

    Where the spread is itself estimated from a few values, their quotient has far heavier tails than a normal.
    """
    import numpy as np

    random = np.random.default_rng([RESAMPLING_SEED, stream])
    if count > MANY_ROUNDS:
        return random.normal(0, MEDIAN_WIDENING / NORMAL_IQR / math.sqrt(count), DRAWS)
    low, middle, high = np.quantile(random.normal(size=(count, DRAWS)), [0.25, 0.5, 0.75], axis=0)
    return middle / (high - low)


def with_seed_spread(estimate: Estimate, spread: float) -> Estimate:
    """One seed's figure, whose examples and seed both make noise; spread: the standard deviation between seeds."""
    error = math.hypot(estimate.error, spread)
    half = TWO_SIDED * error
    return replace(estimate, low=estimate.value - half, high=estimate.value + half, error=error, samples=(), degrees=0)


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
    """The p-value against "they do not rise": the order that was seen counts for it as for the other."""
    return falls([-value for value in values])[1]


def units_needed(p_with: Callable[[int], float], counts: Iterable[int], others: Sequence[float] = ()) -> int:
    """The first of counts at which Holm's correction leaves the p-value below 5 %, the others staying as they are.

    p_with: the p-value that so many units of the same mean and spread would have. 0 where none of the counts would do.
    """
    return next((count for count in counts if holm([p_with(count), *others])[0] < ALPHA), 0)


def counts_above(sample: int, unit: str) -> Iterable[int]:
    """Larger samples to try: each number of seeds or processes, and of rounds each a fifth more."""
    if unit != ROUNDS:
        return range(sample + 1, MOST_UNITS + 1)
    steps = range(1, math.ceil(math.log(MOST_UNITS / sample, 1.2)))
    return dict.fromkeys(math.ceil(sample * 1.2**step) for step in steps)


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
