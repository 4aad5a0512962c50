"""`python -m bench rescore RUN...`: the quality of stored records, from their stored predictions by today's metrics."""

import argparse
from pathlib import Path

from bench.claims.evidence import Stored
from bench.commands import Commands, add_command, show
from bench.record import decoded, parse_record, write_atomically
from bench.rescore import rescored
from bench.stored_runs import RUN_HELP, find_run


def add(commands: Commands) -> None:
    parser = add_command(commands, "rescore", "score stored records again from their stored predictions")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=rescore_runs, next="pytest suites --replay RUN judges a run again")


def rescore_runs(arguments: argparse.Namespace) -> int:
    """Every run is computed before one is written. Raises BadRecord or ValueError for what cannot be."""
    folders = [find_run(run) for run in arguments.runs]
    found = [rescored_lines(folder) for folder in folders]
    for folder, (lines, changed) in zip(folders, found, strict=True):
        if changed:
            write_atomically(folder / "records.jsonl", "".join(f"{line}\n" for line in lines))
        show(f"{folder.name}: {changed} of {len(lines)} records rescored")
    return 0


def rescored_lines(folder: Path) -> tuple[list[str], int]:
    """The lines of the run's records, and how many of them changed; the others are as they were, byte for byte."""
    path = folder / "records.jsonl"
    lines, changed = [], 0
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        if not raw.strip():
            continue
        where = f"{path}:{number}"
        line = decoded(raw, where)
        record = parse_record(line, where)
        new = rescored(record, Stored(folder.name, folder, record).examples)
        changed += new != record
        lines.append(line if new == record else new.to_line())
    return lines, changed
