"""The options for a user's own data, models, methods and thresholds, and the line about them in pytest's header."""

from pathlib import Path
from typing import Any

import pytest

from bench.core.registry import names_in
from bench.judge.thresholds import OWN_FILE, Thresholds, own_thresholds, read_with_own
from bench.plan.own import Own, add_own


def add_own_options(group: Any) -> None:
    group.addoption(
        "--columns", metavar="KEY=COLUMN,...", default="",
        help="columns of a file that --tasks names: instruction=A,response=B or words=A,labels=B",
    )  # fmt: skip
    group.addoption("--thresholds", metavar="FILE", default="",
                    help=f"your own thresholds, written by python -m bench thresholds (default {OWN_FILE} here, "
                    "or LORABENCH_THRESHOLDS)")  # fmt: skip


def read_own(config: pytest.Config, mirror: Path | None) -> Own:
    """Register what the command line and lorabench.toml name. Raises ValueError with one sentence."""
    models, tasks, columns = (names_in(config.getoption(name)) for name in ("models", "tasks", "columns"))
    return add_own(names_in(config.getoption("entries")), mirror, models, tasks, columns)


def thresholds_of(config: pytest.Config) -> Thresholds:
    """The project's thresholds and the user's. Raises BadFile naming file, case and key."""
    return read_with_own(own_thresholds(config.getoption("thresholds")))


def header_of(own: Own, config: pytest.Config) -> str:
    """The line of pytest's header about the user's own files; empty if there are none."""
    files = [str(file) for file in own.files]
    if file := own_thresholds(config.getoption("thresholds")):
        files.append(str(file))
    return f"your own: {', '.join(files)}" if files else ""
