"""The plugin of `--report FILE`: the session as one HTML page, however it ends; and the claims' verdicts with the run.

A later `python -m bench report RUN` shows the verdicts that this stores.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.core.files import write_atomically
from bench.core.outside_text import for_terminal
from bench.plugin.claiming import VERDICTS
from bench.plugin.hooks import RUN, THRESHOLDS
from bench.plugin.outcomes import tests_of_session
from bench.records.record import BadRecord, Record
from bench.records.run_folder import command, relative_path
from bench.records.stored import Stored
from bench.records.tested import earlier_tests
from bench.report.verdicts import verdicts_on

JUDGED = "Judged by this session, from the runs that each sentence names."


def pytest_configure(config: pytest.Config) -> None:
    """Raises pytest.UsageError before anything runs if the page could not be written at the end."""
    if not (file := config.getoption("report")):
        return
    from bench.report.html_page import NotInstalled, require_packages  # jinja2 and plotly are an extra

    try:
        require_packages()
    except NotInstalled as error:
        raise pytest.UsageError(f"--report: {error}") from None
    if (config.invocation_params.dir / file).is_dir():
        raise pytest.UsageError(f"--report {file} is a folder; give a file, as --report {Path(file) / 'report.html'}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, None]:
    """Write the verdicts and the page once the exit code is known; what cannot be written is a red line."""
    yield
    config = session.config
    rows = claims_of(config)
    try:
        store_claims(config, rows)
        if (file := config.getoption("report")) and not config.option.collectonly:
            path = config.invocation_params.dir / file
            says = write_page(config, path, rows, int(session.exitstatus))
            write_line(config, says or f"report: {relative_path(path)}", red=bool(says))
    except OSError as error:
        write_line(config, f"the report or the verdicts on claims could not be written: {error}", red=True)


def write_line(config: pytest.Config, says: str, red: bool) -> None:
    if reporter := config.pluginmanager.getplugin("terminalreporter"):
        reporter.write_line(for_terminal(says), red=red)


def claims_of(config: pytest.Config) -> list[dict[str, Any]]:
    """The verdicts that this session judged, as bench.report.claims.as_rows gives them; [] if it judged none."""
    if (judged := config.stash.get(VERDICTS, None)) is None:
        return []
    from bench.judge.claims.book import read_claims
    from bench.report.claims import as_rows

    return as_rows(read_claims(), judged)


def store_claims(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the verdicts into the run's folder; a replay does not change its run."""
    from bench.report.claims import FILE

    run = config.stash[RUN]
    if rows and run.folder and not run.options.replay:
        write_atomically(run.folder / FILE, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def write_page(config: pytest.Config, path: Path, rows: Sequence[Mapping[str, Any]], code: int) -> str:
    """Write the page. Returns why it was not written; empty if it was."""
    from bench.judge.compare.sides import read_run_json
    from bench.report.html_page import Contents, html_page

    run = config.stash[RUN]
    records: dict[str, Record] = {record.case: record for record in run.all_records()} or run.records
    if not records and not rows:
        return "no report was written: the session has no record, and judged no claim"
    folder = run.folder or Path()
    tested = tests_of_session(config, code)
    try:
        about = read_run_json(folder) if run.folder else {"command": command()}
        if run.folder and not run.options.replay:
            tested = tested.with_earlier(earlier_tests(folder))
        page = html_page(Contents(
            name=folder.name or "no run",
            stored=[Stored(folder.name, folder, record) for record in records.values()],
            thresholds=config.stash[THRESHOLDS],
            tests=verdicts_on(tested, records),
            about=about,
            claims=rows,
            judged=JUDGED,
        ))  # fmt: skip
    except (BadRecord, ValueError) as error:  # a damaged file beside the records
        return f"no report was written: {error}"
    write_atomically(path, page)
    return ""
