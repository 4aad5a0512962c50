"""What the tests of each case came to, and a case that broke as one failure instead of one and a row of skips."""

from collections.abc import Generator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures and flaky do; pytest has no public name for it

from bench.plugin.hooks import RUN, case_of
from bench.report.case_tests import CaseTests

TESTS = pytest.StashKey[dict[str, CaseTests]]()  # by case id, of this session
UNREPORTED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TESTS] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Deselect a test whose case broke, once another test has failed for that.

    Its fixtures are set up and torn down without a report, because pytest tears down what the next test does not need
    only after a test has run.
    """
    if not is_reported_already(item):
        return None
    item.stash[UNREPORTED] = True
    runtestprotocol(item, log=False, nextitem=nextitem)
    item.session.testscollected -= 1  # else the progress never reaches 100 %
    item.config.hook.pytest_deselected(items=[item])
    return True


def is_reported_already(item: pytest.Item) -> bool:
    """Whether the test needs the record of a case that has none, and an earlier test has failed for it."""
    case = case_of(item)
    if case is None or "record" not in getattr(item, "fixturenames", ()):
        return False
    return item.config.stash[RUN].reported_by.get(case.id, item.nodeid) != item.nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count what each test of a case came to."""
    report = yield
    case = case_of(item)
    if case is not None and UNREPORTED not in item.stash:
        add(item.config.stash[TESTS].setdefault(case.id, CaseTests()), report, name_of(item))
        record = item.config.stash[RUN].records.get(case.id)
        if record is not None and not record.ok:
            item.config.stash[TESTS][case.id].broken = record.status.replace("_", " ")
    return report


def add(tests: CaseTests, report: Any, name: str) -> None:
    """Count one phase of one test."""
    if report.failed and name not in tests.failed:
        tests.failed.append(name)
    elif report.skipped:
        tests.skipped += 1
    elif report.passed and report.when == "call":
        tests.passed += 1


def name_of(item: pytest.Item) -> str:
    """The test's name without `test_` and its case: generates_what_it_reads, forward_flops[forward_fvcore]."""
    case = case_of(item)
    name = item.name.removeprefix("test_").replace(case.id if case else "", "")
    return name.replace("[-", "[").replace("-]", "]").replace("[]", "")
