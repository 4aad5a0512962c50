"""`python -m bench thresholds RUN...`: thresholds from measured seeds, the project's own or a person's."""

import argparse
from pathlib import Path

from bench.commands import Commands, add_command, records_of, show
from bench.core.files import write_atomically
from bench.core.paths import INSTALLED, ROOT
from bench.judge.thresholds import FILE, OWN_FILE, as_toml, measure, read_thresholds, wider_than_gain
from bench.records.stored_runs import RUN_HELP


def add(commands: Commands) -> None:
    parser = add_command(commands, "thresholds", "write thresholds of quality from runs of three or more seeds")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--output", type=Path, default=usual_file(), metavar="FILE",
        help=f"file to write or add to, for example {OWN_FILE}, which pytest suites reads in the folder where you are "
        f"(default: fixtures/{FILE.name} in a checkout, and {OWN_FILE} in any other folder)",
    )  # fmt: skip
    parser.set_defaults(work=write_thresholds, next="git diff fixtures/thresholds.toml shows what changed")


def usual_file() -> Path:
    """The project's own file where a person stands in the checkout; elsewhere one of theirs."""
    in_checkout = not INSTALLED and Path.cwd().is_relative_to(ROOT)
    return FILE if in_checkout else Path(OWN_FILE)


def write_thresholds(arguments: argparse.Namespace) -> int:
    path = arguments.output
    records = [record for run in arguments.runs for record in records_of(run)]
    measured = measure(records)
    entries = {**read_thresholds(path).entries, **measured}
    write_atomically(path, as_toml(entries))
    where = f"fixtures/{FILE.name}" if path == FILE else path
    show(f"{len(entries)} threshold{'s' * (len(entries) != 1)} in {where}")
    if path != FILE:
        named = "" if path == Path(OWN_FILE) else f" --thresholds {path}"
        arguments.next = f"pytest suites/test_quality.py --replay {{runs[0]}}{named} judges a run by them"
    for name, (width, gain) in wider_than_gain(entries if path == FILE else measured).items():
        show(f"{name}: its band is {width:.4f} wide and training gains {gain:.4f}; measure more seeds or train longer")
    return 0
