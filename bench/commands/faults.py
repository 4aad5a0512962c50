"""`python -m bench faults`: faults planted in the libraries, and which checks catch each.

Exit codes: 0 every fault is caught, by a test or by a figure that is worse; 1 nothing sees one of them; 3 one is seen
as changed alone, which leaves a comparison green.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence

from bench.commands import Commands, add_command, show
from bench.core.registry import first_few
from bench.judge.compare.finding import NOTHING_WORSE, SOMETHING_WORSE, UNDECIDED
from bench.report.tables import lines_within, markdown_lines
from bench.upgrade.faults import AS_CHANGED, NOT_SEEN, WAYS, Caught, try_fault
from bench.upgrade.planting import fault_names, read_fault

HEADINGS = ("fault", "caught", "what breaks", "modelled on", "without a baseline", "with a baseline")
NOTHING = "nothing"


def add(commands: Commands) -> None:
    parser = add_command(commands, "faults", "plant known kinds of faults in the libraries and list what catches each")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="faults to plant, by the names of files in fixtures/faults (default: all)")  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.set_defaults(work=print_faults, next="docs/upgrades.md says how a comparison reads its figures")


def print_faults(arguments: argparse.Namespace) -> int:
    faults = [read_fault(name) for name in arguments.names or fault_names()]
    found = []
    for number, fault in enumerate(faults, 1):
        show(f"fault {number} of {len(faults)}, {fault.name}: {fault.says}", sys.stderr)
        found.append(try_fault(fault, lambda text: show(text, sys.stderr)))
    found.sort(key=lambda one: WAYS.index(one.how))  # what is not caught stands together, at the end
    table = [HEADINGS, *map(row, found)]
    width, names = shutil.get_terminal_size().columns, len(HEADINGS)
    lines = markdown_lines(table, names) if arguments.markdown else lines_within(table, names, width)
    show("\n".join([count_ways(found), "", *lines]))
    return exit_code(found)


def count_ways(found: Sequence[Caught]) -> str:
    """One line: how many faults are caught, in which way, and how many are not."""
    numbers = Counter(one.how for one in found)
    ways = ", ".join(f"{numbers[way]} {way}" for way in WAYS if numbers[way])
    return f"{len(found)} fault{'s' * (len(found) != 1)}: {ways}."


def exit_code(found: Sequence[Caught]) -> int:
    ways = {one.how for one in found}
    return SOMETHING_WORSE if NOT_SEEN in ways else UNDECIDED if AS_CHANGED in ways else NOTHING_WORSE


def row(caught: Caught) -> tuple[str, ...]:
    """A fault's line of the table."""
    fault = caught.fault
    figures = (f"{state}: {first_few(names)}" for state, names in caught.figures.items())
    return (
        fault.name, caught.how, fault.says, fault.modelled_on.rstrip("."), first_few(caught.tests) or NOTHING,
        "; ".join(figures) or NOTHING,
    )  # fmt: skip
