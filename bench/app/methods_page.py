"""The page that ranks methods by memory, disk, time, quality and truth, with a person's own weights."""

from collections.abc import Iterable

import streamlit as st

from bench.app.served import served
from bench.app.showing import escape_markdown, refuse, show_chart, show_table, text
from bench.app.stored import stored_runs
from bench.judge.score import DIMENSIONS, WEIGHTS, Comparison, compare
from bench.records.record import Record
from bench.report.charts.quality_memory import quality_charts
from bench.report.scores import cells, headings, notes_of

HIGHEST = 5.0  # of a slider; only the proportions of weights count
STEP = 0.5


def show() -> None:
    st.title("Methods", anchor=False)
    runs = {name: run for name, run in stored_runs(served().folders).items() if run.records}
    if not runs:
        refuse("There is no stored run with a record here yet.")
        return
    most = max(runs, key=lambda name: methods_judged(runs[name].records.values()))
    named = st.multiselect(
        "Runs", list(runs), default=[most],
        help="Of a case in several runs, the run that stands highest in the list counts; newer ones stand higher.",
    )  # fmt: skip
    st.caption("What counts how much. A weight of 0 leaves it out.")
    columns = st.columns(len(DIMENSIONS))
    weights = {
        name: column.slider(name, 0.0, HIGHEST, WEIGHTS[name], STEP)
        for name, column in zip(DIMENSIONS, columns, strict=True)
    }
    if not any(weights.values()):
        refuse("Every weight is 0; at least one must be above it.")
        return
    newest = {case: record for name in reversed(runs) if name in named for case, record in runs[name].records.items()}
    comparisons, refused = compare(newest.values(), weights)
    if not comparisons:
        refuse("There is nothing to rank.", "; ".join(refused) or "choose a run")
        return
    show_boards(comparisons, list(newest.values()))
    if refused:
        with st.expander(f"Not ranked: {len(refused)} cases"):
            text("\n".join(refused))


def methods_judged(records: Iterable[Record]) -> int:
    """The number of methods with quality, which a board is most useful for."""
    return len({record.parsed_case().method for record in records if record.ok and record.quality_judged})


def show_boards(comparisons: list[Comparison], records: list[Record]) -> None:
    """The group that the person chooses: its table, its notes, and quality against memory."""
    groups = {one.name: one for one in sorted(comparisons, key=lambda one: -len(one.standings))}
    comparison = groups[st.selectbox("Task, model, device and data", list(groups))]
    show_table([headings(comparison), *(cells(one, comparison) for one in comparison.standings)], 1, comparison.name)
    for note in notes_of(comparison):
        st.caption(escape_markdown(note))
    for chart in quality_charts(record for record in records if record.ok):
        if chart.name == f"quality-{comparison.name}":
            show_chart(chart, f"methods-{chart.name}")
