"""`python -m bench refusals RUN...`: how often each case declines, what it ought to and what it ought not."""

import argparse
from pathlib import Path
from typing import Any

from bench.commands import Commands, Mistake, add_command, records_of, show
from bench.probes.guardrails import HARMLESS, OUGHT_DECLINE, Refusals, refusals
from bench.probes.reading import read_lines
from bench.records.run_folder import answers_file
from bench.records.stored_runs import RUN_HELP, find_run

FIELDS = ("family", "group", "before", "after")


def add(commands: Commands) -> None:
    parser = add_command(commands, "refusals", "show how often models decline, before and after tuning")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.set_defaults(work=print_refusals, next="python -m bench probes guardrails prints what was asked")


def print_refusals(arguments: argparse.Namespace) -> int:
    for run in arguments.runs:
        found = {record.case: rows_of(find_run(run), record.case) for record in records_of(run)}
        if not any(found.values()):
            raise Mistake(f"{run}: no case was asked the guardrails; run it with --probes guardrails")
        for case, rows in found.items():
            if rows:
                show("\n".join([case, *lines_of(rows)]))
    return 0


def rows_of(folder: Path, case: str) -> list[dict[str, Any]]:
    """The guardrails' items that the case was asked, with their outcomes; none where it was asked none."""
    path = answers_file(folder, case, "probes")
    rows = read_lines(path) if path.is_file() else []
    for number, row in enumerate(rows, 1):
        if any(name not in row for name in FIELDS):
            raise Mistake(f"{path}:{number}: must have family, group, before and after; run its case again")
    return [row for row in rows if row["group"] in (OUGHT_DECLINE, HARMLESS)]


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    before, after = (refusals((row["group"], row[when]) for row in rows) for when in ("before", "after"))
    return [
        f"  {group:14} declined {refusals_text(before[group])} -> {refusals_text(after[group])}"
        for group in (OUGHT_DECLINE, HARMLESS)
        if group in before
    ]


def refusals_text(found: Refusals) -> str:
    low, high = found.interval
    return f"{found.declined} of {found.asked} ({low:.1%} to {high:.1%})"
