"""A comparison of quality over seeds, in two stages.

The held-out examples are fixed and training varies, so the seed is the unit. (A test over the examples of one seed
calls two seeds of one method different in 2 of 24 pairs.) A seed whose losses or answers are all equal has no noise and
needs no statistics. For the others:

1.  A t-test compares the mean loss of quality over the seeds, in margins, with the noise of seeds: the variance of
    both runs and of stored runs of the same case, shrunk towards a prior. The case is worse if it lost more than the
    margin in two seeds or more and chance would do so in fewer than one of a thousand comparisons (Bonferroni over all
    of their cases). It is a suspect if it is worse by a quarter of the margin at 5 %, or if a loss of a whole margin
    cannot be ruled out at 5 %.
2.  Only suspects are run with fresh seeds on both sides: enough to detect a loss of the margin in 9 of 10 cases. The
    fresh seeds decide: the case is worse at a level of 0.75 % over all suspects, by Holm.

False alarms of a whole gate thus stay near 1 % however many cases diverge; `bench/judge/compare/calibrate.py` shows it.
This module needs neither torch nor numpy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from bench.judge.compare.finding import BETTER, INCONCLUSIVE, SAME, WORSE
from bench.judge.compare.margins import Noise
from bench.judge.statistics import holm

SURE_LEVEL = 0.001  # of the first stage, over all cases of a comparison; such a loss needs no fresh seeds
LEAST_SURE = 2  # seeds in which a sure loss must show
SUSPECT_LEVEL = 0.05  # of the first stage
LEAST_LOSS = 0.25  # margins; a smaller loss is not called worse however sure it is
LEVEL = 0.0075  # of the second stage, over all suspects of a gate; heavy tails of the spread raise it
POWER = 0.9  # of the fresh seeds to detect a loss of a margin
SEEN = 0.8  # the power that defines the smallest detectable difference
LEAST_FRESH, MOST_FRESH = 4, 24  # fresh seeds on each side
WHOLE = 1.0  # margin


def variance(values: Sequence[float]) -> float:
    """The sample variance; statistics.variance adds fractions, which is too slow for a simulation."""
    mean = fmean(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def pool_variances(groups: Sequence[Sequence[float]], prior: Noise) -> Noise:
    """The variance within groups of seeds, each group around its own mean, shrunk towards the prior by its degrees."""
    inside = [(variance(group), len(group) - 1) for group in groups if len(group) > 1]
    total = prior.variance * prior.degrees + sum(each * degrees for each, degrees in inside)
    degrees = prior.degrees + sum(degrees for _, degrees in inside)
    return Noise(total / degrees, degrees)


def above(distance: float, degrees: float) -> float:
    """The share of Student's t above a distance in standard errors."""
    from scipy.special import stdtr  # takes 0.1 s to import; only runs that diverge need it

    return float(stdtr(degrees, -distance))


def quantile(share: float, degrees: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


@dataclass(frozen=True)
class Loss:
    """A mean loss of quality in margins (negative: a gain), the seeds on each side, and the noise of a seed."""

    mean: float
    seeds: int
    noise: Noise

    @property
    def error(self) -> float:
        """The standard error of the difference between both sides' means."""
        return math.sqrt(2 * self.noise.variance / self.seeds)

    @property
    def p(self) -> float:
        """The one-sided p-value against "it is no worse"."""
        return above(self.mean / self.error, self.noise.degrees)

    @property
    def highest(self) -> float:
        """The smallest loss that is ruled out at SUSPECT_LEVEL."""
        return self.mean + quantile(1 - SUSPECT_LEVEL, self.noise.degrees) * self.error

    @property
    def smallest_seen(self) -> float:
        """The smallest loss, in margins, that a test at SUSPECT_LEVEL detects with a power of SEEN."""
        degrees = self.noise.degrees
        return (quantile(1 - SUSPECT_LEVEL, degrees) + quantile(SEEN, degrees)) * self.error


def points_to_loss(loss: Loss) -> bool:
    """Whether the seeds suggest a loss; they do not decide it."""
    return loss.mean > LEAST_LOSS and loss.p < SUSPECT_LEVEL


def is_sure(loss: Loss, cases: int) -> bool:
    """Whether the loss of one of `cases` cases exceeds the margin so surely that no fresh seeds are needed.

    It uses Bonferroni, not Holm: pytest judges a case before the others have run.
    """
    return loss.seeds >= LEAST_SURE and loss.mean > WHOLE and loss.p * cases < SURE_LEVEL


def first_stage(loss: Loss, cases: int = 1) -> str:
    """worse, same, better, or inconclusive for a suspect. cases: how many the whole comparison has."""
    if is_sure(loss, cases):
        return WORSE
    if points_to_loss(loss) or loss.highest > WHOLE:
        return INCONCLUSIVE
    return BETTER if loss.highest < -LEAST_LOSS else SAME


def needed_seeds(noise: Noise) -> int:
    """Seeds needed on each side to detect a loss of one margin with POWER."""
    normal = NormalDist()
    distance = normal.inv_cdf(1 - LEVEL) + normal.inv_cdf(POWER)
    return max(math.ceil(2 * noise.variance * distance**2), LEAST_FRESH)


def fresh_seeds(loss: Loss) -> int:
    """Fresh seeds needed on each side to decide about a suspect.

    0 if even MOST_FRESH would not detect a loss of the margin, and nothing points to one.
    """
    needed = needed_seeds(loss.noise)
    if needed > MOST_FRESH and loss.p >= SUSPECT_LEVEL:
        return 0
    return min(needed, MOST_FRESH)


def second_stage(losses: Sequence[Loss]) -> list[str]:
    """The state of each suspect by its fresh seeds alone."""
    adjusted = holm([loss.p for loss in losses])
    return [state_of_loss(loss, p) for loss, p in zip(losses, adjusted, strict=True)]


def state_of_loss(loss: Loss, p: float) -> str:
    if p < LEVEL and loss.mean > LEAST_LOSS:
        return WORSE
    return SAME if loss.highest <= WHOLE else INCONCLUSIVE


def mean_loss(losses: Sequence[float], groups: Sequence[Sequence[float]], prior: Noise) -> Loss:
    """The loss over paired seeds. groups: values in margins that give the noise, each group from one side."""
    return Loss(fmean(losses), len(losses), pool_variances(groups, prior))
