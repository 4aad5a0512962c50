"""The page of all stored runs: filters, the runs that have such cases, and one run with its charts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from bench.app.served import served
from bench.app.showing import escape_markdown, refuse, show_chart, show_table, text
from bench.app.stored import StoredRun, commit_of, read_run, stored_runs
from bench.core.registry import first_few
from bench.machine.environment import machine_words
from bench.records.record import Record
from bench.records.run_progress import RunProgress
from bench.report.cases import NAMES, NAMES_WITH_TESTS, table_of
from bench.report.charts.live_losses import live_loss_charts
from bench.report.html_page import Section, sections
from bench.report.surroundings import libraries_table, surroundings_table
from bench.report.tables import Table

PARTS: Mapping[str, Callable[[Record], str]] = {
    "task": lambda record: record.parsed_case().task,
    "model": lambda record: record.parsed_case().model,
    "method": lambda record: record.parsed_case().method,
    "device": lambda record: record.parsed_case().device,
    "status": lambda record: record.status,
    "commit": commit_of,
}
HEADINGS = ("run", "state", "cases", "ended well", "tasks", "models", "methods", "devices", "machine", "commit")
PROGRESS_HEADINGS = ("case", "state", "step", "steps", "tokens/s", "seconds left")
CASES, SURROUNDINGS = "Cases", "Environment"
EVERY_SECONDS = 2
NO_RUN = "There is no stored run here yet. `pytest suites` stores one, and `--runs FOLDER` names another folder."


def show() -> None:
    st.title("Runs", anchor=False)
    runs = stored_runs(served().folders)
    if not runs:
        refuse(NO_RUN)
        return
    chosen = filtered(runs)
    if not chosen:
        refuse("No case is left by these filters.")
        return
    show_table(overview(runs, chosen), 2, "runs")
    name = chosen_of("run", list(chosen))
    show_run(runs[name], chosen[name])


def chosen_of(name: str, options: Sequence[str]) -> str:
    """What the person chooses; a part of the page's address, so that it can be linked."""
    asked = st.query_params.get(name, "")
    chosen = st.selectbox(name.capitalize(), options, index=options.index(asked) if asked in options else 0)
    st.query_params[name] = chosen
    return chosen


def filtered(runs: Mapping[str, StoredRun]) -> dict[str, list[Record]]:
    """The records of each run that the person's filters leave; without a filter, runs without records too."""
    records = [record for run in runs.values() for record in run.records.values()]
    with st.expander("Filters"):
        columns = st.columns(3)
        wanted = {
            part: column.multiselect(part, sorted({one for record in records if (one := of(record))}), key=f"of-{part}")
            for (part, of), column in zip(PARTS.items(), columns * 2, strict=True)
        }
    active = {part: set(values) for part, values in wanted.items() if values}
    found = {
        name: [
            one for one in run.records.values() if all(PARTS[part](one) in values for part, values in active.items())
        ]
        for name, run in runs.items()
    }
    return {name: left for name, left in found.items() if left or not active}


def overview(runs: Mapping[str, StoredRun], chosen: Mapping[str, Sequence[Record]]) -> Table:
    """A row for each run, of the cases that the filters leave."""
    return [HEADINGS, *(row_of(runs[name], records) for name, records in chosen.items())]


def row_of(run: StoredRun, records: Sequence[Record]) -> list[str]:
    cases = [record.parsed_case() for record in records]
    return [
        run.name,
        "running" if run.progress.alive else "ended",
        str(len(records)),
        str(sum(record.ok for record in records)),
        *(first_few(sorted({getattr(case, part) for case in cases})) for part in ("task", "model", "method", "device")),
        first_few({machine_words(record.environment): None for record in records if record.environment}, 1),
        first_few({commit_of(record): None for record in records if commit_of(record)}, 1),
    ]


def show_run(run: StoredRun, records: Sequence[Record]) -> None:
    """One run: its progress if it runs, then the part that the person chooses."""
    for complaint in run.complaints:
        text(complaint)
    if run.progress.alive:
        show_progress(run)
    if not records:
        refuse(f"There is no record in the run {escape_markdown(run.name)}.")
        return
    parts = {one.title: one for one in sections_of(run.name, run.stamp, [one.case for one in records], run)}
    part = chosen_of("part", [CASES, *parts, SURROUNDINGS])
    key = f"{run.name}-{part}"
    if part == CASES:
        show_cases(run, records, key)
    elif part == SURROUNDINGS:
        show_table(surroundings_table(records, run.about), 2, key)
        show_table(libraries_table(records, run.about), 2, f"{key}-libraries")
    else:
        show_section(parts[part], key)


@st.cache_resource(max_entries=16, show_spinner="drawing")
def sections_of(name: str, stamp: Any, cases: Sequence[str], _run: StoredRun) -> list[Section]:
    """The parts of a report of these cases that have charts or texts, until the run's files change."""
    contents = _run.contents([_run.records[case] for case in cases])
    return [one for one in sections(contents) if one.charts or one.answers]


def show_cases(run: StoredRun, records: Sequence[Record], key: str) -> None:
    contents = run.contents(records)
    verdicts = {name: one.sentence() for name, one in contents.tests.items()} or None
    show_table(table_of(records, contents.thresholds, verdicts), NAMES_WITH_TESTS if verdicts else NAMES, key)
    for record in records:
        if not record.ok:
            text(f"{record.case}: {record.status.replace('_', ' ')}, {record.reason}")


def show_section(section: Section, key: str) -> None:
    for chart in section.charts:
        show_chart(chart, f"{key}-{chart.name}")
    for title, answers in section.answers.items():
        st.subheader(title, anchor=False)
        show_table(answers.table, len(answers.table[0]), f"{key}-{title}")
        text(answers.left_out)


@st.fragment(run_every=EVERY_SECONDS)
def show_progress(run: StoredRun) -> None:
    """The cases of the session that runs, read again every two seconds; the page follows once a case has ended."""
    progress = run.progress
    if not progress.alive or read_run(run.name, run.folder).stamp != run.stamp:
        st.rerun()
    st.subheader("Running now", anchor=False)
    show_table(progress_table(progress), 2, "progress")
    for chart in live_loss_charts(progress):
        show_chart(chart, chart.name)


def progress_table(progress: RunProgress) -> Table:
    rows = [
        [one.case, one.state.replace("_", " "), f"{one.step:.0f}", f"{one.steps:.0f}", f"{one.tokens_per_second:.0f}",
         f"{one.seconds_left:.0f}"]
        for one in progress.cases
    ]  # fmt: skip
    return [PROGRESS_HEADINGS, *rows]
