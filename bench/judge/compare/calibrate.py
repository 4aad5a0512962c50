"""The gate's error rates, by simulation: `python -m bench calibrate`.

Whole gates of 100 cases are drawn and judged by the same functions that judge runs. The spread over seeds is that of a
measured case, drawn at random; the values are normal. A case whose losses diverged is drawn as if its seeds were
different ones: no upgrade seen so far does as much, and most diverge in no case at all. A loss is planted in one case,
of any spread, among ten that diverged. Where no case diverged, whole runs are drawn, and their records are compared
like those of any two runs.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from bench.judge.compare import timing
from bench.judge.compare.exact import STEP, compare_exact
from bench.judge.compare.finding import INCONCLUSIVE, RED, WORSE
from bench.judge.compare.margins import Noise, read_gate
from bench.judge.compare.quality import Loss, first_stage, fresh_seeds, mean_loss, second_stage
from bench.judge.compare.runs import compare_runs
from bench.judge.compare.seeds import all_stored_seeds
from bench.judge.compare.sides import Side
from bench.records.record import OK, Record
from bench.tasks import TASKS

CASES = 100
GATES = 5000
SEEDS = 20261130  # seeds the random numbers
STORED_SEEDS = 3  # stored seeds of each case; those that the first side has too are equal to the bit
PARTED = (CASES // 10, CASES)  # how many cases of a gate diverged
CPU_SPREAD, WALL_SPREAD, PEAK_SPREAD = 0.054, 0.129, 0.021  # between processes of one case, relative
LEAST_SEEDS = 3  # that give a spread
TASK = TASKS["pos"]  # the task of records that are drawn whole


@dataclass(frozen=True)
class Rate:
    """One line of the table. at_most: whether the goal is an upper bound; shares of 1."""

    what: str
    seen: float
    goal: float
    at_most: bool
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.seen <= self.goal if self.at_most else self.seen >= self.goal


def measured_deviations(fractions: bool | None = None) -> list[float]:
    """The standard deviation over seeds, in margins, of every stored case with at least three.

    fractions: only cases judged by a metric between 0 and 1 (True) or by a loss (False); None: all cases.
    """
    gate = read_gate()
    found = []
    for runs in all_stored_seeds().values():
        records = max(runs.values(), key=len)
        task = TASKS[records[0].parsed_case().task]
        if fractions not in (None, task.greater_is_better):
            continue
        first = records[0].quality.get(task.metric)
        values = [one.quality[task.metric] for one in records if task.metric in one.quality]
        if len(values) >= LEAST_SEEDS and first is not None:
            found.append(stdev(gate.margins_lost(task.name, first, value) for value in values))
    return found


def fitted_prior(deviations: Sequence[float], degrees: int = LEAST_SEEDS - 1) -> Noise:
    """The scaled inverse chi-squared prior of variances, each with this many degrees of freedom (Smyth 2004)."""
    from scipy.special import digamma, polygamma

    logs = [math.log(max(each, 1e-6) ** 2) - float(digamma(degrees / 2)) + math.log(degrees / 2) for each in deviations]
    excess = stdev(logs) ** 2 - float(polygamma(1, degrees / 2))
    if excess <= 0:
        return Noise(math.exp(fmean(logs)), 1000.0)
    low, high = 1e-3, 1e4
    while high / low > 1.0001:  # trigamma falls
        middle = math.sqrt(low * high)
        low, high = (middle, high) if float(polygamma(1, middle / 2)) > excess else (low, middle)
    prior = math.sqrt(low * high)
    return Noise(math.exp(fmean(logs) + float(digamma(prior / 2)) - math.log(prior / 2)), prior)


def draw_seeds(chance: random.Random, deviation: float, seeds: int, lost: float = 0.0) -> list[float]:
    return [chance.gauss(lost, deviation) for _ in range(seeds)]


@dataclass
class DrawnCase:
    """A case whose losses diverged: its true spread, and how many margins it lost."""

    deviation: float
    lost: float = 0.0

    def loss(self, chance: random.Random, seeds: int, known: list[list[float]], prior: Noise) -> Loss:
        """The loss that new seeds of both sides show. known: values of earlier seeds, pooled with the new ones."""
        before, after = draw_seeds(chance, self.deviation, seeds), draw_seeds(chance, self.deviation, seeds, self.lost)
        known[0] += before
        known[1] += after
        losses = [other - one for one, other in zip(before, after, strict=True)]
        return mean_loss(losses, known, prior)


def red_cases(chance: random.Random, cases: Sequence[DrawnCase], seeds: int, prior: Noise) -> tuple[list[bool], int]:
    """Which of a gate's cases are red, and how many fresh seeds of both sides this took."""
    worse: set[int] = set()
    suspects: list[DrawnCase] = []
    fresh: list[Loss] = []
    spent = 0
    for case in cases:
        known: list[list[float]] = [[], [], draw_seeds(chance, case.deviation, max(STORED_SEEDS - seeds, 0))]
        loss = case.loss(chance, seeds, known, prior)
        state = first_stage(loss, CASES)
        if state == WORSE:
            worse.add(id(case))
        if state == INCONCLUSIVE and (count := fresh_seeds(loss)):
            suspects.append(case)
            fresh.append(case.loss(chance, count, known, prior))
            spent += count
    worse |= {id(case) for case, state in zip(suspects, second_stage(fresh), strict=True) if state == WORSE}
    return [id(case) in worse for case in cases], spent


def states_of_equal_runs(chance: random.Random, seeds: int) -> list[str]:
    """The states of all figures of two runs of CASES cases that are equal to the bit."""
    records = {one.case: one for number in range(CASES) for one in draw_records(chance, f"drawn{number}", seeds)}
    before, after = (Side(name, Path(name), records) for name in ("before", "after"))
    return [one.state for one in compare_runs(before, after).findings]


def draw_records(chance: random.Random, method: str, seeds: int) -> Iterator[Record]:
    """Records of one case with losses and a quality of their own."""
    for seed in range(seeds):
        quality = {TASK.metric: chance.random()}
        yield Record(
            f"{TASK.name}-tiny_bert-{method}-cpu-s{seed}", OK, recipe={"data": "sample"}, recipe_digest="drawn",
            data={"identity": "drawn"}, weights={"identity": "drawn"}, losses=[chance.random() for _ in range(4)],
            quality=quality, quality_before=quality, quality_judged=True, exact={STEP: chance.randrange(10**8)},
        )  # fmt: skip


def quality_rates(gates: int, seeds: int, deviations: Sequence[float], prior: Noise) -> list[Rate]:
    """False red gates by how many cases diverged, and detections of a loss of a margin in one of ten that diverged."""
    chance = random.Random(f"{SEEDS} {seeds}")
    named = f"{seeds} seed{'s' * (seeds > 1)}"
    equal = float(any(state in RED for state in states_of_equal_runs(chance, seeds)))
    found = [Rate(f"a red gate, 0 of {CASES} cases parted, {named}", equal, 0.0, True, "one comparison, drawn whole")]
    for parted, goal in zip(PARTED, (0.01, 0.05), strict=True):
        red, spent = 0, 0
        for _ in range(gates):
            cases = [DrawnCase(chance.choice(deviations)) for _ in range(parted)]
            states, fresh = red_cases(chance, cases, seeds, prior)
            red += any(states)
            spent += fresh
        note = f"{spent / gates:.1f} fresh seeds a side"
        found.append(Rate(f"a red gate, {parted} of {CASES} cases parted, {named}", red / gates, goal, True, note))
    for fractions, what in ((True, "2 points of F1"), (False, "1 % of a loss")):
        own, seen, spent = measured_deviations(fractions), 0, 0
        for _ in range(gates):
            others = [DrawnCase(chance.choice(deviations)) for _ in range(PARTED[0] - 1)]
            states, fresh = red_cases(chance, [DrawnCase(chance.choice(own), lost=1.0), *others], seeds, prior)
            seen += states[0]
            spent += fresh
        note = f"{spent / gates:.1f} fresh seeds a side"
        found.append(
            Rate(f"a case worse by {what} is seen among {PARTED[0]} parted, {named}", seen / gates, 0.9, False, note)
        )
    return found


def memory_rates() -> list[Rate]:
    """A planted growth of 1 %, and an allowed one of 0.4 %; bytes repeat, so nothing is drawn."""
    sizes = (100_000_000, 100_400_000, 101_000_000)
    before, *after = [Record("pos-tiny_bert-lora-cpu-s0", OK, exact={STEP: size}) for size in sizes]
    states = [[one.state for one in compare_exact(before, side, False)] for side in after]
    red = [float(any(state in RED for state in found)) for found in states]
    return [
        Rate("red for 0.4 % of memory, which is allowed", red[0], 0.0, True),
        Rate("1 % of memory is seen", red[1], 1.0, False),
    ]


SLOWER = (("a red gate, nothing slower", 1.0, 0.02), ("25 % slower is seen", 1.25, 0.99),
          ("10 % slower is seen", 1.10, 0.80))  # fmt: skip
MORE = (("a red gate, nothing more", 1.0, 0.01), ("10 % more is seen", 1.10, 0.99), ("5 % more is seen", 1.05, 0.80))


def process_rates(
    gates: int, spread: float, figure: str, planted: Sequence[tuple[str, float, float]], level: float
) -> list[Rate]:
    """For the named cases of a comparison, 10 processes a side: false red gates, and detections of a growth.

    planted: what is counted, the factor of the first case, and the goal.
    """
    chance = random.Random(f"{SEEDS} {figure}")

    def processes(factor: float) -> list[float]:
        return [factor * math.exp(chance.gauss(0, spread)) for _ in range(timing.PROCESSES)]

    def judge(factors: Iterable[float]) -> list[str]:
        return timing.states(timing.ratios([(processes(1.0), processes(factor)) for factor in factors]), level)

    several = [1.0] * (timing.MOST_CASES - 1)
    found = []
    for what, factor, goal in planted:
        states = [judge([factor, *several]) for _ in range(gates)]
        false = factor == 1
        hits = sum(WORSE in one for one in states) if false else sum(one[0] == WORSE for one in states)
        found.append(Rate(f"{what}, {figure}, {timing.MOST_CASES} cases", hits / gates, goal, false))
    return found


def calibrate(gates: int = GATES) -> list[Rate]:
    """All rates."""
    deviations, prior = measured_deviations(), read_gate().prior
    found = [rate for seeds in (1, 3, 5) for rate in quality_rates(gates, seeds, deviations, prior)]
    return [*found, *memory_rates(),
            *process_rates(gates, CPU_SPREAD, "CPU seconds", SLOWER, timing.LEVEL),
            *process_rates(gates, WALL_SPREAD, "wall seconds", SLOWER, timing.LEVEL),
            *process_rates(gates, PEAK_SPREAD, "peak memory of a process", MORE, timing.LEVEL_OF_OTHERS),
            ]  # fmt: skip
