"""The judge's statistics on simulated data, whose truth is known: how often it errs, and how often it decides.

The functions that judge claims give the levels, coverage and power. Noise is normal, with a standard deviation of 1
between seeds unless stated otherwise; each table states what its columns count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.judge import statistics
from bench.judge.claims.claim import Claim, Protocol
from bench.judge.claims.kinds.measured import PROCESS_SPREAD, STEPS_AS_ONE, decide_state, trend
from bench.judge.claims.verdicts import correct_by_holm
from bench.judge.claims.vocabulary import ABOVE, AT_LEAST, WITHIN
from bench.judge.statistics import Estimate, Rounds
from bench.judge.thresholds import band
from bench.judge.verdict import CONFIRMED, REFUTED, Verdict

if TYPE_CHECKING:
    import numpy as np

RUNS = 2000
SEED = 20260201
SEEDS = (1, 3, 5, 10)
FEW = (3, 7, 14)
STEPS = (20, 56, 200)
LIKENESS = 0.6  # autocorrelation of neighbouring steps
SPREAD = 0.05  # of a step's or a round's seconds, as a share
NOTHING = Protocol(*["none"] * 7)

Row = tuple[str, ...]
Sides = list[list[Rounds]]


@dataclass(frozen=True)
class Table:
    """says: what was simulated, and what the columns count."""

    title: str
    says: str
    headings: Row
    rows: Sequence[Row]


def statement(comparator: str, value: float) -> Claim:
    """A claim in which only the comparator and the value matter."""
    return Claim(
        id="x-made-up", source="x", title="", where="", says="", kind="threshold", quantity="ratio", value=(value,),
        unit="x", comparator=comparator, protocol=NOTHING, tolerance=0.0, tolerance_reason="", by={}, expected="",
        evidence="",
    )  # fmt: skip


def share(count: int, runs: int) -> str:
    return f"{100 * count / runs:.1f} %"


def states(claim: Claim, estimates: Sequence[Estimate]) -> tuple[int, int]:
    """How many estimates confirm the claim, and how many refute it."""
    found = [decide_state(claim, estimate)[0] for estimate in estimates]
    return found.count(CONFIRMED), found.count(REFUTED)


def random(number: int) -> np.random.Generator:
    """A table's own random generator, so that each table can be reproduced by itself."""
    import numpy as np

    return np.random.default_rng([SEED, number])


def over_seeds(runs: int = RUNS) -> Table:
    """A threshold by the mean over seeds."""
    noise, rows = random(1), []
    claim = statement(AT_LEAST, 0.0)
    for seeds in SEEDS:
        draws = noise.normal(size=(runs, seeds))
        at_bound = [statistics.over_seeds(list(values)) for values in draws]
        confirmed, refuted = states(claim, at_bound)
        covered = sum(one.low <= 0 <= one.high for one in at_bound)
        cells = [share(confirmed, runs), share(refuted, runs), share(covered, runs)]
        for distance in (1.0, 2.0, 4.0):
            cells.append(
                share(states(claim, [statistics.over_seeds(list(values + distance)) for values in draws])[0], runs)
            )
        rows.append((str(seeds), *cells))
    return Table(
        "A mean over seeds, at least a bound",
        "The truth lies on the bound: how often it is confirmed and refuted (nominally 5 % each), and how often "
        "the 95 % interval holds the truth. Then the truth lies 1, 2 and 4 standard deviations above: how often that "
        "is seen.",
        ("seeds", "confirmed", "refuted", "interval holds", "1 above", "2 above", "4 above"), rows,
    )  # fmt: skip


def equivalence(runs: int = RUNS) -> Table:
    """A difference within a margin."""
    noise, rows = random(2), []
    for margin in (1.0, 2.0, 4.0):
        claim = statement(WITHIN, margin)
        for seeds in SEEDS:
            draws = noise.normal(size=(runs, seeds))
            found = [
                states(claim, [statistics.over_seeds(list(values + truth)) for values in draws])
                for truth in (margin, 0.0, 3 * margin)
            ]
            cells = [
                share(found[0][0], runs),
                share(found[0][1], runs),
                share(found[1][0], runs),
                share(found[2][1], runs),
            ]
            rows.append((f"{margin:g}", str(seeds), *cells))
    return Table(
        "A difference over seeds, within a margin",
        "The truth lies on the margin: how often it is confirmed (nominally 5 %) and refuted (2.5 %). Then the truth "
        "is 0: how often it is confirmed; and three margins: how often it is refuted.",
        ("margin", "seeds", "confirmed", "refuted", "confirmed at 0", "refuted at 3 margins"), rows,
    )  # fmt: skip


def draw_timings(noise: np.random.Generator, runs: int, count: int, likeness: float, between: float) -> list[Rounds]:
    """Medians of seconds around 1, one for each process; likeness: the autocorrelation of neighbouring rounds."""
    import numpy as np

    steps = noise.normal(size=(count, runs))
    for number in range(1, count):
        steps[number] = likeness * steps[number - 1] + math.sqrt(1 - likeness**2) * steps[number]
    process = np.exp(between * noise.normal(size=runs))
    low, middle, high = np.quantile(process * (1 + SPREAD * steps), [0.25, 0.5, 0.75], axis=0)
    as_one = STEPS_AS_ONE if likeness else 1
    return [Rounds(float(median), float(iqr), count, as_one) for median, iqr in zip(middle, high - low, strict=True)]


def seconds(runs: int = RUNS // 2) -> Table:
    """Quotients of medians of one process on each side."""
    noise, rows = random(3), []
    claim = statement(ABOVE, 1.0)
    kinds = [(f"{count} rounds of one process", count, 0.0, 0.0) for count in FEW]
    kinds += [(f"{count} steps of a process on each side", count, LIKENESS, PROCESS_SPREAD) for count in STEPS]
    for name, count, likeness, between in kinds:
        sides = [draw_timings(noise, runs, count, likeness, between) for _ in range(2)]

        def over_rounds(factor: float, sides: Sides = sides, between: float = between) -> list[Estimate]:
            pairs = zip(*sides, strict=True)
            return [statistics.ratio_over_rounds(scale_spread(a, factor), b, between) for a, b in pairs]

        rows.append((name, *ratio_cells(claim, over_rounds, runs)))
    for count in SEEDS[1:]:
        drawn = noise.normal(0, math.hypot(PROCESS_SPREAD, SPREAD / 4), size=(2, runs, count))

        def over_processes(factor: float, logs: np.ndarray = drawn) -> list[Estimate]:
            import numpy as np

            above, below = factor * np.exp(logs[0]), np.exp(logs[1])
            return [statistics.ratio_over_processes(a, b) for a, b in zip(above.tolist(), below.tolist(), strict=True)]

        rows.append((f"{count} processes on each side", *ratio_cells(claim, over_processes, runs)))
    return Table(
        "A quotient of seconds, above 1",
        f"Seconds spread by {SPREAD:.0%}, medians of processes by {PROCESS_SPREAD:.0%}; neighbouring steps have an "
        f"autocorrelation of {LIKENESS}. The truth is 1: how often it is confirmed and refuted (nominally 5 % each), "
        "and how often the interval holds it. Then it is 1.1 and 1.5.",
        ("seen", "confirmed", "refuted", "interval holds", "1.1 seen", "1.5 seen"), rows,
    )  # fmt: skip


def scale_spread(spread: Rounds, factor: float) -> Rounds:
    return replace(spread, median=factor * spread.median, iqr=factor * (spread.iqr or 0.0))


def ratio_cells(claim: Claim, ratios: Callable[[float], list[Estimate]], runs: int) -> list[str]:
    equal = ratios(1.0)
    confirmed, refuted = states(claim, equal)
    covered = sum(one.low <= 1 <= one.high for one in equal)
    seen = [states(claim, ratios(factor))[0] for factor in (1.1, 1.5)]
    return [share(count, runs) for count in (confirmed, refuted, covered, *seen)]


def one_seed(runs: int = RUNS) -> Table:
    """Two equal methods by one seed each; examples are noisy by 1, seeds by as much or more."""
    noise, rows = random(4), []
    claim = statement(ABOVE, 0.0)
    for ratio in (1.0, 2.0, 4.0):
        differences = noise.normal(0, 1, runs) + noise.normal(0, ratio * math.sqrt(2), runs)
        seen = [Estimate(float(value), 0.0, 0.0, 1.0, examples=1) for value in differences]
        silent = [Estimate(one.value, one.low, one.high, math.inf, examples=1) for one in seen]
        stated = [statistics.with_seed_spread(one, ratio * math.sqrt(2)) for one in seen]
        counts = [*states(claim, silent), *states(claim, stated)]
        rows.append((f"{ratio:g}", *(share(count, runs) for count in counts)))
    return Table(
        "Two equal methods by one seed each",
        "Seeds spread so many times as the noise of the examples. Where the claim states no spread between seeds, one "
        "seed decides nothing; where it states it, nominally 5 % each.",
        ("seeds over examples", "confirmed", "refuted", "confirmed, stated", "refuted, stated"), rows,
    )  # fmt: skip


def trends(runs: int = 300) -> Table:
    """Whether the losses of the steps fall, in every seed."""
    noise, rows = random(5), []
    for steps in (4, 8, 20):
        for seeds in SEEDS:
            cells = []
            for slope in (0.0, -0.5):
                draws = noise.normal(size=(runs, seeds, steps)) + [slope * step for step in range(steps)]
                found = [trend(courses.tolist())[0] for courses in draws]
                cells += [share(found.count(CONFIRMED), runs), share(found.count(REFUTED), runs)]
            rows.append((str(steps), str(seeds), *cells))
    return Table(
        "Losses that fall from step to step, in every seed",
        "There is no trend: how often it is confirmed and refuted (nominally 5 % each). Then each step falls by half a "
        "standard deviation. Every seed must show the trend, so power falls as seeds are added.",
        ("steps", "seeds", "confirmed", "refuted", "confirmed, falling", "refuted, falling"), rows,
    )  # fmt: skip


def families(runs: int = 500) -> Table:
    """Many tests at once, each with the true value on the bound."""
    noise, rows = random(6), []
    claim = statement(ABOVE, 0.0)
    for tests in (1, 6, 24):
        for seeds in SEEDS[1:]:
            wrong = 0
            for draws in noise.normal(size=(runs, tests, seeds)):
                verdicts = {}
                for number, values in enumerate(draws.tolist()):
                    state, p_value = decide_state(claim, statistics.over_seeds(values))
                    verdicts[str(number)] = Verdict(str(number), state, "", p_value=p_value)
                after = correct_by_holm(verdicts, dict.fromkeys(verdicts, "x"))
                wrong += any(verdict.state == CONFIRMED for verdict in after.values())
            rows.append((str(tests), str(seeds), share(wrong, runs)))
    return Table(
        "A family of tests",
        "Every truth lies on the bound: how often any of them is confirmed after Holm's correction (nominally 5 %).",
        ("tests", "seeds", "any confirmed"), rows,
    )  # fmt: skip


def bands(runs: int = RUNS) -> Table:
    """A threshold's band on a seed that was not measured."""
    noise, rows = random(7), []
    for seeds in (2, 3, 5, 10):
        outside = 0
        for values in noise.normal(size=(runs, seeds + 1)).tolist():
            low, high = band(values[1:], 0.0, (-math.inf, math.inf))
            outside += not low <= values[0] <= high
        rows.append((str(seeds), share(outside, runs)))
    return Table(
        "A threshold's band",
        "How often a new seed lies outside a band of so many, where the spread of the seeds alone sets its margin. "
        "Thresholds take three seeds at least.",
        ("seeds measured", "new seed outside"), rows,
    )  # fmt: skip


TABLES: tuple[Callable[[], Table], ...] = (over_seeds, equivalence, seconds, one_seed, trends, families, bands)
