"""Loads lorabench's pytest plugin, and says what a bare `pytest` runs."""

from pathlib import Path

import pytest

import bench
from bench.plugin import PLUGINS

pytest_plugins = PLUGINS

if Path(bench.__file__ or "").parent != Path(__file__).parent / "bench":
    raise pytest.UsageError(
        f"the package bench was imported from {bench.__file__}, not from this checkout; "
        f"run pytest in {Path(__file__).parent}, with nothing else named bench on PYTHONPATH"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.args_source == pytest.Config.ArgsSource.TESTPATHS:
        return "running the project's own tests; the benchmark is `pytest suites`"
    return None
