"""`python -m bench census`: count the full data sets, for the claims that speak of them."""

import argparse
import json

from bench.commands import Commands, add_command, add_mirror, mirror_of, need_checkout, show
from bench.core.files import write_atomically
from bench.judge.claims.kinds.counted import FILE, count_data, read_census


def add(commands: Commands) -> None:
    parser = add_command(commands, "census", "count rows and labels of the full data sets")
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="tasks whose data is counted (default: all)")
    add_mirror(parser)
    parser.set_defaults(
        work=write_census, next="python -m bench claims --kind counted judges the claims about data sets"
    )


def write_census(arguments: argparse.Namespace) -> int:
    """What is counted replaces what was counted of the same task before."""
    need_checkout("census")
    counted_now = count_data(mirror_of(arguments), arguments.tasks)
    census = dict(sorted({**read_census(), **counted_now}.items()))
    write_atomically(FILE, json.dumps(census, indent=1, ensure_ascii=False) + "\n")
    for name, counted in counted_now.items():
        show(f"{name}: {', '.join(f'{count:,} {split}' for split, count in counted['rows'].items())}")
    return 0
