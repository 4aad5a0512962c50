"""`python -m bench thresholds RUN...`: write fixtures/thresholds.toml from measured seeds."""

import argparse

from bench.commands import Commands, records_of
from bench.record import write_atomically
from bench.thresholds import FILE, as_toml, measure, read_thresholds


def add(commands: Commands) -> None:
    parser = commands.add_parser("thresholds", help="write thresholds from measured seeds")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.set_defaults(work=write_thresholds)


def write_thresholds(arguments: argparse.Namespace) -> int:
    records = [record for run in arguments.runs for record in records_of(run)]
    entries = {**read_thresholds().entries, **measure(records)}
    write_atomically(FILE, as_toml(entries))
    print(f"{len(entries)} thresholds in fixtures/{FILE.name}")
    return 0
