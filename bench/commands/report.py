"""`python -m bench report RUN`: a run as one HTML page, with charts, claims, and what the gate says of another run."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.commands import Commands, Mistake, add_command, show
from bench.core.files import write_atomically
from bench.judge.claims.book import read_claims
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import judge_all
from bench.judge.compare.finding import INCOMPARABLE, nothing_compared
from bench.judge.compare.runs import Comparison, compare_runs
from bench.judge.compare.sides import read_run_json, read_side
from bench.judge.thresholds import own_thresholds, read_with_own
from bench.records.record import read_run
from bench.records.stored import Stored
from bench.records.stored_runs import RUN_HELP, find_run
from bench.records.tested import CaseTests, read_tested
from bench.report.claims import as_rows, read_verdicts
from bench.report.html_page import Contents, html_page, require_packages
from bench.report.verdicts import verdicts_on

DEFAULT = "report.html"
STORED = "Judged by the session of this run, from the runs that each sentence names."
AFRESH = "Judged by the records of this run alone."


def add(commands: Commands) -> None:
    parser = add_command(commands, "report", "write a run as one HTML page with charts, to open in a browser")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--against", metavar="RUN", default="", help="an earlier run: is anything worse than there")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", default=Path(DEFAULT),
                        help=f"write the page here (default {DEFAULT})")  # fmt: skip
    parser.add_argument("--claims", action="store_true",
                        help="judge claims afresh by this run, in a minute or two (default: verdicts stored with it)"
                        )  # fmt: skip
    parser.set_defaults(work=write_page, next="open {output} in a browser; docs/reports.md says how to read it")


def write_page(arguments: argparse.Namespace) -> int:
    require_packages()
    folder = find_run(arguments.run)
    if arguments.output.is_dir():
        raise Mistake(f"-o {arguments.output} is a folder; give a file, as -o {arguments.output / DEFAULT}")
    records, complaints = read_run(folder)
    for complaint in complaints:
        show(complaint, sys.stderr)
    comparison = compare_with(arguments.against, folder) if arguments.against else None
    claims, judged = claims_of(folder, arguments.claims, arguments.entries)
    contents = Contents(
        name=folder.name,
        stored=[Stored(folder.name, folder, record) for record in records.values()],
        thresholds=read_with_own(own_thresholds()),
        tests=verdicts_on(read_tested(folder) or CaseTests(), records),
        about=read_run_json(folder),
        claims=claims,
        judged=judged,
        comparison=comparison,
    )
    write_atomically(arguments.output, html_page(contents))
    show(str(arguments.output))
    return 0


def compare_with(earlier: str, folder: Path) -> Comparison:
    """The comparison with an earlier run. Says on stderr if no case of it can be compared; the page says why."""
    before = find_run(earlier)
    if before.resolve() == folder.resolve():
        raise Mistake(f"--against {earlier} is the run itself; give another run")
    comparison = compare_runs(read_side(before), read_side(folder))
    if nothing_compared(comparison.findings):
        why = next((one.says for one in comparison.findings if one.state == INCOMPARABLE), "they share no case")
        show(f"nothing could be compared with {earlier}: {why}", sys.stderr)
    return comparison


def claims_of(folder: Path, afresh: bool, entries: tuple[str, ...]) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The verdicts on claims, and where they come from."""
    if not afresh:
        return read_verdicts(folder), STORED
    claims = read_claims()
    evidence, complaints = gather(claims, [folder], entries)
    for complaint in complaints:
        show(complaint, sys.stderr)
    return as_rows(claims, judge_all(claims.values(), evidence)), AFRESH
