"""`python -m bench thresholds RUN...`: write fixtures/thresholds.toml from measured seeds."""

import argparse

from bench.commands import Commands, add_command, need_checkout, records_of, show
from bench.core.files import write_atomically
from bench.judge.thresholds import FILE, as_toml, measure, read_thresholds, wider_than_gain
from bench.records.stored_runs import RUN_HELP


def add(commands: Commands) -> None:
    parser = add_command(commands, "thresholds", "write fixtures/thresholds.toml from runs of several seeds")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=write_thresholds, next="git diff fixtures/thresholds.toml shows what changed")


def write_thresholds(arguments: argparse.Namespace) -> int:
    need_checkout("thresholds")
    records = [record for run in arguments.runs for record in records_of(run)]
    entries = {**read_thresholds().entries, **measure(records)}
    write_atomically(FILE, as_toml(entries))
    show(f"{len(entries)} thresholds in fixtures/{FILE.name}")
    for name, (width, gain) in wider_than_gain(entries).items():
        show(f"{name}: its band is {width:.4f} wide and training gains {gain:.4f}; measure more seeds or train longer")
    return 0
