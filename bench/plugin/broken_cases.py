"""The hook that reports a broken case as one failure, instead of one failure and a row of skips."""

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures and flaky do; pytest has no public name for it

from bench.plugin.hooks import RUN, case_of

UNREPORTED = pytest.StashKey[bool]()  # marks a test that is set up and torn down without a report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Deselect a test whose case broke, once another test has failed for it.

    The test's fixtures are set up and torn down without a report: pytest tears down fixtures that the next test does
    not need only after a test has run.
    """
    if not is_reported_already(item):
        return None
    item.stash[UNREPORTED] = True
    runtestprotocol(item, log=False, nextitem=nextitem)
    item.session.testscollected -= 1  # otherwise the progress never reaches 100 %
    item.config.hook.pytest_deselected(items=[item])
    return True


def is_reported_already(item: pytest.Item) -> bool:
    """Whether the test's case has no record, and an earlier test has failed for that."""
    case = case_of(item)
    if case is None or "record" not in getattr(item, "fixturenames", ()):
        return False
    return item.config.stash[RUN].reported_by.get(case.id, item.nodeid) != item.nodeid
