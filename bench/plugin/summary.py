"""The end of a session: what did not run, the table of its records, the pages with that table, and the exit code.

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
from bench.core.paths import SUITES
from bench.judge.thresholds import Thresholds
from bench.plugin.exit_codes import NOTHING_JUDGED, final_code, meaning
from bench.plugin.hooks import RUN, THRESHOLDS, case_of
from bench.plugin.interrupts import continue_line
from bench.plugin.outcomes import ITEMS, tests_of_session
from bench.plugin.selecting import DESELECTED, Deselected
from bench.plugin.session import Run
from bench.records.kept import kept_lines
from bench.records.record import Record
from bench.records.run_folder import command, relative_path, why_not_stored
from bench.records.tested import FAILURES, CaseTests, earlier_tests
from bench.report import probes
from bench.report.cases import NAMES_WITH_TESTS, table_of
from bench.report.summary import Beside, environment_text, summary_page
from bench.report.tables import Table, lines_within
from bench.report.verdicts import verdicts_on

ENDLESS = 10_000  # columns of an output that is not a terminal


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Show what was deselected, the tables of the session's records, how to continue the run, and complaints."""
    run, deselected = config.stash[RUN], config.stash.get(DESELECTED, Deselected())
    for line in deselected.lines():
        terminalreporter.write_line(for_terminal(line))
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped and deselected.of_cases and not terminalreporter.hasopt("skipped"):
        says = f"{skipped:,} tests were skipped: they do not apply to their case or claim; -rs lists the reasons"
        terminalreporter.write_line(says)
    if run.records:
        tested = tests_of_session(config, code_of_session(config, exitstatus))
        show_records(terminalreporter, run, config.stash[THRESHOLDS], tested)
    if says := continue_line(config):
        terminalreporter.write_line(for_terminal(says), yellow=True)
    if run.folder and run.unwritten:
        run.complaints.append(why_not_stored(run.folder, run.unwritten))
    for complaint in run.complaints:
        terminalreporter.write_line(for_terminal(complaint), red=True)


def show_records(terminalreporter: Any, run: Run, thresholds: Thresholds, tested: CaseTests) -> None:
    """Show the tables on the terminal and write the pages; a page that cannot be written is a complaint.

    A run's page covers all its records and sessions; the terminal and CI's summary show this session's.
    """
    counts = {name: one.count() for name, one in verdicts_on(tested, run.records).items()}
    show_table(terminalreporter, "cases", table_of(run.records.values(), thresholds, counts), NAMES_WITH_TESTS)
    terminalreporter.write_line(for_terminal(environment_text(run.records.values())))
    if spent := run.seconds_spent():
        terminalreporter.write_line(spent)
    asked = probes.probes_table(run.records.values())
    if asked[1:]:
        show_table(terminalreporter, "probes", asked, probes.NAMES)
    if run.folder and not run.options.replay:
        write_page_of_run(run, run.folder, thresholds, tested)
        terminalreporter.write_line(for_terminal(f"records: {relative_path(run.folder)}"))
        for line in kept_lines(run.records.values(), relative_path(run.folder)):
            terminalreporter.write_line(for_terminal(line))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(page_of(run.records, run, thresholds, tested))
        except OSError as error:  # CI's page failed, not the run
            run.complaints.append(f"GITHUB_STEP_SUMMARY {summary} cannot be written: {error.strerror}")


def write_page_of_run(run: Run, folder: Path, thresholds: Thresholds, tested: CaseTests) -> None:
    """Write summary.md, including the outcomes of earlier sessions."""
    every = tested.with_earlier(earlier_tests(folder))
    try:
        page = page_of({record.case: record for record in run.all_records()}, run, thresholds, every)
        write_atomically(folder / "summary.md", page)
    except OSError as error:
        run.unwritten["summary.md"] = error


def page_of(records: Mapping[str, Record], run: Run, thresholds: Thresholds, tested: CaseTests) -> str:
    stored = run.folder.name if run.folder else ""
    beside = Beside(
        tuple(test for test, outcome in tested.others.items() if outcome in FAILURES),
        tuple(case for case in tested.by_case if case not in records and not tested.outcomes(case)),
        ending_text(tested, records),
    )
    return summary_page(records.values(), thresholds, verdicts_on(tested, records), command(), stored, beside)


def ending_text(tested: CaseTests, records: Mapping[str, Record]) -> str:
    """How the session ended if no failed test says so; empty if all is well."""
    if said := meaning(tested.exit_code):
        return said
    red = any(outcome in FAILURES for tests in (*tested.by_case.values(), tested.others) for outcome in tests.values())
    if tested.exit_code and not red and all(record.ok for record in records.values()):
        return f"exit code {tested.exit_code}"
    return "" if tested.finished else "not all tests were run"


def show_table(terminalreporter: Any, title: str, table: Table, names: int) -> None:
    """Write a section with the table, or with a paragraph for each row if the terminal is too narrow."""
    narrow = terminalreporter.isatty or "COLUMNS" in os.environ
    width = terminalreporter.config.get_terminal_writer().fullwidth if narrow else ENDLESS
    terminalreporter.section(title)
    for line in lines_within(table, names, width):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Set the exit code after the terminal summary, which writes files; a line explains a code of ours."""
    yield
    config = session.config
    reporter = config.pluginmanager.getplugin("terminalreporter")
    deselected = config.stash.get(DESELECTED, Deselected())
    before, session.exitstatus = session.exitstatus, code_of_session(config, session.exitstatus)
    if reporter and (says := why_nothing(session.exitstatus, before, deselected, only_skips(config))):
        reporter.write_line(for_terminal(f"exit code {int(session.exitstatus)}: {says}"), red=True)


def code_of_session(config: pytest.Config, code: int) -> int:
    """The session's exit code, derived from pytest's."""
    run, deselected = config.stash[RUN], config.stash.get(DESELECTED, Deselected())
    lost = bool(deselected.unmet) and not deselected.listed
    return final_code(code, not run.unwritten, not run.left_out, not only_skips(config) and not lost)


def why_nothing(code: int, before: int, deselected: Deselected, skips: list[str]) -> str:
    """Why no test ran, or no case on a named device; empty otherwise."""
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


def only_skips(config: pytest.Config) -> list[str]:
    """Why each selected test was skipped; [] if none was, if any test ran, or if none belongs to the benchmark."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not any(case_of(item) or SUITES in item.path.parents for item in config.stash[ITEMS]):
        return []
    stats: Mapping[str, list[Any]] = reporter.stats
    if any(stats.get(name) for name in ("passed", "failed", "error", "xfailed", "xpassed")):
        return []
    return [report.longrepr[2].removeprefix("Skipped: ") for report in stats.get("skipped", [])]
