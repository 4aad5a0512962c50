"""`python -m bench faults`: faults planted in the libraries, and which checks catch each.

Exit codes: 0 something caught every fault, 1 nothing caught one of them.
"""

import argparse
import shutil
import sys

from bench.commands import Commands, add_command, show
from bench.core.registry import first_few
from bench.report.tables import lines_within, markdown_lines
from bench.upgrade.faults import Caught, try_fault
from bench.upgrade.planting import fault_names, read_fault

HEADINGS = ("fault", "what breaks", "modelled on", "without a baseline", "with a baseline")
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
    table = [HEADINGS, *map(row, found)]
    width = shutil.get_terminal_size().columns
    show("\n".join(markdown_lines(table, len(HEADINGS)) if arguments.markdown else lines_within(table, 5, width)))
    return 0 if all(one.by_something for one in found) else 1


def row(caught: Caught) -> tuple[str, ...]:
    """A fault's line of the table."""
    fault = caught.fault
    figures = (f"{state}: {first_few(names)}" for state, names in caught.figures.items())
    return (
        fault.name, fault.says, fault.modelled_on.rstrip("."), first_few(caught.tests) or NOTHING,
        "; ".join(figures) or NOTHING,
    )  # fmt: skip
