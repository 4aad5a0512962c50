"""The compatibility table as data: sets of releases, and whether the cases run with them as with today's.

A set breaks if the comparison of its run with today's finds something worse or missing. The table holds everything
that its page says, so that the page can be made again without the runs.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.registry import first_few
from bench.judge.compare.finding import CHANGED, INCOMPARABLE, INCONCLUSIVE, RED, TESTS, WARNINGS, Finding
from bench.judge.compare.runs import compare_runs
from bench.judge.compare.sides import Side, version_changes
from bench.records.tested import FAILURES

WORKS, BREAKS, UNDECIDED, CONFLICT, OPEN = "works", "breaks", "not decided", "not installable together", "not run"
STATES = (WORKS, BREAKS, UNDECIDED, CONFLICT, OPEN)


class BadTable(ValueError):
    """A file that is no compatibility table; the message says which and what to do."""


@dataclass(frozen=True)
class Cell:
    """A set of releases. packages: name -> version of what the set names, without what stays as it is today.

    why: the reason why it was not run, cannot be installed or is not decided; brings: other distributions whose version
    differs, as (today's, the cell's); counts: findings by state; red: the findings that are worse or missing; changed:
    what differs and is not worse, a figure or a new warning, with the number of its cases.
    """

    packages: Mapping[str, str]
    state: str
    why: str = ""
    brings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    red: tuple[Finding, ...] = ()
    changed: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state={self.state!r} must be one of {', '.join(STATES)}")


@dataclass(frozen=True)
class Table:
    """about: the machine, Python, torch and lorabench's commit; today: versions of the packages whose releases differ.

    suites: the files whose tests judged every run; cases: of today's run; failing: today's tests that do not pass,
    which no cell is blamed for.
    """

    command: str
    date: str
    about: Mapping[str, Any]
    today: Mapping[str, str]
    suites: tuple[str, ...]
    cases: tuple[str, ...]
    failing: tuple[str, ...]
    cells: tuple[Cell, ...]

    def counts(self) -> str:
        """One line: the number of cells in each state."""
        states = Counter(cell.state for cell in self.cells)
        said = ", ".join(f"{state}: {states[state]}" for state in STATES if states[state])
        return f"{len(self.cells)} set{'s' * (len(self.cells) != 1)} of releases; {said}"


def compare_cell(packages: Mapping[str, str], today: Side, side: Side, seconds: float | None) -> Cell:
    """The cell of a set whose cases were run. A case that does not run today either decides nothing about the set."""
    findings = compare_runs(today, side).findings
    undecided = [
        one for one in findings
        if one.state in (INCONCLUSIVE, INCOMPARABLE) and (one.case not in today.records or today.records[one.case].ok)
    ]  # fmt: skip
    red = tuple(sorted((one for one in findings if one.state in RED), key=lambda one: (one.case, one.kind, one.figure)))
    brings = {name: both for name, both in version_changes(today, side).items() if name not in packages}
    counts = dict(sorted(Counter(one.state for one in findings).items()))
    differs = {
        (one.says if one.kind in (WARNINGS, TESTS) else one.figure, one.case)
        for one in findings if one.state == CHANGED
    }  # fmt: skip
    changed = dict(sorted(Counter(what for what, _ in differs).items()))
    state = BREAKS if red else UNDECIDED if undecided else WORKS
    why = first_few(one.sentence() for one in undecided) if state == UNDECIDED else ""
    return Cell(packages, state, why, brings, counts, red, changed, seconds)


def failing_tests(side: Side) -> tuple[str, ...]:
    """Tests of the run that failed, with their case if they have one."""
    if side.tested is None:
        return ()
    of_cases = [
        f"{test} of {case}" for case, tests in side.tested.by_case.items()
        for test, outcome in tests.items() if outcome in FAILURES
    ]  # fmt: skip
    return (*of_cases, *(test for test, outcome in side.tested.others.items() if outcome in FAILURES))


def as_json(table: Table) -> str:
    return json.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n"


def read_table(path: Path) -> Table:
    """The stored table. Raises BadTable for a file that is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = tuple(
            Cell(**{**cell, "red": tuple(Finding(**{**one, "fresh": tuple(one["fresh"])}) for one in cell["red"])})
            for cell in found["cells"]
        )
        lists = {name: tuple(found[name]) for name in ("suites", "cases", "failing")}
        return Table(**{**found, **lists, "cells": cells})
    except FileNotFoundError:
        raise BadTable(f"{path}: there is no such file; python -m bench matrix --json FILE writes one") from None
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise BadTable(
            f"{path} is no compatibility table ({error}); python -m bench matrix --json FILE writes one"
        ) from None
