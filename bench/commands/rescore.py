"""`python -m bench rescore RUN...`: give stored records today's metrics, from their stored predictions."""

import argparse
from pathlib import Path

from bench.claims.evidence import Stored
from bench.commands import RUN_HELP, Commands, add_command, folder_of, show
from bench.record import Record, decoded, parse_record, write_atomically
from bench.rescore import rescored


def add(commands: Commands) -> None:
    parser = add_command(commands, "rescore", "give stored records today's metrics, from their stored predictions")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=rescore_runs, next="pytest suites --replay RUN judges a run again")


def rescore_runs(arguments: argparse.Namespace) -> int:
    """Every run is computed before one is written. Raises BadRecord or ValueError for what cannot be."""
    folders = [folder_of(run) for run in arguments.runs]
    found = [rescored_lines(folder) for folder in folders]
    for folder, (lines, changed) in zip(folders, found, strict=True):
        if changed:
            write_atomically(folder / "records.jsonl", "".join(f"{line}\n" for line in lines))
        show(f"{folder.name}: {changed} of {len(lines)} records rescored")
    return 0


def rescored_lines(folder: Path) -> tuple[list[str], int]:
    """The lines of the run's records, and how many of them changed; the others are as they were, byte for byte.

    Of a case that was run again only the newest record is rescored: its predictions are those that are stored.
    """
    path = folder / "records.jsonl"
    newest: dict[str, int] = {}  # case -> place in lines
    records: list[Record] = []
    lines: list[str] = []
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        if not raw.strip():
            continue
        where = f"{path}:{number}"
        line = decoded(raw, where)
        records.append(parse_record(line, where))
        newest[records[-1].case] = len(lines)
        lines.append(line)
    changed = 0
    for place in newest.values():
        record = records[place]
        new = rescored(record, Stored(folder.name, folder, record).examples)
        if new != record:
            lines[place] = new.to_line()
            changed += 1
    return lines, changed
