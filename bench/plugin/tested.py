"""The plugin that stores the outcomes of the session's tests in the folder of their run."""

from collections.abc import Generator
from typing import Any

import pytest

from bench.core.outside_text import for_terminal
from bench.plugin.hooks import OUTCOMES, RUN
from bench.plugin.outcomes import OTHERS, tests_of_session
from bench.records.tested import earlier_tests, write_tested


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, None]:
    """Write the outcomes once the exit code is known; a replay does not change its run."""
    yield
    config, run = session.config, session.config.stash[RUN]
    began = any((run.submitted, config.stash[OUTCOMES], config.stash[OTHERS]))
    if not began or run.folder is None or run.options.replay:
        return
    tested = tests_of_session(config, int(session.exitstatus))
    try:
        write_tested(run.folder, tested.with_earlier(earlier_tests(run.folder)))
    except OSError as error:
        if reporter := config.pluginmanager.getplugin("terminalreporter"):
            says = f"how the tests ended could not be written to {run.folder}: {error.strerror}"
            reporter.write_line(for_terminal(says), red=True)
