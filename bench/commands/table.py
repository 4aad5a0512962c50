"""`python -m bench table RUN`: the table of a run's records."""

import argparse

from bench.commands import Commands, Mistake, records_of
from bench.probe_report import probe_lines, probe_markdown
from bench.report import as_markdown, as_text, rows
from bench.thresholds import read_thresholds


def add(commands: Commands) -> None:
    parser = commands.add_parser("table", help="the table of a run's records")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--probes", choices=("group", "language"), help="the probes, by group or by language")
    parser.set_defaults(work=print_table)


def print_table(arguments: argparse.Namespace) -> int:
    if arguments.probes:
        records, by_language = records_of(arguments.run), arguments.probes == "language"
        if not probe_lines(records, by_language):
            raise Mistake(f"{arguments.run}: no probes were asked on real weights; run it with --probes all")
        print(probe_markdown(records, by_language) if arguments.markdown else
              "\n".join(probe_lines(records, by_language)) + "\n", end="")  # fmt: skip
        return 0
    table = rows(records_of(arguments.run), read_thresholds())
    print(as_markdown(table) if arguments.markdown else "\n".join(as_text(table)) + "\n", end="")
    return 0
