"""Ctrl-C and SIGTERM: the session ends in order and says how to continue the run; a second signal ends it at once.

CI and batch systems send SIGTERM before they kill a process. It ends the session as Ctrl-C does, with its own exit
code. A record is on disk as soon as its case is done, so ending at once loses only the running cases.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import pytest

from bench.executor.local.fork_server import family_of, kill
from bench.plugin.hooks import RUN
from bench.records.run_folder import resume_command

DEFAULTS: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
SIGNALLED = pytest.StashKey[int]()  # the first signal's number


def exit_code(number: int) -> int:
    """The exit code that a shell reports for a process that a signal ended."""
    return 128 + number


def pytest_sessionstart(session: pytest.Session) -> None:
    """Handle the signals if nobody else does. Only the main thread can, and a debugger needs its own Ctrl-C."""
    config = session.config
    if threading.current_thread() is not threading.main_thread() or config.getoption("usepdb", False):
        return

    def first(number: int, frame: FrameType | None) -> NoReturn:
        config.stash[SIGNALLED] = number
        for each in DEFAULTS:
            signal.signal(each, second)
        raise KeyboardInterrupt(signal.Signals(number).name)

    def second(number: int, frame: FrameType | None) -> NoReturn:
        end_at_once(config, number)

    for each, default in DEFAULTS.items():
        if signal.getsignal(each) is default:
            signal.signal(each, first)
            config.add_cleanup(partial(put_back, each, default))


def put_back(number: int, handler: Any) -> None:
    signal.signal(number, handler)


def end_at_once(config: pytest.Config, number: int) -> NoReturn:
    """Say how to continue, kill the workers, and exit without further output."""
    for each in DEFAULTS:
        signal.signal(each, signal.SIG_IGN)
    with suppress(Exception):  # the signal may have interrupted a write to the same file
        reporter = config.pluginmanager.getplugin("terminalreporter")
        reporter.write(f"\n{continue_line(config) or 'ended at once'}\n", flush=True)
    kill(family_of(os.getpid())[1:])
    os._exit(exit_code(number))


def continue_line(config: pytest.Config) -> str:
    """How to continue a run with unfinished cases; empty if there are none."""
    run = config.stash[RUN]
    left, cases = run.unfinished(), len(run.submitted)
    if not left or run.folder is None:
        return ""
    done = cases - len(left)
    return f"{done} of {cases} cases {'is' if done == 1 else 'are'} stored; continue with: {resume_command(run.folder)}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Set the exit code of SIGTERM, after every other hook has set its own."""
    yield
    if session.config.stash.get(SIGNALLED, None) == signal.SIGTERM:
        session.exitstatus = exit_code(signal.SIGTERM)
