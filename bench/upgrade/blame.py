"""Which package made it worse: delta debugging over what was upgraded, then a search over the releases of one.

For each suspect one case decides, the quickest that is worse, by the same figure in the same state: another failure
says nothing of this one, and counts as untestable, as git's bisect has it. Of a test without a case, such as those of
the libraries alone, the test itself decides. Every trial is stored, so that an interrupted search continues where it
stopped.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

from bench.judge.compare.finding import (
    INCOMPARABLE,
    QUALITY,
    RED,
    STATUS,
    TESTS,
    TIME,
    WORSE,
    Finding,
    is_other_test,
)
from bench.judge.compare.runs import Comparison, Options, compare_case
from bench.judge.compare.sides import Side, read_side
from bench.records.record import BadRecord, Record, read_repeats
from bench.upgrade.bisection import BAD, GOOD, UNTESTABLE, between, first_bad, smallest_guilty
from bench.upgrade.overlays import (
    CannotInstall,
    Wanted,
    canonical,
    import_path,
    install,
    releases_of,
    resolve,
    version_of,
)
from bench.upgrade.requirements import unmet
from bench.upgrade.trial import RUNS_CASES, Environment, Stopped, known_exit_code, run_side, run_test, selection_of

MOST_RUNS = 20
OF_TEST = {0: GOOD, 1: BAD}  # by pytest's exit code; any other says nothing, as where the test is skipped
NOT_TRIED = {  # kinds of findings of a case that a trial does not decide
    TESTS: "a trial of a case compares figures, not tests",
    QUALITY: "quality takes several seeds",
    TIME: "seconds, the memory of processes and energy differ between single trials by themselves",
}


class TooManyRuns(RuntimeError):
    """The search took as many trials as it was allowed; says what it has found by then."""


@dataclass
class Search:
    """Trials of sets of requirements against one figure of one case, or one test. before: the run without any.

    pip resolves every set anew, so that a package is tried with what it needs and with nothing else.
    """

    python: Path
    before: Side
    target: Finding
    folder: Path
    say: Callable[[str], None]
    most: int = MOST_RUNS
    constraints: Path | None = None
    known: dict[frozenset[str], str] = field(default_factory=dict)
    spent: int = 0

    def __call__(self, requirements: Sequence[str]) -> str:
        """The outcome with these requirements, tried once. Raises TooManyRuns."""
        key = frozenset(requirements)
        if not key:
            return GOOD
        if key not in self.known:
            self.known[key] = self.try_out(sorted(key))
            self.say(f"{' '.join(sorted(key))}: {self.known[key]}")
        return self.known[key]

    def try_out(self, requirements: Sequence[str]) -> str:
        """Run the case or the test with what these change, if it suits each other, and look for the same finding."""
        try:
            packages = resolve(self.python, requirements, self.constraints)
            if not packages:
                return GOOD  # nothing changes
            overlays = tuple(install(self.python, one) for one in packages)
            own = import_path(self.python)
            if unmet([*map(str, overlays), *own]) - unmet(own):
                return UNTESTABLE
            side = Environment(trial_name(packages), self.python, overlays)
            return self.outcome_of_test(side) if is_other_test(self.target) else self.outcome(read_side(self.run(side)))
        except (CannotInstall, Stopped, BadRecord) as error:
            self.say(str(error))
            return UNTESTABLE

    def run(self, side: Environment) -> Path:
        """The trial's run, of an earlier search if there is one."""
        for path in (self.folder / side.name).glob("*/records.jsonl"):
            if (self.target.case, 0) in read_repeats(path)[0]:
                return path.parent
        self.count_trial()
        record = self.before.records[self.target.case]
        options = ["--data", record.recipe["data"], "--workers", str(workers_of(record))]
        options += ["--max-steps", str(record.recipe["max_steps"])] if record.recipe["max_steps"] else []
        options += ["--engine", record.recipe["engine"]] if record.recipe.get("engine") else []  # older ones lack it
        return run_side(side, self.folder, [*selection_of([self.target.case]), *options], self.say, suites=RUNS_CASES)

    def count_trial(self) -> None:
        if self.spent >= self.most:
            raise TooManyRuns(f"{self.spent} trials did not decide; --bisect-runs allows more")
        self.spent += 1

    def outcome_of_test(self, side: Environment) -> str:
        code = known_exit_code(side, self.folder, self.target.case)
        if code is None:
            self.count_trial()
            code = run_test(side, self.folder, self.target.case, self.say)
        return OF_TEST.get(code, UNTESTABLE)

    def outcome(self, after: Side) -> str:
        """By the figures of the case; its tests did not all run."""
        compared = compare_case(self.target.case, self.before, after, Options())
        findings = [one for one in compared if one.kind != TESTS]
        if any(is_same_fault(one, self.target) for one in findings):
            return BAD
        return UNTESTABLE if any(one.state in (*RED, INCOMPARABLE) for one in findings) else GOOD


def workers_of(record: Record) -> int:
    """The workers that shared the cores when the record was made: a case repeats to the bit on as many threads."""
    cores, threads = (record.environment.get(name) or 1 for name in ("cores", "threads"))
    return max(1, int(cores) // int(threads))


def is_same_fault(one: Finding, other: Finding) -> bool:
    """Whether it is the same figure in the same state; of a case that failed, with the same sentence."""
    same = (one.kind, one.figure, one.state) == (other.kind, other.figure, other.state)
    return same and (one.figure != "status" or one.says == other.says)


def trial_name(packages: Sequence[Wanted]) -> str:
    return hashlib.sha256(" ".join(sorted(map(str, packages))).encode()).hexdigest()[:12]


def choose_targets(comparison: Comparison) -> list[Finding]:
    """For each suspect the red finding of the quickest case; none where no case of both sides is worse in itself."""
    seconds = {case: record.noisy.get("case_seconds", 0.0) for case, record in comparison.before.records.items()}
    found: dict[str, Finding] = {}
    for one in sorted(comparison.findings, key=lambda one: seconds.get(one.case, 0.0)):
        if one.state in RED and not why_not(one, comparison):
            found.setdefault(suspect_of(one), one)
    return list(found.values())


def suspect_of(one: Finding) -> str:
    """What findings of one cause share: the suspect, of a failed case its reason, and else the figure or the test."""
    if is_other_test(one):
        return one.case.partition("[")[0]
    return one.suspect or (one.says if one.kind == STATUS else one.figure or one.kind)


def why_not(one: Finding, comparison: Comparison) -> str:
    """Why a trial cannot decide the finding; empty if it can."""
    if is_other_test(one):
        return "" if one.state == WORSE else "the test was not run with the upgrade"
    if one.case in comparison.before.records and one.case not in comparison.after.records:
        return "the case was not run with the upgrade"
    return NOT_TRIED.get(one.kind, "" if one.case in comparison.before.records else "only one side has the case")


def not_bisected(comparison: Comparison, targets: Sequence[Finding]) -> list[str]:
    """A sentence for each reason why red findings were not bisected."""
    left: dict[str, list[str]] = {}
    for one in comparison.findings:
        if one.state in RED and one not in targets:
            reason = why_not(one, comparison) or "a finding with the same suspect was bisected"
            left.setdefault(reason, []).append(name_of(one))
    return [f"not bisected, because {reason}: {', '.join(names)}" for reason, names in left.items()]


def name_of(one: Finding) -> str:
    return one.case if is_other_test(one) else f"{one.figure or one.kind} of {one.case}"


def blame(search: Search, requirements: Sequence[str]) -> str:
    """A sentence that names the packages, and of a single one its last good release."""
    target = name_of(search.target)
    try:
        guilty = smallest_guilty(requirements, search)
    except TooManyRuns as error:
        return f"{target}: {error}"
    if len(guilty) > 1:
        return f"{target}: {of_several(search, guilty)}"
    try:
        return f"{target}: {of_release(search, guilty[0])}"
    except (TooManyRuns, CannotInstall) as error:
        return f"{target}: {guilty[0]}; its last good release is not known: {error}"


def of_several(search: Search, guilty: Sequence[str]) -> str:
    """That only all of them together are bad; or that nobody knows, where a part of them could not be tested."""
    names = " and ".join(guilty)
    tested = all(state != UNTESTABLE for part, state in search.known.items() if part < set(guilty))
    return f"only together {names}" if tested else f"{names} together; a part of them could not be tested"


def of_release(search: Search, guilty: str) -> str:
    """Which release of the guilty package was the last good one, and what else it brought."""
    name = canonical(Requirement(guilty).name)
    packages = {one.name: one for one in resolve(search.python, [guilty], search.constraints)}
    own = version_of(search.python, name)
    if own is None or name not in packages:
        return f"{guilty} (with {', '.join(map(str, packages.values()))})"
    versions = between(releases_of(search.python, name), own, packages[name].version)
    good, bad = first_bad(versions, lambda version: search([f"{name}=={version}"]) if version != versions[-1] else BAD)
    skipped = versions.index(bad) - (versions.index(good) if good else -1) - 1
    but = f", and {skipped} between them could not be tested" if skipped else ""
    return f"{name} {bad}; {name} {good or own} is the last good release{but}"
