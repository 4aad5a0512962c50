"""The plugin that keeps how each case's tests ended, in the folder of their run."""

from collections.abc import Generator
from typing import Any

import pytest

from bench.core.outside_text import for_terminal
from bench.plugin.broken_cases import UNREPORTED
from bench.plugin.exit_codes import NOTHING_JUDGED
from bench.plugin.hooks import OUTCOMES, RUN, case_of
from bench.records.tested import ERROR, PASSED, CaseTests, short_name, tested_before, write_tested

FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, NOTHING_JUDGED)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
    report = yield
    if UNREPORTED not in item.stash and (case := case_of(item)) and (report.when == "call" or report.outcome != PASSED):
        outcome = ERROR if report.when != "call" and report.failed else report.outcome
        item.config.stash[OUTCOMES].setdefault(case.id, {})[short_name(item.nodeid, case.id)] = outcome
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, None]:
    """Write them once the exit code is known; a replay changes nothing of its run."""
    yield
    run, outcomes = session.config.stash[RUN], session.config.stash[OUTCOMES]
    if not outcomes or run.folder is None or run.options.replay:
        return
    code = int(session.exitstatus)
    try:
        tested = CaseTests(code in FINISHED, code, outcomes).with_earlier(tested_before(run.folder))
        write_tested(run.folder, tested)
    except OSError as error:
        if reporter := session.config.pluginmanager.getplugin("terminalreporter"):
            says = f"how the tests ended could not be written to {run.folder}: {error.strerror}"
            reporter.write_line(for_terminal(says), red=True)
