"""The comparison of two runs, case by case and figure by figure.

Anything that the second run lacks, or that failed, is red: regressions hide in gaps of a table.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.judge.compare.evidence import compare_evidence
from bench.judge.compare.exact import compare_exact
from bench.judge.compare.finding import (
    BETTER,
    CHANGED,
    EVIDENCE,
    EXACT,
    INCOMPARABLE,
    MEMORY,
    MISSING,
    NEW,
    QUALITY,
    SAME,
    STATUS,
    TRACE,
    WARNINGS,
    WORSE,
    Finding,
)
from bench.judge.compare.fresh import check_fresh
from bench.judge.compare.margins import read_gate
from bench.judge.compare.outcomes import compare_other_tests, compare_tests
from bench.judge.compare.probes import compare_probes
from bench.judge.compare.quality import LEAST_LOSS
from bench.judge.compare.seeds import Pair, compare_quality, groups_of
from bench.judge.compare.sides import Side, machine_difference, repeats_of, version_changes, why_incomparable
from bench.judge.compare.timing import compare_processes
from bench.judge.compare.traces import MACHINE, departure
from bench.records.record import FAILED, Record
from bench.tasks import TASKS

ALWAYS = (EXACT, MEMORY, EVIDENCE, TRACE)  # kinds of figures compared for every case that ended well


@dataclass(frozen=True)
class Options:
    """allow_commit: compare across versions of lorabench what both records hold; timed: cases whose seconds count."""

    allow_commit: bool = False
    timed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two runs and the findings, with cases in the order of the first run."""

    before: Side
    after: Side
    findings: tuple[Finding, ...]

    def versions(self) -> dict[str, tuple[str, str]]:
        return version_changes(self.before, self.after)


def compare_runs(
    before: Side, after: Side, options: Options = Options(), fresh: tuple[Side, Side] | None = None
) -> Comparison:
    """Compare every case of either run. fresh: a run of fresh seeds of each side, for the suspects.

    Raises NotFresh for runs that cannot decide about a suspect.
    """
    if fresh:
        check_fresh((before, after), fresh)
    findings: list[Finding] = []
    for case in [*before.records, *(after.records.keys() - before.records.keys())]:
        findings += compare_case(case, before, after, options)
    more = pairs_of(*fresh, options) if fresh else []
    groups = groups_of(pairs_of(before, after, options), more, (before.records, after.records))
    findings += compare_quality(groups)
    findings += compare_other_tests(before, after)
    findings += compare_processes({case: (repeats_of(before, case), repeats_of(after, case)) for case in options.timed})
    return Comparison(before, after, tuple(findings))


def pairs_of(before: Side, after: Side, options: Options) -> list[Pair]:
    """The records of both sides whose quality can be compared."""
    return [
        (before.stored(case), after.stored(case))
        for case, old in before.records.items()
        if case in after.records and has_quality(old) and has_quality(after.records[case])
        and not why_incomparable(old, after.records[case], options.allow_commit)
    ]  # fmt: skip


def has_quality(record: Record) -> bool:
    name = record.parsed_case().task
    return record.ok and name in TASKS and TASKS[name].metric in record.quality


def compare_case(case: str, before: Side, after: Side, options: Options) -> Iterator[Finding]:
    """All findings of one case except its quality, which needs all of its seeds."""
    old, new = before.records.get(case), after.records.get(case)
    if old is None:
        yield of_new_case(after.records[case])
    elif new is None:
        yield Finding(case, STATUS, MISSING, says="the second run has no such case")
    elif not (old.ok and new.ok):
        yield of_ending(old, new)
    elif why := why_incomparable(old, new, options.allow_commit):
        yield Finding(case, STATUS, INCOMPARABLE, says=why)
    else:
        yield Finding(case, STATUS, SAME)
        found = list(compare_records(before, after, old, new, options.allow_commit))
        yield from found
        kinds = {one.kind for one in found}
        yield from (Finding(case, kind, SAME) for kind in ALWAYS if kind not in kinds)
    if old is not None and new is not None and old.ok and new.ok:  # otherwise all of its tests are skipped
        yield from compare_tests(case, before, after)


def of_new_case(new: Record) -> Finding:
    """A case that the first run lacks. A failed case is no better for being new."""
    says = "the first run has no such case"
    if new.ok:
        return Finding(new.case, STATUS, NEW, says=says)
    return Finding(
        new.case, STATUS, WORSE, "status", f"{says}, and it did not end well: {new.reason or FAILED}", "–", new.status
    )


def of_ending(old: Record, new: Record) -> Finding:
    """A case that did not end well on one side, or on both."""
    values = (old.status, new.status)
    if not old.ok and not new.ok:
        says = f"it did not end well in the first run either ({old.reason or old.status}); nothing can be compared"
        return Finding(old.case, STATUS, INCOMPARABLE, "status", says, *values)
    if not old.ok:
        return Finding(old.case, STATUS, BETTER, "status", f"before: {old.reason or FAILED}", *values)
    return Finding(old.case, STATUS, WORSE, "status", new.reason or FAILED, *values)


def compare_records(before: Side, after: Side, old: Record, new: Record, common: bool) -> Iterator[Finding]:
    """Findings for two records that ended well and have the same basis."""
    yield from compare_exact(old, new, common)
    yield from compare_evidence(old, new, common)
    yield from compare_traces(before, after, old, new)
    yield from compare_probes(before.stored(old.case), after.stored(new.case))
    yield from compare_metrics(old, new, common)
    yield from compare_warnings(old, new)


def compare_metrics(old: Record, new: Record, common: bool) -> Iterator[Finding]:
    """Metrics that one side lacks. common: only the headline metric.

    The values that both have are compared over all seeds of the case.
    """
    task = old.parsed_case().task
    if task not in TASKS and old.quality:
        says = f"the task {task} is not registered here, so its headline metric is unknown; give --entries"
        yield Finding(old.case, QUALITY, INCOMPARABLE, says=says)
    headline = TASKS[task].metric if task in TASKS else ""
    for name, value in old.quality.items():
        if name not in new.quality and (not common or name == headline):
            says = "the second record lacks it"
            yield Finding(old.case, QUALITY, MISSING, name, says, f"{value:.4f}", "–")
    for name, value in new.quality.items():
        if name not in old.quality and not common:
            yield Finding(old.case, QUALITY, NEW, name, "", "–", f"{value:.4f}")


def compare_traces(before: Side, after: Side, old: Record, new: Record) -> Iterator[Finding]:
    """Where the traces first diverge, and whether the untrained base itself has become worse."""
    untrained = (before.stored(old.case).predictions_before, after.stored(new.case).predictions_before)
    parts = departure(old, new, untrained)
    if parts is None:
        return
    machine = machine_difference(old, new)
    suspect = f"{MACHINE} ({machine}); or {parts.suspect}" if machine else parts.suspect
    values = (f"{parts.before:.6g}", f"{parts.after:.6g}")
    yield Finding(old.case, TRACE, CHANGED, parts.figure, parts.says(len(old.losses)), *values, suspect)
    if lost := lost_untrained(old, new):
        state = WORSE if lost > LEAST_LOSS else CHANGED
        metric = TASKS[old.parsed_case().task].metric
        before_and_after = (f"{old.quality_before[metric]:.4f}", f"{new.quality_before[metric]:.4f}")
        says = "the base alone, which no training and no random value has changed"
        yield Finding(old.case, QUALITY, state, f"{metric} before training", says, *before_and_after, parts.suspect)


def lost_untrained(old: Record, new: Record) -> float:
    """Margins that the base's own quality lost; 0 if an attached adapter or a new head contributes to it."""
    case = old.parsed_case()
    if case.task not in TASKS or not (old.quality_judged and new.quality_judged):
        return 0.0
    metric = TASKS[case.task].metric
    alone = all(one.evidence.get("start_distance") == 0 and not one.exact.get("labels") for one in (old, new))
    if not alone or not all(metric in one.quality_before for one in (old, new)):
        return 0.0
    return read_gate().margins_lost(case.task, old.quality_before[metric], new.quality_before[metric])


def compare_warnings(old: Record, new: Record) -> Iterator[Finding]:
    """Warnings that only the second record has; none if a record is too old to store them."""
    if not all("load_averages" in one.noisy for one in (old, new)):
        return
    for one in new.warnings:
        if one not in old.warnings:
            says = f"new: {one['category']} in {one['module']}, {one['text']}"
            yield Finding(new.case, WARNINGS, CHANGED, "warning", says)
