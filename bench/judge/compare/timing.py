"""A comparison of seconds, memory and energy over interleaved processes of both sides, in turns A B B A.

The steps of one process are not an independent sample: between processes the spread was 5.4 % of CPU time and 12.9 % of
wall time on a shared machine, within one 7 to 9 %. So a process counts as one value, the median of its steps after the
warm-up: CPU seconds on a processor, where neighbours take wall time, and wall seconds on a card. The peak memory of a
whole process and the energy that a card spent on training differ between processes too, the peak by 2.1 %. Student's t
compares the means of both sides' logarithms. All of it is judged only on request, for a few named cases.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.judge.compare.finding import BETTER, CHANGED, INCOMPARABLE, INCONCLUSIVE, SAME, TIME, WORSE, Finding
from bench.judge.compare.quality import above, quantile, variance
from bench.judge.statistics import holm
from bench.records.basis import QUALITY, basis_differences, basis_of, differences_text
from bench.records.figures import ran_alone
from bench.records.record import Record

SECONDS = (*QUALITY, "machine", "emulation")  # must be equal on both sides; the libraries are what is compared
SECONDS_OF_STEP = "seconds of a step"  # names of figures
PEAK_OF_PROCESS = "peak memory of the process"
ENERGY_OF_TRAINING = "energy of training"
WARM_UP_STEPS = 4
LEAST_STEPS = 3  # after the warm-up
PROCESSES = 10  # on each side
LEAST_PROCESSES = 3
MOST_CASES = 5  # in one comparison
LEVEL = 0.018  # for seconds, over all named cases
LEVEL_OF_OTHERS = 0.001  # for memory and for energy: all together stay within 2 %
TOLD = 0.03  # a ratio nearer to 1 than this is not reported
WIDEST = 0.25  # an interval whose upper end is further off than this decides nothing
Sides = tuple[Sequence[Record], Sequence[Record]]  # the processes of a case, before and after


@dataclass(frozen=True)
class Ratio:
    """How many times as much the second side takes, with a 95 % interval and the p-value against "no more"."""

    value: float
    low: float
    high: float
    p: float
    processes: int

    def says(self, measure: str) -> str:
        """measure: long or much."""
        return (
            f"{self.value:.3f} times as {measure} (95 % interval {self.low:.3f} to {self.high:.3f}), "
            f"{self.processes} processes a side"
        )


def log_variance(before: Sequence[float], after: Sequence[float]) -> float:
    """The variance of the logarithms within both sides."""
    inside = [variance(list(map(math.log, side))) * (len(side) - 1) for side in (before, after)]
    return sum(inside) / degrees_of(before, after)


def degrees_of(before: Sequence[float], after: Sequence[float]) -> int:
    return len(before) + len(after) - 2


def ratio(before: Sequence[float], after: Sequence[float], shared: float | None = None) -> Ratio:
    """The ratio from one value per process. shared: the variance of several cases, weighted like this case's own."""
    own, degrees = log_variance(before, after), degrees_of(before, after)
    spread, known = (own, degrees) if shared is None else ((own + shared) / 2, 2 * degrees)
    error = math.sqrt(spread * (1 / len(before) + 1 / len(after)))
    mean = fmean(map(math.log, after)) - fmean(map(math.log, before))
    half = quantile(0.975, known) * error
    p = above(mean / error, known) if error else float(mean <= 0)
    low, high = math.exp(mean - half), math.exp(mean + half)
    return Ratio(math.exp(mean), low, high, p, min(len(before), len(after)))


def ratios(sides: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[Ratio]:
    """The ratios of the named cases of one comparison; their spread is largely the machine's, so they share it."""
    shared = fmean(log_variance(*pair) for pair in sides) if len(sides) > 1 else None
    return [ratio(*pair, shared) for pair in sides]


def states(ratios: Sequence[Ratio], level: float = LEVEL) -> list[str]:
    """A state for each named case; worse at this level over all of them, by Holm."""
    return [state(one, p, level) for one, p in zip(ratios, holm([one.p for one in ratios]), strict=True)]


def state(one: Ratio, p: float, level: float) -> str:
    if p < level and one.value > 1 + TOLD:
        return WORSE
    if one.high / one.value - 1 > WIDEST:
        return INCONCLUSIVE
    if one.high < 1:
        return BETTER
    return SAME if abs(one.value - 1) <= TOLD else CHANGED


def seconds_of_step(record: Record) -> float | None:
    """The median of a process's steps after the warm-up; None for a record without seconds for each step."""
    on_card = record.environment.get("accelerator") and record.parsed_case().device != "cpu"
    steps = record.noisy.get("step_seconds" if on_card else "step_cpu_seconds", [])[WARM_UP_STEPS:]
    return median(steps) if len(steps) >= LEAST_STEPS else None


def peak_bytes(record: Record) -> float | None:
    """Resident bytes on a processor; on a card what torch's allocator reserved."""
    return record.noisy.get("peak_bytes")


def joules(record: Record) -> float | None:
    """What the card spent on training; None where nothing counts it."""
    return record.noisy.get("joules")


def took_turns(before: Sequence[Record], after: Sequence[Record]) -> bool:
    """Whether the processes of both sides took turns, by their start times: no three of one side in a row."""
    began = sorted((record.noisy.get("began", 0.0), side) for side, records in enumerate((before, after))
                   for record in records)  # fmt: skip
    sides = [side for _, side in began]
    return all(len(set(sides[number : number + 3])) == 2 for number in range(len(sides) - 2))


def why_incomparable(records: Sequence[Record]) -> str:
    """How the processes of both sides differ apart from their libraries; empty if they can be compared."""
    for record in records:
        if differences := basis_differences(basis_of(records[0]), basis_of(record), SECONDS):
            return differences_text(differences)
        if not ran_alone(record):
            beside = ", ".join(record.noisy["ran_beside"])
            return f"a process ran beside {beside}, which slowed it down; run the cases again with --workers 1"
    return ""


def why_not_judged(before: Sequence[Record], after: Sequence[Record]) -> str:
    """Why these processes cannot be compared; empty if they can."""
    fewest = min(len(before), len(after))
    if fewest < LEAST_PROCESSES:
        return (
            f"{fewest} process a side says nothing of the spread between processes; time needs {PROCESSES} a side, "
            "interleaved"
        )
    if not took_turns(before, after):
        return "the processes of the two sides did not take turns, so a busy neighbour may have slowed one side alone"
    return ""


def compare_processes(cases: Mapping[str, Sides]) -> list[Finding]:
    """Findings for each named case. cases: case -> records of the processes of both sides."""
    apart = {case: why for case, sides in cases.items() if (why := why_incomparable([*sides[0], *sides[1]]))}
    found = [Finding(case, TIME, INCOMPARABLE, SECONDS_OF_STEP, why) for case, why in apart.items()]
    refused = {case: why for case, sides in cases.items() if case not in apart and (why := why_not_judged(*sides))}
    found += [Finding(case, TIME, INCONCLUSIVE, SECONDS_OF_STEP, why) for case, why in refused.items()]
    left = {case: sides for case, sides in cases.items() if case not in apart | refused}
    few = f"a process has fewer than {WARM_UP_STEPS + LEAST_STEPS} timed steps; give more --max-steps"
    found += [
        Finding(case, TIME, INCONCLUSIVE, SECONDS_OF_STEP, few)
        for case, sides in left.items() if values(sides, seconds_of_step) is None
    ]  # fmt: skip
    return [*found, *compare_figure(left, SECONDS_OF_STEP, seconds_of_step, "long", LEVEL),
            *compare_figure(left, PEAK_OF_PROCESS, peak_bytes, "much", LEVEL_OF_OTHERS),
            *compare_figure(left, ENERGY_OF_TRAINING, joules, "much", LEVEL_OF_OTHERS)]  # fmt: skip


def compare_figure(
    cases: Mapping[str, Sides], figure: str, value: Callable[[Record], float | None], measure: str, level: float
) -> list[Finding]:
    """A finding for each case whose processes all have this figure."""
    known = {case: found for case, sides in cases.items() if (found := values(sides, value))}
    judged = ratios(list(known.values()))
    return [
        Finding(case, TIME, its_state, figure, one.says(measure))
        for case, one, its_state in zip(known, judged, states(judged, level), strict=True)
    ]


def values(sides: Sides, value: Callable[[Record], float | None]) -> tuple[list[float], list[float]] | None:
    """The figure of each process of both sides; None if a process lacks it."""
    before, after = ([found for record in records if (found := value(record))] for records in sides)
    return (before, after) if len(before) == len(sides[0]) and len(after) == len(sides[1]) else None
