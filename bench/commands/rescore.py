"""`python -m bench rescore RUN...`: give stored records today's metrics, from their stored predictions."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from bench.commands import Commands, add_command, show
from bench.core.files import write_atomically
from bench.judge.rescore import rescored
from bench.records.record import decode_line, open_records, parse_record
from bench.records.stored import Stored
from bench.records.stored_runs import RUN_HELP, find_run


def add(commands: Commands) -> None:
    parser = add_command(commands, "rescore", "give stored records today's metrics, from their stored predictions")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=rescore_runs, next="pytest suites --replay RUN judges a run again")


def rescore_runs(arguments: argparse.Namespace) -> int:
    """Every run is computed before one is written, and no session adds a record meanwhile.

    Raises BadRecord or ValueError for what cannot be computed.
    """
    folders = sorted({find_run(run) for run in arguments.runs})  # in one order, so that two commands cannot block
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(open_records(folder / "records.jsonl"))
        found = [rescored_lines(folder) for folder in folders]
        for folder, (lines, changed) in zip(folders, found, strict=True):
            if changed:
                write_atomically(folder / "records.jsonl", "".join(f"{line}\n" for line in lines))
            show(f"{folder.name}: {changed} of {len(lines)} records rescored")
    return 0


def rescored_lines(folder: Path) -> tuple[list[str], int]:
    """The lines of the run's records, and how many of them changed; the others are as they were, byte for byte.

    Only a case's newest record changes: the stored predictions are its own.
    """
    path = folder / "records.jsonl"
    lines, newest = [], {}
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        if raw.strip():
            where = f"{path}:{number}"
            lines.append(decode_line(raw, where))
            record = parse_record(lines[-1], where)
            newest[record.case] = (len(lines) - 1, record)
    changed = 0
    for at, record in newest.values():
        new = rescored(record, Stored(folder.name, folder, record).examples)
        if new != record:
            lines[at] = new.to_line()
            changed += 1
    return lines, changed
