"""Additions to pytest-benchmark's files and tables: accelerator, libraries, the case's id, memory and quality."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.core.outside_text import for_terminal
from bench.machine.environment import describe_machine
from bench.plugin.hooks import RUN
from bench.records.run_folder import EMULATION
from bench.report.benchmarks import comparison_lines


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add the accelerator and the libraries, which pytest-benchmark does not know."""
    about = describe_machine()
    machine_info["accelerator"] = about["accelerator"]
    machine_info["driver"] = about["driver"]
    machine_info[EMULATION] = config.stash[RUN].emulation or ""
    machine_info["libraries"] = about["libraries"]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(benchmarksession: Any, compared_benchmark: Any) -> Iterator[None]:
    """Warn that machines differ; pytest-benchmark 5.3 raises instead if its storage is outside the current folder."""
    try:
        return (yield)
    except ValueError:
        benchmarksession.logger.warning(
            f"Benchmark machine_info is different. Saved: {compared_benchmark['machine_info']}"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Write the case's id as its parameter, because a case is not JSON."""
    for one in output_json["benchmarks"]:
        if case := one["extra_info"].get("case"):
            one["params"] = {**(one["params"] or {}), "case": case}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> Iterator[None]:
    """After pytest-benchmark's comparison table, even if it ends in an error, print a table with the other figures."""
    try:
        return (yield)
    finally:
        session: Any = getattr(config, "_benchmarksession", None)  # pytest-benchmark keeps it nowhere else
        compared = session.compared_mapping if session else None
        for path, saved in (compared or {}).items():
            show_comparison(terminalreporter, path, saved, [one for one in session.benchmarks if one])


def show_comparison(terminalreporter: Any, path: Path, saved: dict[str, Any], benchmarks: list[Any]) -> None:
    """Print the table for one saved run; nothing if no benchmark is in both."""
    then = {
        name: {**one["extra_info"], "seconds_per_step": one["stats"]["median"]}
        for name, one in saved.items()
        if "stats" in one
    }
    now = {one.fullname: {**one.extra_info, "seconds_per_step": one.stats.median} for one in benchmarks}
    if lines := comparison_lines(then, now):
        terminalreporter.section(for_terminal(f"memory, work and quality: then {Path(path).stem}"))
        for line in lines:
            terminalreporter.write_line(line)
