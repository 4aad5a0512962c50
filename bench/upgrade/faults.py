"""Which checks catch a planted fault: the tests of one run alone, and a comparison with a run without the fault.

Both runs are stored by what they depend on, so that an interrupted command continues and a repeated one is quick.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.paths import RUNS
from bench.judge.compare.finding import CHANGED, INCOMPARABLE, RED, STATUS, TESTS, TRACE, Finding
from bench.judge.compare.runs import Options, compare_runs
from bench.judge.compare.sides import Side, read_side
from bench.machine.environment import code_digest, distributions_digest
from bench.records.tested import FAILURES
from bench.upgrade.planting import Fault
from bench.upgrade.trial import Environment, run_once, time_cases

USUAL = ("test_methods.py", "test_cost.py")  # suites that judge tiny models too
PROCESSES = 3  # on each side, where seconds are compared; the fewest that are judged
ALONE, WITH_BASELINE = "without a baseline", "with a baseline alone"  # caught
AS_CHANGED, NOT_SEEN = "seen as changed, not red", "not seen"  # not caught
WAYS = (ALONE, WITH_BASELINE, AS_CHANGED, NOT_SEEN)


@dataclass(frozen=True)
class Caught:
    """What caught a fault. tests: failed with it and not without; figures: of a comparison, by their state."""

    fault: Fault
    tests: tuple[str, ...]
    figures: Mapping[str, tuple[str, ...]]

    @property
    def how(self) -> str:
        """The first of WAYS that applies. A figure that only changed leaves a comparison green."""
        if self.tests:
            return ALONE
        if self.figures.keys() - {CHANGED}:
            return WITH_BASELINE
        return AS_CHANGED if self.figures else NOT_SEEN


def try_fault(fault: Fault, say: Callable[[str], None]) -> Caught:
    """Run the fault's selection with and without it, unless that was done before, and compare. Raises Stopped."""
    python = Path(sys.executable)
    suites = tuple(word for word in fault.select if word.endswith(".py")) or USUAL
    selection = [word for word in fault.select if not word.endswith(".py")]
    folder = folder_of(suites, selection)
    without = Environment("without", python)
    planted = Environment(f"{fault.name}-{fault.digest[:8]}", python, entries=fault.entry)
    before, after = (read_side(run_once(side, folder, selection, say, suites)) for side in (without, planted))
    timed: list[Finding] = []
    if fault.timed:
        timed = time_cases(without, planted, folder, [fault.timed], selection, say, PROCESSES)
    return judge_fault(fault, before, after, timed)


def folder_of(suites: Sequence[str], selection: Sequence[str]) -> Path:
    """Where the runs of this selection lie, with these libraries and this version of the code that measures."""
    key = json.dumps([suites, selection, code_digest(), distributions_digest()])
    return RUNS / "faults" / hashlib.sha256(key.encode()).hexdigest()[:12]


def judge_fault(fault: Fault, without: Side, planted: Side, timed: Sequence[Finding] = ()) -> Caught:
    """What caught the fault, from the two runs. timed: what a comparison of seconds found."""
    figures: dict[str, list[str]] = {}
    for one in (*compare_runs(without, planted, Options()).findings, *timed):
        if one.state in (*RED, INCOMPARABLE) or (one.state == CHANGED and one.kind == TRACE):
            figures.setdefault(one.state, []).append(figure_of(one))
    tests = tuple(dict.fromkeys(failures(without, planted)))
    return Caught(fault, tests, {state: tuple(sorted(set(names))) for state, names in figures.items()})


def failures(without: Side, planted: Side) -> Iterator[str]:
    """Cases that did not end well with the fault, and tests that failed; none that failed without it."""
    for case, record in planted.records.items():
        if not record.ok and (case not in without.records or without.records[case].ok):
            reason = record.reason.partition("\n")[0]
            yield f"the case ends as {record.status}" + (f": {reason}" if reason else "")
    before = outcomes(without)
    for (case, test), outcome in outcomes(planted).items():
        broken = case in planted.records and not planted.records[case].ok  # its failure is named above
        if outcome in FAILURES and before.get((case, test)) not in FAILURES and not broken:
            yield test.rpartition("::")[2]


def outcomes(side: Side) -> dict[tuple[str, str], str]:
    """(case, test) -> outcome; tests without a case have the case ""."""
    if side.tested is None:
        return {}
    found = {(case, test): one for case, tests in side.tested.by_case.items() for test, one in tests.items()}
    return {**found, **{("", test): one for test, one in side.tested.others.items()}}


def figure_of(finding: Finding) -> str:
    """The figure as a reader looks for it; of a case, its status or what differs; of losses, the step they part at."""
    if finding.kind == TESTS:
        return "tests"
    if finding.kind == STATUS:
        return finding.says if finding.state == INCOMPARABLE else f"status {finding.after}"
    step = finding.says.partition(" of ")[0].removeprefix("parts at ") if finding.kind == TRACE else ""
    return f"{finding.figure or finding.kind}{f' from {step}' if step.startswith('step') else ''}"
