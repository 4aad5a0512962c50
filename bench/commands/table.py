"""`python -m bench table RUN`: the table of a run's records."""

import argparse

from bench.commands import Commands, records_of
from bench.report import as_markdown, as_text, rows
from bench.thresholds import read_thresholds


def add(commands: Commands) -> None:
    parser = commands.add_parser("table", help="the table of a run's records")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--markdown", action="store_true")
    parser.set_defaults(work=print_table)


def print_table(arguments: argparse.Namespace) -> int:
    table = rows(records_of(arguments.run), read_thresholds())
    print(as_markdown(table) if arguments.markdown else "\n".join(as_text(table)) + "\n", end="")
    return 0
