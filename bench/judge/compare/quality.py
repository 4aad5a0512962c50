"""Quality compared over seeds, in two stages.

The held-out examples are fixed and training is what varies, so the seed is the unit. (A test over the examples of one
seed calls two seeds of one method different in 2 of 24 pairs.) A seed whose losses are all equal, or whose answers are,
has no noise and needs no statistics. Of the others:

1.  The mean loss of quality over the seeds, in margins, is compared by a t-test with what seeds do: the variance of
    both runs and of stored runs of the same case, shrunk towards a prior. The case is worse if it lost more than the
    margin in two seeds or more and chance would do so in fewer than one of a thousand comparisons (Bonferroni over all
    of their cases). It is a suspect if it is worse by a quarter of the margin at 5 %, or if a loss of a whole margin
    cannot be ruled out at 5 %.
2.  Suspects alone are run with fresh seeds on both sides, as many as see a loss of the margin in 9 of 10 cases. Fresh
    seeds decide: the case is worse at a level of 0.75 % over all suspects, by Holm.

So false alarms of a whole gate stay near 1 % however many cases part, and `bench/judge/compare/calibrate.py` shows it.
It needs neither torch nor numpy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from bench.judge.compare.finding import BETTER, INCONCLUSIVE, SAME, WORSE
from bench.judge.compare.margins import Noise
from bench.judge.statistics import holm

SURE_LEVEL = 0.001  # of the first stage, over all cases of a comparison: what needs no fresh seeds
LEAST_SURE = 2  # seeds that a sure loss is seen in
SUSPECT_LEVEL = 0.05  # of the first stage
LEAST_LOSS = 0.25  # margins; what is less is not called worse however sure it is
LEVEL = 0.0075  # of the second stage, over all suspects of a gate; heavy tails of the spread add to it
POWER = 0.9  # with which fresh seeds see a loss of a margin
SEEN = 0.8  # with which the smallest visible difference is seen
LEAST_FRESH, MOST_FRESH = 4, 24  # fresh seeds on each side
WHOLE = 1.0  # margin


def variance(values: Sequence[float]) -> float:
    """The sample variance; statistics.variance adds fractions, which a simulation has no time for."""
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def pooled(groups: Sequence[Sequence[float]], prior: Noise) -> Noise:
    """The variance within groups of seeds, each group around its own mean, shrunk towards the prior by its degrees."""
    inside = [(variance(group), len(group) - 1) for group in groups if len(group) > 1]
    total = prior.variance * prior.degrees + sum(each * degrees for each, degrees in inside)
    degrees = prior.degrees + sum(degrees for _, degrees in inside)
    return Noise(total / degrees, degrees)


def above(distance: float, degrees: float) -> float:
    """Student's share above a distance in standard errors."""
    from scipy.special import stdtr  # a tenth of a second, which only runs that part need

    return float(stdtr(degrees, -distance))


def quantile(share: float, degrees: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


@dataclass(frozen=True)
class Loss:
    """A mean loss of quality in margins (negative: a gain) of two sides of so many seeds, and the noise of a seed."""

    mean: float
    seeds: int
    noise: Noise

    @property
    def error(self) -> float:
        """The standard error of the difference of both sides' means."""
        return math.sqrt(2 * self.noise.variance / self.seeds)

    @property
    def p(self) -> float:
        """One-sided, against "it is no worse"."""
        return above(self.mean / self.error, self.noise.degrees)

    @property
    def highest(self) -> float:
        """The loss that is ruled out at SUSPECT_LEVEL."""
        return self.mean + quantile(1 - SUSPECT_LEVEL, self.noise.degrees) * self.error

    @property
    def smallest_seen(self) -> float:
        """The smallest loss, in margins, that a test at SUSPECT_LEVEL sees in SEEN of all cases."""
        degrees = self.noise.degrees
        return (quantile(1 - SUSPECT_LEVEL, degrees) + quantile(SEEN, degrees)) * self.error


def points_to_loss(loss: Loss) -> bool:
    """Whether the seeds speak for a loss; they do not decide about it."""
    return loss.mean > LEAST_LOSS and loss.p < SUSPECT_LEVEL


def is_sure(loss: Loss, cases: int) -> bool:
    """Whether the loss of one of so many cases exceeds the margin beyond any doubt, so that no fresh seeds are needed.

    Bonferroni and not Holm: pytest judges a case before the others have run.
    """
    return loss.seeds >= LEAST_SURE and loss.mean > WHOLE and loss.p * cases < SURE_LEVEL


def first_stage(loss: Loss, cases: int = 1) -> str:
    """worse, same, better, or inconclusive of a suspect. cases: of the whole comparison."""
    if is_sure(loss, cases):
        return WORSE
    if points_to_loss(loss) or loss.highest > WHOLE:
        return INCONCLUSIVE
    return BETTER if loss.highest < -LEAST_LOSS else SAME


def needed_seeds(noise: Noise) -> int:
    """Seeds on each side that see a loss of one margin with POWER."""
    normal = NormalDist()
    distance = normal.inv_cdf(1 - LEVEL) + normal.inv_cdf(POWER)
    return max(math.ceil(2 * noise.variance * distance**2), LEAST_FRESH)


def fresh_seeds(loss: Loss) -> int:
    """Fresh seeds on each side that decide about a suspect.

    0 where even MOST_FRESH would see no loss of the margin, and nothing points to one.
    """
    needed = needed_seeds(loss.noise)
    if needed > MOST_FRESH and loss.p >= SUSPECT_LEVEL:
        return 0
    return min(needed, MOST_FRESH)


def second_stage(losses: Sequence[Loss]) -> list[str]:
    """The state of each suspect by its fresh seeds alone."""
    adjusted = holm([loss.p for loss in losses])
    return [decided(loss, p) for loss, p in zip(losses, adjusted, strict=True)]


def decided(loss: Loss, p: float) -> str:
    if p < LEVEL and loss.mean > LEAST_LOSS:
        return WORSE
    return SAME if loss.highest <= WHOLE else INCONCLUSIVE


def mean_loss(losses: Sequence[float], groups: Sequence[Sequence[float]], prior: Noise) -> Loss:
    """The loss over paired seeds. groups: values in margins of seeds that tell the noise, each group of one side."""
    return Loss(fmean(losses), len(losses), pooled(groups, prior))
