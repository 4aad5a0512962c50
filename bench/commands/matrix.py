"""`python -m bench matrix --transformers 5.17..5.24 --peft 0.19..0.21`: which releases work together, as a table.

Exit codes: 0 the table is whole, 2 a mistake on the command line, 3 cells are left that were not run.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, show
from bench.core.files import write_atomically
from bench.judge.compare.finding import NOTHING_WORSE, UNDECIDED
from bench.report.compatibility import page
from bench.upgrade.compatibility import OPEN, Table, as_json, read_table
from bench.upgrade.matrix import (
    METHODS,
    PACKAGES,
    SELECTION,
    Grid,
    Planned,
    grid_of,
    plan_cell,
    read_stored,
    run_cells,
    sets_of,
    table_of,
)
from bench.upgrade.overlays import releases_of
from bench.upgrade.releases import choose_releases

PYTHON = Path(sys.executable)


def add(commands: Commands) -> None:
    parser = add_command(commands, "matrix", "try releases of the libraries together, and write which of them work")
    for name in PACKAGES:
        parser.add_argument(f"--{name}", metavar="RELEASES", default="",
                            help="releases, as 5.22.2,5.23.0, or a range, as 5.17..5.24: the newest patch release of "
                            "each minor release in it")  # fmt: skip
    parser.add_argument("--select", metavar="OPTIONS", default="",
                        help="cases to run in every cell, as options of pytest suites (default: "
                        f"{', '.join(METHODS)} on three tiny models, and one case of each embedded model)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", default=None, help="write the table here as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", default=None,
                        help="write the page here (default: print it)")  # fmt: skip
    parser.add_argument("--show", type=Path, metavar="FILE", default=None,
                        help="make the page of a stored table, a file of --json, and run nothing")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say which cells would be run, and run none")
    parser.set_defaults(work=make_table, next="docs/upgrades.md says how to read this and what to do")


def make_table(arguments: argparse.Namespace) -> int:
    """Run the cells that are not stored yet, and write or print the table after each of them."""
    if arguments.show:
        write(read_table(arguments.show), arguments)
        return NOTHING_WORSE
    grid = grid_of(PYTHON, selection_of(arguments))
    sets = sets_of(releases_asked(arguments))
    if arguments.dry_run:
        show_plan(grid, sets)
        return NOTHING_WORSE
    plans = []
    for packages in sets:
        plans.append(plan_cell(grid, packages))
        say(f"{plans[-1]}: {describe(grid, plans[-1])}")
    command = command_of(arguments)
    stopped = run_cells(grid, plans, say, lambda: write_files(table_of(grid, plans, {}, command), arguments))
    table = table_of(grid, plans, stopped, command)
    write(table, arguments)
    say(table.counts())
    return UNDECIDED if any(cell.state == OPEN for cell in table.cells) else NOTHING_WORSE


def selection_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Options of pytest suites. Raises Mistake for a quote that is not closed."""
    try:
        return tuple(shlex.split(arguments.select)) or SELECTION
    except ValueError as error:
        raise Mistake(f"--select {arguments.select}: {error}; quote it as in a shell") from None


def releases_asked(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The releases of every package that an option names. Raises Mistake where none does."""
    asked = {name: getattr(arguments, name) for name in PACKAGES if getattr(arguments, name)}
    if not asked:
        raise Mistake(
            f"give the releases of a package, as --transformers 5.17..5.24; packages are {', '.join(PACKAGES)}"
        )
    return {name: choose_releases(name, text, releases_of(PYTHON, name)) for name, text in asked.items()}


def command_of(arguments: argparse.Namespace) -> str:
    """The command that makes this table, without the files that it writes."""
    words = [word for name in PACKAGES if (text := getattr(arguments, name)) for word in (f"--{name}", text)]
    return shlex.join(
        ["python", "-m", "bench", "matrix", *words, *(["--select", arguments.select] if arguments.select else [])]
    )


def show_plan(grid: Grid, sets: list[dict[str, str]]) -> None:
    show(f"would run, with today's packages and with each of {len(sets)} sets of releases:")
    show(f"  pytest suites {shlex.join(grid.selection)}")
    for packages in sets:
        show(f"  {Planned(packages)}")


def describe(grid: Grid, plan: Planned) -> str:
    """What is known of a cell before anything runs."""
    if plan.problem:
        return ": ".join(plan.problem)
    known = "stored" if read_stored(grid, plan.side) else "to run"
    return f"{known}, installs {', '.join(map(str, plan.wanted)) or 'nothing'}"


def write(table: Table, arguments: argparse.Namespace) -> None:
    """Write the files, and print the page unless a file gets it."""
    write_files(table, arguments)
    if not arguments.markdown:
        show(page(table).rstrip("\n"))


def write_files(table: Table, arguments: argparse.Namespace) -> None:
    made: list[tuple[Path | None, Callable[[Table], str]]] = [(arguments.json, as_json), (arguments.markdown, page)]
    for path, form in made:
        if path:
            write_atomically(path, form(table))


def say(text: str) -> None:
    show(text, sys.stderr)
