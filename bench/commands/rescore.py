"""`python -m bench rescore RUN...`: give stored records today's metrics and readings, from their stored predictions."""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.commands import Commands, add_command, show
from bench.core.files import write_atomically
from bench.judge.reread import reread
from bench.judge.rescore import rescore_record
from bench.records.record import decode_line, open_records, parse_record
from bench.records.run_folder import json_lines
from bench.records.stored import Stored
from bench.records.stored_runs import RUN_HELP, find_run


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "rescore", "give stored records today's metrics, and today's readings of answers to probes"
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=rescore_runs, next="pytest suites --replay RUN judges a run again")


@dataclass
class Rescored:
    """A run with today's figures. answers: the files of answers that are read otherwise; says: which shares changed."""

    lines: list[str] = field(default_factory=list)
    changed: int = 0
    answers: dict[Path, str] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)


def rescore_runs(arguments: argparse.Namespace) -> int:
    """Every run is computed before one is written, and no session adds a record meanwhile.

    Raises BadRecord or ValueError for what cannot be computed.
    """
    folders = sorted({find_run(run) for run in arguments.runs})  # in one order, so that two commands cannot block
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(open_records(folder / "records.jsonl"))
        found = [rescored_run(folder) for folder in folders]
        for folder, run in zip(folders, found, strict=True):
            for path, text in run.answers.items():
                write_atomically(path, text)
            if run.changed:
                write_atomically(folder / "records.jsonl", "".join(f"{line}\n" for line in run.lines))
            show("\n".join([f"{folder.name}: {run.changed} of {len(run.lines)} records rescored", *run.says]))
    return 0


def rescored_run(folder: Path) -> Rescored:
    """The run with what changes; the other lines are as they were, byte for byte.

    Only the newest record of a case's first process changes: the stored predictions and answers are its own.
    """
    path = folder / "records.jsonl"
    found, newest = Rescored(), {}
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        if raw.strip():
            where = f"{path}:{number}"
            found.lines.append(decode_line(raw, where))
            record = parse_record(found.lines[-1], where)
            if record.repeat == 0:
                newest[record.case] = (len(found.lines) - 1, record)
    for at, record in newest.values():
        stored = Stored(folder.name, folder, record)
        new = reread(rescore_record(record, stored.examples), stored.probe_answers)
        if new.record != record:
            found.lines[at] = new.record.to_line()
            found.changed += 1
        if new.rows != stored.probe_answers:
            found.answers[stored.probe_answers_path] = json_lines(new.rows)
        found.says += new.changes
    return found
