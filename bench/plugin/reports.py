"""Hooks that make every test report safe before a terminal, JUnit or another plugin sees it.

The reason for a skip or a failure may quote a model, a data file or a worker's last lines, and so may any exception.
"""

from collections.abc import Generator
from typing import Any

import pytest

from bench.core.outside_text import for_terminal, lines_for_terminal


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    make_safe(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    make_safe(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main() -> Generator[None, Any, Any]:
    """Make usage errors safe: pytest prints them itself, after every other hook."""
    try:
        return (yield)
    except pytest.UsageError as error:
        raise pytest.UsageError(*(lines_for_terminal(str(part)) for part in error.args)) from None


def make_safe(report: Any) -> None:
    """Clean the report's text and the output captured with it."""
    report.sections = [(name, lines_for_terminal(content)) for name, content in report.sections]
    said = report.longrepr
    if isinstance(said, str):
        report.longrepr = lines_for_terminal(said)
    elif isinstance(said, tuple):  # the place and reason of a skip
        path, line, reason = said
        report.longrepr = (path, line, for_terminal(reason))
    elif hasattr(said, "reprtraceback"):
        for traceback, crash, _ in getattr(said, "chain", [(said.reprtraceback, said.reprcrash, None)]):
            make_traceback_safe(traceback)
            if crash:
                crash.message = lines_for_terminal(crash.message)
    elif hasattr(said, "longrepr"):  # the report of a module that cannot be collected
        said.longrepr = lines_for_terminal(str(said.longrepr))


def make_traceback_safe(traceback: Any) -> None:
    for entry in traceback.reprentries:
        entry.lines = [lines_for_terminal(line) for line in entry.lines]
        if place := getattr(entry, "reprfileloc", None):
            place.message = lines_for_terminal(place.message)
