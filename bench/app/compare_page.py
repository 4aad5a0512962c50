"""The page that compares two runs, or two cases: the gate's findings, and figures side by side."""

from dataclasses import replace
from itertools import combinations

import streamlit as st

from bench.app.comparing import show_comparison
from bench.app.served import served
from bench.app.showing import refuse, show_chart, show_table, text
from bench.app.stored import StoredRun, stored_runs
from bench.judge.compare.runs import Comparison, Options, compare_runs
from bench.judge.compare.sides import Side, read_side, why_incomparable
from bench.judge.thresholds import own_thresholds, read_with_own
from bench.records.basis import basis_of
from bench.records.stored import Stored
from bench.report.cases import NAMES, table_of
from bench.report.charts.losses import loss_charts
from bench.report.charts.quality_memory import quality_charts
from bench.report.charts.step_memory import step_memory_charts

RUNS, CASES = "two runs", "two cases"
NOT_JUDGED = "These are different cases, so their figures stand side by side and nothing is called worse."


def show() -> None:
    st.title("Compare", anchor=False)
    runs = {name: run for name, run in stored_runs(served().folders).items() if run.records}
    if not runs:
        refuse("There is no stored run with a record here yet.")
        return
    what = st.radio("Compare", (RUNS, CASES), horizontal=True)
    allow = st.checkbox(
        "Compare runs of two versions of lorabench too", help="Only what both hold is compared, as by --allow-commit."
    )
    if what == RUNS:
        choose_runs(runs, allow)
    else:
        choose_cases(runs, allow)


def choose_runs(runs: dict[str, StoredRun], allow: bool) -> None:
    names = list(runs)
    first, second = st.columns(2)
    earlier, later = related(runs)
    before = first.selectbox("Earlier run", names, index=names.index(earlier))
    after = second.selectbox("Later run", names, index=names.index(later))
    if before == after:
        refuse("Both are the same run; choose two.")
        return
    sides = read_side(runs[before].folder), read_side(runs[after].folder)
    comparison = compared((runs[before].stamp, runs[after].stamp), before, after, allow, sides)
    show_comparison(comparison, f"{before}-{after}")


def related(runs: dict[str, StoredRun]) -> tuple[str, str]:
    """The first two runs that share a case, the one that comes later in the list as the earlier one; else the first."""
    for later, earlier in combinations(runs, 2):
        if runs[later].records.keys() & runs[earlier].records.keys():
            return earlier, later
    return (next(iter(runs)),) * 2


@st.cache_resource(max_entries=8, show_spinner="comparing")
def compared(stamps: object, before: str, after: str, allow: bool, _sides: tuple[Side, Side]) -> Comparison:
    """The comparison, until a file of either run changes."""
    return compare_runs(*_sides, Options(allow_commit=allow))


def choose_cases(runs: dict[str, StoredRun], allow: bool) -> None:
    known = {one.name: one for run in runs.values() for one in run.stored}
    first, second = st.columns(2)
    names = list(known)
    before = known[first.selectbox("First case", names)]
    after = known[second.selectbox("Second case", names, index=min(1, len(names) - 1))]
    if before.name == after.name:
        refuse("Both are the same case; choose two.")
        return
    headings, *rows = table_of([before.record, after.record], read_with_own(own_thresholds()))
    table = [["run", *headings], *([one.run, *row] for one, row in zip((before, after), rows, strict=True))]
    show_table(table, NAMES + 1, f"{before.name}-{after.name}-table")
    if before.record.case == after.record.case:
        sides = one_case(before), one_case(after)
        stamps = runs[before.run].stamp, runs[after.run].stamp
        show_comparison(compared(stamps, before.name, after.name, allow, sides), f"{before.name}-{after.name}")
    else:
        refuse(NOT_JUDGED, why_not_judged(before, after))
        show_charts(before, after)


def one_case(stored: Stored) -> Side:
    """The run as if it held this case alone; tests without a case belong to the whole run."""
    side = read_side(stored.folder)
    return replace(side, name=stored.name, records={stored.record.case: stored.record}, tested=None)


def why_not_judged(before: Stored, after: Stored) -> str:
    """How the bases of two cases differ."""
    if basis_of(before.record) == basis_of(after.record):
        return ""
    return why_incomparable(before.record, after.record, allow_commit=True)


def show_charts(before: Stored, after: Stored) -> None:
    ended = [one for one in (before, after) if one.record.ok]
    records = [one.record for one in ended]
    if not records:
        text("neither case ended well, so there is no chart")
    for chart in [*loss_charts(records), *quality_charts(records), *step_memory_charts(ended)]:
        show_chart(chart, f"{before.name}-{after.name}-{chart.name}")
