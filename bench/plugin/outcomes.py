"""The outcomes of the session's tests, noted as they end, for the pages and for the file kept with the run."""

from collections.abc import Generator
from typing import Any

import pytest

from bench.plugin.broken_cases import UNREPORTED
from bench.plugin.exit_codes import NOTHING_JUDGED
from bench.plugin.hooks import OUTCOMES, case_of
from bench.records.tested import ERROR, NOT_REACHED, PASSED, XFAILED, XPASSED, CaseTests, short_name

FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, NOTHING_JUDGED)
STRICT = "[XPASS(strict)]"  # how pytest begins its report of a test that was to fail and passed
OTHERS = pytest.StashKey[dict[str, str]]()  # tests without a case: id -> outcome
ITEMS = pytest.StashKey[list[pytest.Item]]()  # the selected tests


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES], config.stash[OTHERS], config.stash[ITEMS] = {}, {}, []


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[ITEMS] = list(session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
    report = yield
    if UNREPORTED not in item.stash and (report.when == "call" or report.outcome != PASSED):
        outcomes, name = place_of(item, item.config.stash[OUTCOMES], item.config.stash[OTHERS])
        outcomes[name] = outcome_of(report)
    return report


def outcome_of(report: pytest.TestReport) -> str:
    """The outcome as records.tested names it. pytest itself calls a test skipped that failed as expected."""
    if report.when != "call" and report.failed:
        return ERROR
    if report.skipped and hasattr(report, "wasxfail"):
        return XFAILED
    strict = isinstance(report.longrepr, str) and report.longrepr.startswith(STRICT)
    return XPASSED if report.failed and strict else report.outcome


def place_of(
    item: pytest.Item, by_case: dict[str, dict[str, str]], others: dict[str, str]
) -> tuple[dict[str, str], str]:
    """The dict that the test's outcome belongs to, and the test's name in it."""
    if case := case_of(item):
        return by_case.setdefault(case.id, {}), short_name(item.nodeid, case.id)
    return others, item.nodeid


def tests_of_session(config: pytest.Config, code: int) -> CaseTests:
    """The outcome of every selected test, including those that the session did not reach."""
    by_case = {case: dict(tests) for case, tests in config.stash[OUTCOMES].items()}
    others: dict[str, str] = config.stash[OTHERS].copy()
    for item in config.stash[ITEMS]:
        if UNREPORTED not in item.stash:
            outcomes, name = place_of(item, by_case, others)
            outcomes.setdefault(name, NOT_REACHED)
    return CaseTests(code in FINISHED, code, by_case, others)
