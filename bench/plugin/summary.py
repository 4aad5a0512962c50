"""The end of a session: what was not run, the table of its records, the pages that hold it, and the exit code.

The table is on the terminal, in the run's folder (summary.md) and in CI's summary (GITHUB_STEP_SUMMARY).
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.core.files import write_atomically
from bench.core.outside_text import for_terminal
from bench.judge.thresholds import Thresholds
from bench.machine.environment import describe_machine, machine_words
from bench.plugin.exit_codes import NOTHING_JUDGED, final_code
from bench.plugin.hooks import RUN, THRESHOLDS, case_of
from bench.plugin.interrupts import continue_line
from bench.plugin.outcomes import TESTS
from bench.plugin.selecting import DESELECTED, Deselected
from bench.plugin.session import Run
from bench.records.run_folder import command, shown, why_not_stored
from bench.report import probes
from bench.report.case_tests import CaseTests
from bench.report.cases import NAMES_WITH_TESTS, table_of
from bench.report.summary import summary_page
from bench.report.tables import Table, lines_within

ENDLESS = 10_000  # columns of an output that is no terminal


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What was deselected, the tables of the session's records, how to continue the run, and complaints."""
    run, deselected = config.stash[RUN], config.stash.get(DESELECTED, Deselected())
    for line in deselected.lines():
        terminalreporter.write_line(for_terminal(line))
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped and deselected.of_cases and not terminalreporter.hasopt("skipped"):
        says = f"{skipped:,} tests were skipped: they do not apply to their case or claim; -rs lists the reasons"
        terminalreporter.write_line(says)
    if run.records:
        show_records(terminalreporter, run, config.stash[THRESHOLDS], config.stash[TESTS])
    if says := continue_line(config):
        terminalreporter.write_line(for_terminal(says), yellow=True)
    if run.folder and run.unwritten:
        run.complaints.append(why_not_stored(run.folder, run.unwritten))
    for complaint in run.complaints:
        terminalreporter.write_line(for_terminal(complaint), red=True)


def show_records(terminalreporter: Any, run: Run, thresholds: Thresholds, tests: dict[str, CaseTests]) -> None:
    """The tables on the terminal, and the pages; a page that cannot be written is a complaint.

    A run's own page is of all its records; the terminal and CI's summary show the session's.
    """
    verdicts = {name: one.count() for name, one in tests.items()}
    show_table(terminalreporter, "cases", table_of(run.records.values(), thresholds, verdicts), NAMES_WITH_TESTS)
    terminalreporter.write_line(for_terminal(machine_words(describe_machine())))
    if spent := run.seconds_spent():
        terminalreporter.write_line(spent)
    asked = probes.probes_table(run.records.values())
    if asked[1:]:
        show_table(terminalreporter, "probes", asked, probes.NAMES)
    stored = run.folder.name if run.folder else ""
    about = (thresholds, tests, describe_machine(), command(), stored)
    if run.folder and not run.options.replay:
        try:
            write_atomically(run.folder / "summary.md", summary_page(run.all_records(), *about))
        except OSError as error:
            run.unwritten["summary.md"] = error
        terminalreporter.write_line(for_terminal(f"records: {shown(run.folder)}"))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(summary_page(run.records.values(), *about))
        except OSError as error:  # a page of CI's, not the run
            run.complaints.append(f"GITHUB_STEP_SUMMARY {summary} cannot be written: {error.strerror}")


def show_table(terminalreporter: Any, title: str, table: Table, names: int) -> None:
    """A section with the table, or with a paragraph for each row where the terminal is too narrow."""
    narrow = terminalreporter.isatty or "COLUMNS" in os.environ
    width = terminalreporter.config.get_terminal_writer().fullwidth if narrow else ENDLESS
    terminalreporter.section(title)
    for line in lines_within(table, names, width):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Set the exit code, after the terminal's summary, which writes; one of ours is explained in a line."""
    yield
    run, reporter = session.config.stash[RUN], session.config.pluginmanager.getplugin("terminalreporter")
    deselected = session.config.stash.get(DESELECTED, Deselected())
    skips = only_skips(reporter.stats) if reporter and any(map(case_of, session.items)) else []
    lost = bool(deselected.unmet) and not deselected.listed
    before, session.exitstatus = (
        session.exitstatus,
        final_code(session.exitstatus, not run.unwritten, not run.left_out, not skips and not lost),
    )
    if reporter and (says := why_nothing(session.exitstatus, before, deselected, skips)):
        reporter.write_line(for_terminal(f"exit code {int(session.exitstatus)}: {says}"), red=True)


def why_nothing(code: int, before: int, deselected: Deselected, skips: list[str]) -> str:
    """Why no test was run, or no case of a named device; empty where that is not so."""
    needs = "; ".join(map(deselected.says, deselected.groups))
    if before == pytest.ExitCode.NO_TESTS_COLLECTED and needs:
        return f"no selected test can run: {needs}"
    if code != NOTHING_JUDGED:
        return ""
    if not skips:
        return f"no case on {' or '.join(sorted(deselected.unmet))} can run: {needs}"
    (reason, count), *_ = Counter(skips).most_common(1)
    also = f"{count} of {len(skips)}: " if count < len(skips) else ""
    return f"every selected test was skipped, so nothing was judged; {also}{reason}"


def only_skips(stats: Mapping[str, list[Any]]) -> list[str]:
    """Why each selected test was skipped; [] if none was, or if any test was run."""
    if any(stats.get(name) for name in ("passed", "failed", "error", "xfailed", "xpassed")):
        return []
    return [report.longrepr[2].removeprefix("Skipped: ") for report in stats.get("skipped", [])]
